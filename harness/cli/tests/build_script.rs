//! Runs `harness/cli/build.rs` in a separate repository. The script embeds the plans, names the commit and reports
//! whether the sources had changes. Only a commit, a changed plan or a changed source causes a rebuild. In particular
//! `git status`, which shell prompts run all the time, does not.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with a small program that uses our build script. It is removed when dropped.
struct Repository(PathBuf);

impl Drop for Repository {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const MANIFEST: &str = "[package]\nname = \"named\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
const MAIN: &str = "#[cfg(test)]
mod tests;
struct Embedded { name: &'static str, text: &'static str }
const PLANS: &[Embedded] = include!(concat!(env!(\"OUT_DIR\"), \"/plans.rs\"));
fn main() {
    println!(\"{} {}\", env!(\"HECKLE_GIT\"), env!(\"HECKLE_GIT_DIRTY\"));
    PLANS.iter().for_each(|plan| println!(\"{}: {}\", plan.name, plan.text));
}
";

fn script() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs")).expect("our build script")
}

impl Repository {
    fn new() -> Repository {
        let root = std::env::temp_dir().join(format!("heckle-build-script-{}", std::process::id()));
        let repository = Repository(root);
        for (file, text) in [
            ("harness/Cargo.toml", MANIFEST),
            ("harness/build.rs", &script()),
            ("harness/src/main.rs", MAIN),
            ("harness/src/tests.rs", ""),
            ("plans/small.toml", "keys = 1"),
            ("README.md", "A page."),
            (".gitignore", "target\n"),
        ] {
            repository.write(file, text);
        }
        std::os::unix::fs::symlink("../plans", repository.0.join("harness/plans")).expect("a link, as ours");
        repository.git(&["init", "-q", "-b", "main"]);
        repository.build();
        repository
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("writable");
    }

    fn git(&self, args: &[&str]) -> String {
        let who =
            ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"];
        let out = Command::new("git").args(who).args(args).current_dir(&self.0).output().expect("git runs");
        assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// Builds the program and returns cargo's output.
    fn build(&self) -> String {
        let out = Command::new(env!("CARGO"))
            .args(["build", "--offline", "--color", "never"])
            .current_dir(self.0.join("harness"))
            .env("CARGO_TARGET_DIR", self.0.join("target"))
            .output()
            .expect("cargo runs, since it runs this test");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{said}");
        said
    }

    #[track_caller]
    fn check_rebuilds(&self, expected: bool, after: &str) {
        let said = self.build();
        assert_eq!(said.contains("Compiling"), expected, "after {after}: {said}");
    }

    fn says(&self) -> String {
        let out = Command::new(self.0.join("target/debug/named")).output().expect("the program runs");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Checks what the program reports about its build.
    #[track_caller]
    fn check_says(&self, commit: &str, dirty: bool) {
        assert_eq!(self.says().lines().next(), Some(format!("{commit} {dirty}").as_str()));
    }
}

#[test]
fn only_a_commit_or_a_changed_source_builds_again() {
    if Command::new("git").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no git here, so the build script is not tried");
        return;
    }
    let repository = Repository::new();
    repository.check_says("unknown", false);
    let commit = |message: &str| {
        repository.git(&["add", "--all"]);
        repository.git(&["commit", "-q", "-m", message]);
        repository.git(&["rev-parse", "--short=12", "HEAD"])
    };

    let first = commit("First");
    // A build outside a repository watches no git files.
    repository.check_rebuilds(false, "the first commit");
    repository.write("harness/build.rs", &script());
    repository.check_rebuilds(true, "a change of the script");
    repository.check_says(&first, false);
    repository.check_rebuilds(false, "nothing");

    // Git notices the changed page and writes its index, as it does when a page is staged. Test files are not part of
    // the program.
    let index = || std::fs::metadata(repository.0.join(".git/index")).and_then(|m| m.modified()).expect("an index");
    let before = index();
    repository.write("README.md", "A page.");
    repository.git(&["status"]);
    assert!(index() > before, "git did not write its index, so this test shows nothing");
    repository.check_rebuilds(false, "git status");
    repository.write("README.md", "A better page.");
    repository.write("harness/src/tests.rs", "// A comment.\n");
    repository.git(&["add", "--all"]);
    repository.check_rebuilds(false, "changes of a page and a test");
    repository.check_says(&first, false);

    let second = commit("A page");
    repository.check_rebuilds(true, "a commit");
    repository.check_says(&second, false);

    repository.write("harness/src/main.rs", &format!("{MAIN}// Changed.\n"));
    repository.check_rebuilds(true, "a changed source");
    repository.check_says(&second, true);
    repository.git(&["checkout", "-q", "harness/src/main.rs"]);
    repository.check_rebuilds(true, "the change taken back");
    repository.check_says(&second, false);

    repository.write("plans/mutants/new.toml", "keys = 2");
    repository.check_rebuilds(true, "a new plan");
    repository.check_says(&second, true);
    assert!(repository.says().ends_with("mutants/new: keys = 2\nsmall: keys = 1\n"), "{}", repository.says());
    std::fs::remove_dir_all(repository.0.join("plans/mutants")).expect("removable");
    repository.check_rebuilds(true, "a plan that is gone");
    repository.check_says(&second, false);

    // The file of the branch is packed, and the next commit recreates it.
    repository.git(&["pack-refs", "--all"]);
    repository.build();
    repository.check_rebuilds(false, "packed refs");
    repository.write("README.md", "The best page.");
    let third = commit("Another page");
    repository.check_rebuilds(true, "a commit on a packed branch");
    repository.check_says(&third, false);

    repository.git(&["checkout", "-q", "--detach", &first]);
    repository.check_rebuilds(true, "a checkout");
    repository.check_says(&first, false);
    repository.check_rebuilds(false, "nothing");
}
