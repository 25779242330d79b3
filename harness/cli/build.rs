//! Embeds the plans under `plans/` in the program, and the commit that it is built from, which every result names. Without git the
//! commit is unknown.
//!
//! Git's index is not watched. `git status`, and every shell prompt that calls it, may rewrite that file, which would rebuild the
//! harness each time. The script runs again after a commit or a checkout, and after a change of a source file. The latter keeps
//! `HECKLE_GIT_DIRTY` correct: it says whether the sources of this build differ from the commit. Docs and tests do not count.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The sources of the program, as git pathspecs. A change to any of them rebuilds the harness in any case, so watching them costs
/// nothing. Only the simulator is not part of the program (held by `harness/cli/tests/arrows.rs`).
const SOURCES: &[&str] = &[
    ":(top)Cargo.toml",
    ":(top)Cargo.lock",
    ":(top,glob)**/Cargo.toml",
    ":(top,glob)**/build.rs",
    ":(top,glob)**/src/**",
    ":(top,glob)**/assets/**",
    ":(top)plans",
    ":(top,exclude)nodes/sim",
    ":(top,exclude,glob)**/tests.rs",
    ":(top,exclude,glob)**/tests/**",
];

/// Runs git and returns its output, if git is installed and succeeds.
fn git(args: &[&str]) -> Option<String> {
    // Without this, `git status` writes the index when it finds a file touched.
    let out = Command::new("git").env("GIT_OPTIONAL_LOCKS", "0").args(args).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim_end().to_owned())
}

/// Makes cargo run this script again when the file changes. A missing file is skipped, because cargo would treat it as always changed.
fn watch(path: &str) {
    if Path::new(path).exists() {
        println!("cargo:rerun-if-changed={path}");
    }
}

/// Watches the files that a new commit or a checkout changes: `HEAD`, and the ref that it points to, wherever git stores it.
fn watch_commit() {
    let path = |name: &str| git(&["rev-parse", "--git-path", name]);
    path("HEAD").iter().for_each(|head| watch(head));
    // The table of all refs, if the repository has one.
    path("reftable/tables.list").iter().for_each(|table| watch(table));
    let Some(branch) = git(&["symbolic-ref", "--quiet", "HEAD"]).and_then(|branch| path(&branch)) else { return };
    if Path::new(&branch).exists() {
        return watch(&branch);
    }
    // A packed ref has no separate file until the next commit creates one, in the nearest existing folder.
    path("packed-refs").iter().for_each(|packed| watch(packed));
    let folder = Path::new(&branch).ancestors().skip(1).find(|folder| folder.is_dir());
    folder.iter().for_each(|folder| watch(&folder.to_string_lossy()));
}

/// A link to the workspace's `plans/`, so that a packaged crate has them too.
const PLANS: &str = "plans";

/// Collects all plans below `folder`.
fn plans(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            plans(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "toml") {
            found.push(path);
        }
    }
}

/// Writes the list that `src/plans.rs` includes.
fn embed_plans() {
    watch(PLANS);
    let mut found = vec![];
    plans(Path::new(PLANS), &mut found);
    found.sort();
    let mut list = String::from("&[\n");
    for path in found {
        let name = path.strip_prefix(PLANS).expect("below").with_extension("");
        let file = std::path::absolute(&path).expect("a current folder");
        writeln!(list, "Embedded {{ name: {:?}, text: include_str!({file:?}) }},", name.display().to_string()).expect("text grows");
    }
    list.push(']');
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    std::fs::write(out.join("plans.rs"), list).expect("OUT_DIR is writable");
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    embed_plans();
    // A copy of the sources inside another repository was not built from a commit of that repository.
    let ours = git(&["ls-files", "build.rs"]).is_some_and(|listed| !listed.is_empty());
    let mut commit = None;
    let mut dirty = false;
    if ours {
        watch_commit();
        // `-z` prevents quoting of names.
        let listed = git(&[&["ls-files", "-z", "--"], SOURCES].concat()).unwrap_or_default();
        listed.split('\0').filter(|file| !file.is_empty()).for_each(watch);
        commit = git(&["rev-parse", "--short=12", "HEAD"]);
        dirty = git(&[&["status", "--porcelain", "--"], SOURCES].concat()).is_none_or(|changes| !changes.is_empty());
    }
    println!("cargo:rustc-env=HECKLE_GIT={}", commit.as_deref().unwrap_or("unknown"));
    println!("cargo:rustc-env=HECKLE_GIT_DIRTY={dirty}");
}
