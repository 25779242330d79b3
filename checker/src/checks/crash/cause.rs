//! Classifies how a process ended, using a single table, and describes the cause.

/// The phase in which a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before the process was ready for the first time in the run, so it had not received any requests yet.
    FirstStart,
    /// The process was restarted on its existing data and was not ready yet.
    Restart,
    /// The process was serving requests.
    Serving,
    /// The process had been asked to shut down.
    Asked,
}

impl Phase {
    /// Returns the name used in histories.
    pub fn word(self) -> &'static str {
        match self {
            Phase::FirstStart => "first_start",
            Phase::Restart => "restart",
            Phase::Serving => "serving",
            Phase::Asked => "asked",
        }
    }

    pub(super) fn of(word: &str) -> Option<Phase> {
        [Phase::FirstStart, Phase::Restart, Phase::Serving, Phase::Asked].into_iter().find(|p| p.word() == word)
    }
}

/// The facts about the end of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    /// The signal that ended the process.
    pub signal: Option<i32>,
    /// The exit code, if no signal ended the process.
    pub code: Option<i32>,
    /// The assertion or panic message that the process logged.
    pub said: Option<String>,
    /// Last lines of the log.
    pub log: Vec<String>,
}

/// The cause of the end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The process was asked to shut down and did.
    Asked,
    /// The system under test failed on its own: a violation.
    Crash,
    /// A cause outside the system, with a description.
    Outside(&'static str),
}

const ABRT: i32 = 6;
/// ILL, TRAP, ABRT, BUS, FPE, SEGV, PIPE, SYS: signals that a process normally raises itself. The sender is not known
/// afterwards, so all of them count.
const CRASH_SIGNALS: [i32; 8] = [4, 5, ABRT, 7, 8, 11, 13, 31];

/// Number of lines at the end of the log that are searched for the cause.
const LAST_LINES: usize = 3;

/// Log messages of a process that was refused a resource, with the name of that resource. Only the last error of the
/// process counts: a temporary shortage does not excuse an unrelated assertion.
const SHORTAGES: [(&str, &str); 14] = [
    ("too many open files", "the machine or a limit (`ulimit -n`) left it without file descriptors"),
    ("cannot allocate memory", "the machine or a limit left it without memory"),
    ("memory allocation of", "the machine or a limit left it without memory"),
    ("out of memory", "the machine or a limit left it without memory"),
    ("no space left on device", "its disk is full"),
    ("disk quota exceeded", "its disk quota is used up"),
    ("file too large", "a limit of file sizes (`ulimit -f`) was reached"),
    ("address already in use", "another process has its port"),
    ("address in use", "another process has its port"),
    ("cannot assign requested address", "the machine left it without a port"),
    ("no buffer space available", "the machine left it without socket buffers"),
    ("resource temporarily unavailable", "the machine or a limit (`ulimit -u`) left it without threads"),
    ("received signal; shutting down", "it received a signal from outside the run"),
    ("event=stop_signal", "it received a signal from outside the run"),
];

/// Classifies an exit that no fault explains. The rows are tried in the order of the table.
///
/// | phase | ended by | means |
/// |---|---|---|
/// | any | its last log lines say that it was refused memory, descriptors, disk, ports or threads | outside |
/// | any | ILL, TRAP, ABRT, BUS, FPE, SEGV, PIPE, SYS, or exit code 128 + one of them (except 141, a closed pipe) | crash |
/// | any | a logged panic or assertion; exit 101, Rust's code for a panic | crash |
/// | asked | anything else | asked |
/// | any | any other signal: KILL, TERM, HUP, INT, QUIT, XCPU, XFSZ … | outside |
/// | any | exit 64: the configuration is invalid | outside |
/// | any | exit 74: the disk failed, and no disk fault was injected | outside |
/// | first start | any other exit code: it had not received requests yet | outside |
/// | restart, serving | any other exit code, even 0; this includes a refusal of its own data | crash |
pub fn cause(end: &End, phase: Phase) -> Cause {
    // The text of an assertion decides if one was logged; otherwise the last lines of the log do.
    let last = &end.log[end.log.len().saturating_sub(LAST_LINES)..];
    let last_words = end.said.clone().unwrap_or_else(|| last.join("\n")).to_lowercase();
    if let Some((_, what)) = SHORTAGES.iter().find(|(words, _)| last_words.contains(words))
        && phase != Phase::Asked
    {
        return Cause::Outside(what);
    }
    let own_fault = |signal: i32| CRASH_SIGNALS.contains(&signal);
    match (end.signal, end.code) {
        (Some(signal), _) if own_fault(signal) => Cause::Crash,
        (_, Some(code)) if code == 101 || (code != 141 && own_fault(code - 128)) => Cause::Crash,
        _ if end.said.is_some() => Cause::Crash,
        _ if phase == Phase::Asked => Cause::Asked,
        (Some(_), _) => Cause::Outside("a signal from outside the run"),
        (None, Some(64)) => Cause::Outside("what it was started with cannot work"),
        (None, Some(74)) => Cause::Outside("its disk failed, and no fault of the disk was injected"),
        (None, Some(_)) if phase == Phase::FirstStart => Cause::Outside("it did not start, and nothing had been asked of it yet"),
        (None, Some(_)) => Cause::Crash,
        (None, None) => Cause::Outside("how it ended is not known"),
    }
}

