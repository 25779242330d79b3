//! `rerun.sh`, which runs the same plan and seed again. These determine every random choice but not the timing, so this is not a replay.

use std::fmt::Write;

/// Returns the script. `args` are the flags that a plan cannot contain. They follow the plan. Arguments given to the script come last.
pub fn script(seed: &str, args: &[String]) -> String {
    let mut line = format!("exec \"${{HECKLE:-heckle}}\" run \"$here/plan.resolved.toml\" --seed {}", quote(seed));
    for arg in args {
        let _ = write!(line, " {}", quote(arg));
    }
    format!(
        "#!/bin/sh\n\
         # Runs the same plan with the same seed: the same choices, though not the same timing.\n\
         # HECKLE names the binary if it is not on the path; arguments are passed on.\n\
         set -eu\n\
         here=$(cd \"$(dirname \"$0\")\" && pwd)\n\
         {line} \"$@\"\n"
    )
}

/// Quotes a word for a POSIX shell.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, want) in [("0x7", "0x7"), ("", "''"), ("p99_ms<50", "'p99_ms<50'"), ("it's", r"'it'\''s'"), ("$(x)", "'$(x)'")] {
            assert_eq!(quote(word), want);
        }
        assert!(script("0x7", &["--gate".into(), "p99_ms<50".into()]).contains("--seed 0x7 --gate 'p99_ms<50' \"$@\"\n"));
    }

    #[test]
    fn a_shell_passes_the_words_unchanged() {
        let dir = std::env::temp_dir().join(format!("heckle-rerun-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("rerun.sh");
        std::fs::write(&path, script("0x7", &["it's; echo $HOME".into()])).unwrap();
        let out = std::process::Command::new("sh").arg(&path).arg("--quiet").env("HECKLE", "echo").output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(text.ends_with("plan.resolved.toml --seed 0x7 it's; echo $HOME --quiet\n"), "{text}");
    }
}
