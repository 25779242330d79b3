//! Which programs may join a cluster and control a node, and which secrets a run folder contains. Also tests `heckle
//! node --verify`.

use crate::common::*;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Returns all files below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (vec![], vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).expect("readable").map(|entry| entry.expect("readable").path()) {
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|part| part == secret.as_bytes())
}

#[test]
fn a_run_keeps_its_secrets_in_files_of_their_own() {
    let folder = Folder::new();
    let out = expect_code(&folder, &["run", "--duration", "6s", "--seed", "7", "--lease", "priority", "--faults", "clock-jump"], 0);
    let run = find(&folder, "results.json").pop().expect("a run").parent().expect("its folder").to_owned();
    let secret_file = run.join("nodes/cluster.secret");
    let secret = std::fs::read_to_string(&secret_file).expect("the run's secret");
    assert_eq!((secret.len(), std::fs::metadata(&secret_file).expect("it is there").permissions().mode() & 0o777), (64, 0o600));
    let all = files_below(&run);
    let tokens: Vec<PathBuf> = all.iter().filter(|path| path.ends_with("control.token")).cloned().collect();
    let token_of = |path: &PathBuf| std::fs::read_to_string(path).expect("a token").trim().to_owned();
    let secrets: Vec<String> = tokens.iter().map(token_of).chain([secret]).collect();
    for path in all.iter().filter(|path| !path.ends_with("control.token") && **path != secret_file) {
        let bytes = std::fs::read(path).expect("readable");
        assert!(!secrets.iter().any(|secret| holds(&bytes, secret)), "{} gives a secret away", path.display());
    }
    assert!(!secrets.iter().any(|secret| said(&out).contains(secret.as_str())), "the terminal gives a secret away");
    let other = Folder::new();
    expect_code(&other, &["run", "--duration", "1s", "--seed", "7"], 0);
    let theirs = find(&other, "results.json").pop().expect("a run").parent().expect("its folder").join("nodes/cluster.secret");
    assert_ne!(std::fs::read_to_string(theirs).expect("its secret"), secrets[secrets.len() - 1], "each run has its own, whatever the seed");
}

#[test]
fn addresses_and_secrets_are_checked_before_a_node_starts() {
    let f = Folder::new();
    let node = ["node", "--id", "n1", "--cluster-id", "c", "--data", "d"];
    let with = |more: &[&str], says: &str| {
        let out = expect_code(&f, &[&node[..], more].concat(), 64);
        assert!(said(&out).contains(says), "{}", said(&out));
    };
    with(&["--client-listen", "0.0.0.0:0"], "add --allow-remote");
    let peer = ["--peer", "n2=192.0.2.1:7001", "--allow-remote", "--peer-listen", "0.0.0.0:0"];
    with(&peer, "give all nodes the same --cluster-secret-file");
    let path = f.path().join("secret");
    std::fs::write(&path, "0123456789abcdef").expect("writable");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("ours");
    with(&["--cluster-secret-file", "secret"], "others may read it (mode 644): chmod 600 it");
    with(&["--cluster-secret-file", "nowhere"], "nowhere");
    assert!(!f.path().join("d").exists(), "nothing was started");
}

#[test]
fn a_data_folder_is_verified() {
    let f = Folder::new();
    let args = ["node", "--id", "n1", "--cluster-id", "c", "--data", "d", "--exit-on-stdin-eof"];
    let mut command = heckle(&f, &args);
    let mut node = Running(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts"));
    let mut line = String::new();
    BufReader::new(node.0.stdout.take().expect("piped")).read_line(&mut line).expect("a ready line");
    let ready: serde_json::Value = serde_json::from_str(&line).expect("ready");
    assert_eq!(ready.get("control_token"), None, "the ready line holds no secret");
    let client = ready["client"].as_str().expect("an address");
    for i in 0..5 {
        expect_code(&f, &["ctl", "write", &format!("k{i}"), "one", "--node", client], 0);
    }
    let verify = ["node", "--verify", "d"];
    assert!(said(&expect_code(&f, &verify, 64)).contains("is in use by another process"));
    drop(node);
    let sound = said(&expect_code(&f, &verify, 0));
    for part in ["d is sound: n1 of cluster c", "nodes of the cluster: n1; started 1 times", "5 keys, 5 of them with a value"] {
        assert!(sound.contains(part), "`{sound}` lacks `{part}`");
    }
    let identity = f.path().join("d/identity.json");
    let text = std::fs::read_to_string(&identity).expect("readable");
    std::fs::write(&identity, text.replace("\"c\"", "\"b\"")).expect("writable");
    let out = expect_code(&f, &verify, 74);
    assert!(said(&out).contains("not sound") && said(&out).contains("checksum"), "{}", said(&out));
    expect_code(&f, &["node", "--verify", "nowhere"], 64);
    expect_code(&f, &["node", "--verify", "d", "--id", "n1"], 64);
}
