//! The benchmarks of `heckle bench`. They are separate from the code they measure: the engine and the server contain no benchmark code.

mod temp; // folders for the data of a measurement
pub mod relay; // requested delay and loss versus measured
pub mod soak; // the checkers compared on random histories
pub mod objects; // long histories of sets and lists: reading and judging
pub mod core; // cost of an operation in the core alone
pub mod store; // the node's log compared with other stores
pub mod check_file; // `heckle check` on a compressed file
pub mod page; // `heckle report` on a long run
pub mod load; // the highest rate that the load generator sends on time
pub mod etcd; // the bundled server compared with etcd
pub mod hostile; // nodes under hostile clients: survival, correct reads, memory

/// Returns the peak resident memory of a process so far, in bytes, or `None` if there is no such process.
fn peak_bytes(pid: u32) -> Option<u64> {
    peak_of(&heckle_results::input::kernel(format!("/proc/{pid}/status"))?)
}

/// Parses the peak resident memory, in bytes, from a `/proc/<pid>/status` file.
fn peak_of(status: &str) -> Option<u64> {
    let kib: u64 = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_what_the_kernel_says() {
        assert_eq!(peak_of("Name:\theckle\nVmHWM:\t   12345 kB\nVmRSS:\t   1 kB\n"), Some(12_345 * 1024));
        assert_eq!(peak_of("Name:\theckle\n"), None);
        assert!(peak_bytes(std::process::id()).is_some_and(|bytes| bytes > 1 << 20));
    }
}
