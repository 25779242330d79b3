//! Child processes that must not outlive this one.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Makes the kernel send `signal` to the child when the thread that started it ends, including when this process is killed.
pub fn end_with_parent(command: &mut Command, signal: i32) {
    // SAFETY: `prctl` with these arguments only sets a field of the new process; it allocates nothing.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, signal) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
}
