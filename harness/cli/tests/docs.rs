//! All pages under `docs/` are in the book, and every link in them and in the pages at the root has a valid target.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn pages() -> Vec<PathBuf> {
    let files = std::fs::read_dir(docs()).expect("docs").map(|e| e.expect("readable").path());
    files.filter(|p| p.extension().is_some_and(|e| e == "md")).collect()
}

/// Returns the targets of the Markdown links in `text`.
fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).collect()
}

#[test]
fn every_page_is_in_the_book() {
    let summary = std::fs::read_to_string(docs().join("SUMMARY.md")).expect("a summary");
    let listed: BTreeSet<&str> = links(&summary).into_iter().collect();
    let names: Vec<String> = pages().iter().map(|p| p.file_name().expect("a name").to_string_lossy().into_owned()).collect();
    let missing: Vec<&String> = names.iter().filter(|n| *n != "SUMMARY.md" && !listed.contains(n.as_str())).collect();
    assert!(missing.is_empty(), "add a line to docs/SUMMARY.md for {missing:?}");
}

#[test]
fn every_link_leads_somewhere() {
    let at_the_root = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE.md"];
    for page in pages().into_iter().chain(at_the_root.map(|page| docs().join("..").join(page))) {
        let text = std::fs::read_to_string(&page).expect("readable");
        for link in links(&text).into_iter().filter(|l| !l.contains("://") && !l.starts_with('#')) {
            let file = link.split('#').next().unwrap_or(link);
            assert!(page.with_file_name(file).exists(), "{} links to {link}, which is not there", page.display());
        }
    }
}

/// Explains why a `cargo test` command in a page cannot run: its package, its test target or the module of a unit test
/// does not exist.
fn mistake_in(command: &str, members: &[PathBuf]) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().take_while(|word| *word != "--").collect();
    let after = |flag: &str| words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1).copied());
    let package = after("-p")?;
    let is_it = |folder: &&PathBuf| {
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("readable");
        manifest.lines().any(|line| line == format!("name = \"{package}\""))
    };
    let Some(folder) = members.iter().find(is_it) else { return Some(format!("there is no package `{package}`")) };
    let there = |path: &str| folder.join(format!("{path}.rs")).exists() || folder.join(path).is_dir();
    if let Some(target) = after("--test").filter(|target| !there(&format!("tests/{target}"))) {
        return Some(format!("`{package}` has no test target `{target}`"));
    }
    let module = after("--lib").and_then(|filter| filter.strip_suffix("::"))?;
    (!there(&format!("src/{module}"))).then(|| format!("`{package}` has no module `{module}`"))
}

#[test]
fn every_test_command_names_something_that_exists() {
    let root = docs().join("..");
    let manifest: toml::Table = std::fs::read_to_string(root.join("Cargo.toml")).expect("readable").parse().expect("TOML");
    let members = manifest["workspace"]["members"].as_array().expect("a list");
    let members: Vec<PathBuf> = members.iter().map(|member| root.join(member.as_str().expect("a path"))).collect();
    let mut found = 0;
    for page in pages().into_iter().chain(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|page| root.join(page))) {
        let text = std::fs::read_to_string(&page).expect("readable");
        for rest in text.split("cargo test").skip(1) {
            let command = rest.split(['`', '\n', '#', ';', '&', '|']).next().unwrap_or_default();
            found += 1;
            assert_eq!(mistake_in(command, &members), None, "{}: cargo test{command}", page.display());
        }
    }
    assert!(found > 20, "the commands are found: {found}");
    for (bad, why) in [
        (" -p heckle --test arrow", "`heckle` has no test target `arrow`"),
        (" -p heckle --lib plan::", "`heckle` has no module `plan`"),
        (" -p hekle", "there is no package `hekle`"),
    ] {
        assert_eq!(mistake_in(bad, &members).as_deref(), Some(why));
    }
}

#[test]
fn pictures_stay_small() {
    for picture in std::fs::read_dir(docs().join("pictures")).expect("pictures").map(|e| e.expect("readable")) {
        let size = picture.metadata().expect("readable").len();
        assert!(size < 150_000, "{} has {size} bytes", picture.path().display());
    }
}
