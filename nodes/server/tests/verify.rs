//! Checking a whole data folder changes nothing in it.

mod common;

use std::path::{Path, PathBuf};

use common::{TempDir, TestClient, options_of_cluster, start};
use heckle_server::client_protocol::Outcome;
use heckle_server::{StorageError, verify_folder};

/// All files of a folder, with their content.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn a_sound_folder_is_described_and_a_damaged_one_is_not_sound() {
    let dir = TempDir::new("verify");
    let options = options_of_cluster(dir.path(), 1).remove(0);
    let data = options.data_dir.clone();
    let node = start(&options);
    let mut client = TestClient::to(&node);
    for i in 0..200 {
        assert_eq!(client.write(&format!("k{}", i % 50), &"x".repeat(1_000)), Outcome::Applied);
    }
    let error = verify_folder(&data).unwrap_err();
    assert!(matches!(error, StorageError::Locked { .. }), "{error}");
    let folder = node.ready().folder;
    node.kill();

    let before = content(&data);
    let found = verify_folder(&data).unwrap();
    assert_eq!((found.node.as_str(), found.cluster.as_str(), found.folder), ("n1", "test", folder));
    assert_eq!((found.keys, found.rows, found.incarnation), (50, 50, 1));
    assert!(found.members == ["n1"] && found.records > 50 && found.last_batch > 100, "{found:?}");
    assert_eq!(content(&data), before, "nothing is changed");

    // A flipped bit in any file, even the oldest.
    for (path, good) in &before {
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".wal") && !name.ends_with(".snap") && name != "identity.json" {
            continue;
        }
        let mut bad = good.clone();
        let at = if path.ends_with("identity.json") { bad.len() / 2 } else { 600.min(bad.len() - 1) };
        bad[at] ^= 4;
        std::fs::write(path, &bad).unwrap();
        let checked = verify_folder(&data);
        let torn = checked.as_ref().is_ok_and(|found| found.torn_bytes > 0);
        let is_last = Some(path) == before.iter().map(|(path, _)| path).rfind(|path| path.extension().is_some_and(|e| e == "wal"));
        assert!(checked.is_err() || (is_last && torn), "{}: {checked:?}", path.display());
        std::fs::write(path, good).unwrap();
    }
    assert_eq!(verify_folder(&data).unwrap(), found);
    let node = start(&options);
    assert_eq!(TestClient::to(&node).read("k7").as_deref(), Some("x".repeat(1_000).as_str()));
}

#[test]
fn what_is_no_data_folder_is_a_usage_error() {
    let dir = TempDir::new("verify-none");
    for (path, says) in [(dir.path().join("nothing"), "no such folder"), (dir.path().to_owned(), "no node has used this folder")] {
        let error = verify_folder(&path).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(says), "{error}");
    }
    assert!(!dir.path().join("nothing").exists());
}
