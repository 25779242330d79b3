//! Reads the end of a process's log and finds the assertion or panic in it. Only the facts go into the
//! history: [`heckle_checker::checks::crash`] interprets them later.

use heckle_checker::checks::crash::{End, Phase, how};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

/// Number of log lines to keep.
const MAX_LINES: usize = 12;
/// Maximum length of a log line to keep, in characters, since a panic's backtrace may be one long line.
const MAX_LINE_LETTERS: usize = 400;
/// Number of bytes to read from the end of a log: enough for a panic of all threads of a Go program.
const TAIL_BYTES: u64 = 256 << 10;

/// Returns how a process ended, and the panic or assertion in its log after offset `from`.
pub(super) fn end(status: Option<ExitStatus>, log: &Path, from: u64) -> End {
    let text = tail(log, from);
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let kept = &lines[lines.len().saturating_sub(MAX_LINES)..];
    End {
        signal: status.and_then(|s| s.signal()),
        code: status.and_then(|s| s.code()),
        said: find_panic(&lines),
        log: kept.iter().map(|line| shorten(line)).collect(),
    }
}

/// Formats the end of a log for an error message.
pub(super) fn quote(end: &End, log: &Path) -> String {
    format!("the end of {}:\n  {}", log.display(), end.log.join("\n  "))
}

/// Returns the details of the event for the history.
pub(super) fn detail(end: &End, phase: Phase, by: &str) -> BTreeMap<String, Json> {
    let mut detail: BTreeMap<String, Json> = [
        ("how".to_owned(), how(end).into()),
        ("by".to_owned(), by.into()),
        ("phase".to_owned(), phase.word().into()),
        ("expected".to_owned(), (phase == Phase::Asked).into()),
    ]
    .into();
    detail.extend(end.signal.map(|signal| ("signal".to_owned(), signal.into())));
    detail.extend(end.code.map(|code| ("code".to_owned(), code.into())));
    detail.extend(end.said.as_ref().map(|said| ("said".to_owned(), said.clone().into())));
    // If the process was killed on purpose, its log does not explain why it ended.
    if phase != Phase::Asked || end.said.is_some() {
        detail.insert("log".to_owned(), end.log.clone().into());
    }
    detail
}

fn tail(log: &Path, from: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(end.saturating_sub(TAIL_BYTES))))?;
        let mut bytes = vec![];
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn shorten(line: &str) -> String {
    match line.char_indices().nth(MAX_LINE_LETTERS) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

/// Returns the first assertion or panic in these lines, for programs in any language. The first one is the cause;
/// later ones are its consequences in other threads.
fn find_panic(lines: &[&str]) -> Option<String> {
    let at = lines.iter().position(|line| is_panic_line(line))?;
    let line = lines[at];
    if let Some(what) = field(line, "what").filter(|_| line.contains("event=panic")) {
        return Some(shorten(&what));
    }
    // Rust prints the location of a panic first, and its message on the next line.
    let next = lines.get(at + 1).filter(|_| line.contains(" panicked at ") && line.ends_with(':'));
    Some(shorten(&next.map_or_else(|| line.to_owned(), |next| format!("{line} {next}"))))
}

fn is_panic_line(line: &str) -> bool {
    const ANYWHERE: [&str; 8] = [
        "event=panic",
        " panicked at ",
        "Assertion `",
        "assertion failed:",
        "Assertion failed:",
        "terminate called",
        "memory allocation of ",
        "*** stack smashing",
    ];
    const PREFIXES: [&str; 4] = ["panic: ", "fatal error: ", "SIGABRT: ", "*** buffer overflow"];
    const ZAP_LEVELS: [&str; 2] = ["\"level\":\"panic\"", "\"level\":\"dpanic\""];
    ANYWHERE.iter().chain(&ZAP_LEVELS).any(|word| line.contains(word)) || PREFIXES.iter().any(|word| line.starts_with(word))
}

/// Returns the value of a field in a line of the bundled server's log, without quotes.
fn field(line: &str, name: &str) -> Option<String> {
    let (_, rest) = line.split_once(&format!(" {name}="))?;
    let Some(quoted) = rest.strip_prefix('"') else { return rest.split(' ').next().map(str::to_owned) };
    let (mut value, mut escaped) = (String::new(), false);
    for c in quoted.chars() {
        match (escaped, c) {
            (false, '\\') => escaped = true,
            (false, '"') => break,
            (false, c) => value.push(c),
            (true, c) => {
                value.push(if c == 'n' { ' ' } else { c });
                escaped = false;
            }
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(log: &str, want: Option<&str>) {
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(find_panic(&lines).as_deref(), want);
    }

    #[test]
    fn assertions_are_found_in_logs_of_several_languages() {
        check("wall=1.0 mono_ns=5 level=info node=n1 event=ready incarnation=1", None);
        check(
            "level=error node=n1 event=panic what=\"panicked at acceptor.rs:419:9:\\naccepted \\\"5\\\" is above\" backtrace=\"0: x\"\nafter",
            Some("panicked at acceptor.rs:419:9: accepted \"5\" is above"),
        );
        check(
            "x\nthread 'main' panicked at src/main.rs:3:5:\nboom\nnote: run with",
            Some("thread 'main' panicked at src/main.rs:3:5: boom"),
        );
        check(
            "panic: runtime error: index out of range [3]\n\ngoroutine 1 [running]:",
            Some("panic: runtime error: index out of range [3]"),
        );
        check("db: main.c:7: f: Assertion `a == b' failed.", Some("db: main.c:7: f: Assertion `a == b' failed."));
        check(
            "{\"level\":\"panic\",\"msg\":\"tocommit is out of range\"}",
            Some("{\"level\":\"panic\",\"msg\":\"tocommit is out of range\"}"),
        );
        check("memory allocation of 4096 bytes failed", Some("memory allocation of 4096 bytes failed"));
    }

    #[test]
    fn only_the_log_of_this_process_is_read_and_long_lines_are_cut() {
        let log = std::env::temp_dir().join(format!("heckle-last-words-{}.log", std::process::id()));
        let before = "panic: of an earlier process\n";
        let text = format!("{before}{}\n{}", (0..20).map(|i| format!("line {i}\n")).collect::<String>(), "x".repeat(1_000));
        std::fs::write(&log, &text).expect("a writable folder");
        let end_of_log = end(Some(ExitStatus::from_raw(6)), &log, before.len() as u64);
        std::fs::remove_file(&log).expect("it was there");
        assert_eq!((end_of_log.signal, end_of_log.code, end_of_log.said), (Some(6), None, None));
        assert_eq!((end_of_log.log.len(), end_of_log.log[0].as_str()), (MAX_LINES, "line 9"));
        assert_eq!(end_of_log.log[MAX_LINES - 1].chars().count(), MAX_LINE_LETTERS + 1);
    }
}
