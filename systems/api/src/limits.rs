//! Detects when this process or machine has reached a limit. A limit of the harness is never a failure of the system under test.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

static MET: Mutex<Option<String>> = Mutex::new(None);
/// Whether [`MET`] contains a limit.
static ANY_MET: AtomicBool = AtomicBool::new(false);

/// The limit that caused an operating system error, if any.
fn limit_of(e: &io::Error) -> Option<&'static str> {
    Some(match e.raw_os_error()? {
        libc::EMFILE => "this process has no file descriptor left: raise `ulimit -n`, or use fewer clients",
        libc::ENFILE => "the machine has no file descriptor left: raise /proc/sys/fs/file-max, or end other programs",
        libc::ENOBUFS => "the machine has no socket buffers left: end other programs",
        libc::EADDRNOTAVAIL => "the machine has no free port left: wait for others to be freed, or widen net.ipv4.ip_local_port_range",
        libc::ENOMEM => "there is no memory left: raise `ulimit -v`, or end other programs",
        libc::EFBIG => "a limit of file sizes was reached: raise `ulimit -f`",
        libc::ENOSPC => "the disk is full: make room, or name another folder with --out",
        libc::EDQUOT => "the disk quota is used up: make room, or name another folder with --out",
        _ => return None,
    })
}

/// An error message that names the limit, if one was reached, and suggests a remedy.
pub fn named(e: &io::Error) -> String {
    limit_of(e).map_or_else(|| e.to_string(), |limit| format!("{e}: {limit}"))
}

/// An error message that explains why no thread could be started, and suggests a remedy.
pub fn no_thread(e: &io::Error) -> String {
    let advice = "raise `ulimit -u` (processes and threads) or `ulimit -v` (memory), or end other programs";
    format!("the harness cannot start a thread: {e}: {advice}")
}

/// Starts a thread. Failure to start one is an error, never a panic.
///
/// # Errors
/// Fails if no more threads can be started.
pub fn thread<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Records that the harness itself reached a limit. The run then ends with a machine error, regardless of the operation's
/// outcome.
pub fn note(e: &io::Error) {
    if let Some(limit) = limit_of(e) {
        let mut met = MET.lock().unwrap_or_else(PoisonError::into_inner);
        met.get_or_insert_with(|| format!("the harness met a limit: {e}: {limit}"));
        ANY_MET.store(true, Ordering::SeqCst);
    }
}

/// The first limit reached since the last [`forget`].
pub fn met() -> Option<String> {
    MET.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Whether a limit has been reached since the last [`forget`].
pub fn any_met() -> bool {
    ANY_MET.load(Ordering::SeqCst)
}

/// Clears the recorded limit, at the start of a run.
pub fn forget() {
    let mut met = MET.lock().unwrap_or_else(PoisonError::into_inner);
    *met = None;
    ANY_MET.store(false, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_names_the_limit() {
        for (errno, name) in [
            (libc::EMFILE, "ulimit -n"),
            (libc::ENFILE, "file-max"),
            (libc::ENOBUFS, "socket buffers"),
            (libc::EADDRNOTAVAIL, "port"),
            (libc::ENOMEM, "ulimit -v"),
            (libc::EFBIG, "ulimit -f"),
            (libc::ENOSPC, "disk is full"),
        ] {
            let said = named(&io::Error::from_raw_os_error(errno));
            assert!(said.contains(name), "{said}");
        }
        for errno in [libc::ECONNREFUSED, libc::ECONNRESET, libc::EPIPE] {
            assert_eq!(limit_of(&io::Error::from_raw_os_error(errno)), None, "what a dead node looks like is no limit");
        }
    }
}