/// Describes how a process ended.
pub fn how(end: &End) -> String {
    match (end.signal, end.code) {
        (Some(signal), _) => format!("signal {signal}{}", signal_name(signal).map_or(String::new(), |name| format!(" ({name})"))),
        (None, Some(65)) => "exit code 65: it refused its own data".into(),
        (None, Some(74)) => "exit code 74: its disk failed".into(),
        (None, Some(101)) => "exit code 101: a Rust panic".into(),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "an unknown end".into(),
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    const NAMES: [(i32, &str); 16] = [
        (1, "SIGHUP"),
        (2, "SIGINT"),
        (3, "SIGQUIT"),
        (4, "SIGILL"),
        (5, "SIGTRAP"),
        (6, "SIGABRT"),
        (7, "SIGBUS"),
        (8, "SIGFPE"),
        (9, "SIGKILL"),
        (11, "SIGSEGV"),
        (13, "SIGPIPE"),
        (14, "SIGALRM"),
        (15, "SIGTERM"),
        (24, "SIGXCPU"),
        (25, "SIGXFSZ"),
        (31, "SIGSYS"),
    ];
    NAMES.iter().find(|(number, _)| *number == signal).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(signal: i32) -> End {
        End { signal: Some(signal), ..End::default() }
    }

    fn exit(code: i32) -> End {
        End { code: Some(code), ..End::default() }
    }

    fn saying(end: End, said: &str) -> End {
        End { said: Some(said.into()), ..end }
    }

    fn logging(end: End, lines: &[&str]) -> End {
        End { log: lines.iter().map(|l| (*l).to_owned()).collect(), ..end }
    }

    const ALIVE: [Phase; 3] = [Phase::FirstStart, Phase::Restart, Phase::Serving];
    const ALL: [Phase; 4] = [Phase::FirstStart, Phase::Restart, Phase::Serving, Phase::Asked];

    #[track_caller]
    fn check(end: &End, phases: &[Phase], want: &str) {
        for phase in phases {
            let got = match cause(end, *phase) {
                Cause::Asked => "asked",
                Cause::Crash => "crash",
                Cause::Outside(why) if want.is_empty() => panic!("{end:?} in {phase:?} is outside: {why}"),
                Cause::Outside(why) => why,
            };
            assert!(got.contains(want), "{end:?} in {phase:?} is `{got}`, not `{want}`");
        }
    }

    #[test]
    fn fatal_signals_are_crashes() {
        for number in [4, 5, 6, 7, 8, 11, 13, 31] {
            check(&signal(number), &ALL, "crash");
        }
        for code in [101, 134, 139] {
            check(&exit(code), &ALL, "crash");
        }
        check(&saying(exit(1), "panicked at src/a.rs:1:1: accepted is above the promise"), &ALL, "crash");
        check(&saying(signal(9), "panic: runtime error: index out of range"), &ALL, "crash");
        check(&exit(65), &[Phase::Restart, Phase::Serving], "crash");
        check(&exit(0), &[Phase::Restart, Phase::Serving], "crash");
        check(&exit(70), &[Phase::Restart, Phase::Serving], "crash");
    }

    #[test]
    fn outside_causes_are_not_crashes() {
        for number in [1, 2, 3, 9, 14, 15, 24, 25, 40] {
            check(&signal(number), &ALIVE, "a signal from outside");
        }
        check(&exit(64), &ALIVE, "cannot work");
        check(&exit(74), &ALIVE, "its disk failed");
        check(&exit(1), &[Phase::FirstStart], "nothing had been asked");
        check(&logging(exit(0), &["event=stop_signal signal=TERM", "event=stopping", "event=stopped"]), &ALIVE, "from outside the run");
        check(&End::default(), &ALIVE, "not known");
    }

    #[test]
    fn only_logged_shortages_excuse_an_exit() {
        check(
            &saying(signal(6), "failed to spawn thread: Os { code: 11, message: \"Resource temporarily unavailable\" }"),
            &ALIVE,
            "threads",
        );
        check(&logging(signal(6), &["memory allocation of 4096 bytes failed"]), &ALIVE, "memory");
        for (words, want) in [
            ("cannot listen: Address already in use (os error 98)", "port"),
            ("Too many open files (os error 24)", "descriptors"),
            ("write of log: No space left on device (os error 28)", "disk is full"),
            ("write of log: File too large (os error 27)", "ulimit -f"),
            ("mmap: Cannot allocate memory", "memory"),
        ] {
            check(&logging(exit(70), &[words]), &ALIVE, want);
        }
        // Neither a temporary shortage nor a shortage much earlier in the log explains an assertion.
        let passing = ["accept: Too many open files (os error 24)", "a", "b", "c"];
        check(&saying(logging(signal(6), &passing[..1]), "assertion failed: held <= promised"), &ALL, "crash");
        check(&logging(signal(6), &passing), &ALL, "crash");
    }

    #[test]
    fn requested_shutdowns_are_not_crashes() {
        for end in [signal(9), signal(15), exit(0), exit(1), exit(70), exit(74)] {
            check(&end, &[Phase::Asked], "asked");
        }
    }
}
