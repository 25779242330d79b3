//! The rules of CONTRIBUTING.md for manifests and commits.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a workspace").to_owned()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn there_is_git() -> bool {
    let found = Command::new("git").arg("--version").output().is_ok();
    if !found {
        eprintln!("SKIPPED: there is no git here");
    }
    found
}

/// Returns the dependencies of a manifest that have a path but no version, which prevents packaging the crate.
fn without_version(manifest: &str) -> Vec<String> {
    fn collect(table: &toml::Table, found: &mut Vec<String>) {
        for (name, inner) in table {
            let Some(inner) = inner.as_table() else { continue };
            if name.ends_with("dependencies") {
                let bare = |entry: &toml::Value| entry.get("path").is_some() && entry.get("version").is_none();
                found.extend(inner.iter().filter(|(_, entry)| bare(entry)).map(|(name, _)| name.clone()));
            }
            collect(inner, found);
        }
    }
    let mut found = vec![];
    collect(&manifest.parse().expect("a manifest is TOML"), &mut found);
    found
}

#[test]
fn every_crate_can_be_packaged() {
    let read = |folder: &str| std::fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("readable");
    let workspace: toml::Table = read("").parse().expect("TOML");
    let members: Vec<&str> = workspace["workspace"]["members"].as_array().expect("a list").iter().filter_map(|m| m.as_str()).collect();
    for folder in members.into_iter().chain([""]) {
        assert_eq!(without_version(&read(folder)), Vec::<String>::new(), "in {folder}/Cargo.toml: a path needs a version beside it");
    }
    assert_eq!(without_version("[workspace.dependencies]\na = { path = \"a\" }\nb = { path = \"b\", version = \"1\" }\n"), ["a"]);
    assert_eq!(without_version("[target.'cfg(unix)'.dev-dependencies]\na.path = \"a\"\n"), ["a"]);

    // Cargo itself reports missing metadata and files.
    let args = ["package", "--workspace", "--list", "--allow-dirty", "--offline", "--color", "never"];
    let out = Command::new(env!("CARGO")).args(args).current_dir(root()).output().expect("cargo runs, since it runs this test");
    let complaints = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && !complaints.contains("warning"), "cargo {}: {complaints}", args.join(" "));
    assert!(
        String::from_utf8_lossy(&out.stdout).contains("plans/mutants/no-backoff.toml"),
        "the plans are in the package that embeds them"
    );
}

#[test]
fn long_commit_subjects_are_refused() {
    if !there_is_git() {
        return;
    }
    let repository = std::env::temp_dir().join(format!("heckle-subjects-{}", std::process::id()));
    std::fs::create_dir_all(repository.join(".ci")).expect("a folder");
    std::fs::copy(root().join(".ci/subjects"), repository.join(".ci/subjects")).expect("copied");
    let git = |args: &[&str]| {
        let who =
            ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"];
        let out = Command::new("git").args(who).args(args).current_dir(&repository).output().expect("git runs");
        assert!(out.status.success(), "git {args:?}: {}", said(&out));
    };
    let commit = |length: usize| git(&["commit", "-q", "--allow-empty", "-m", &"é".repeat(length)]);
    let check = |ok: bool, part: &str| {
        let out = Command::new("bash").arg(".ci/subjects").current_dir(&repository).output().expect("bash runs");
        assert!(out.status.success() == ok && said(&out).contains(part), "{}", said(&out));
    };
    git(&["init", "-q", "-b", "main"]);
    commit(90);
    check(true, "SKIPPED");
    git(&["add", "."]);
    // Commits before this rule are exempt.
    commit(90);
    check(true, "");
    commit(71);
    check(true, "");
    commit(72);
    check(false, "72 characters");
    git(&["tag", "v1"]);
    check(true, "");
    std::fs::remove_dir_all(&repository).expect("removable");
}

#[test]
fn the_readme_names_the_oldest_rust() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).expect("readable");
    let workspace: toml::Table = read("Cargo.toml").parse().expect("TOML");
    let oldest = workspace["workspace"]["package"]["rust-version"].as_str().expect("a version");
    assert!(read("README.md").contains(&format!("a Rust toolchain ({oldest} or later)")), "README.md does not name Rust {oldest}");
}
