//! Workloads by name: the list behind `--workload`.

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkloadInfo {
    /// Its name in plans and flags.
    pub name: &'static str,
    /// The model its history is judged by.
    pub model: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
}

/// All workloads.
pub const WORKLOADS: &[WorkloadInfo] = &[WorkloadInfo {
    name: "cas-register",
    model: "cas-register",
    about: "clients read, write and compare-and-set a few contended registers; every value is unique",
}];

/// The workload called `name`.
pub fn find(name: &str) -> Option<&'static WorkloadInfo> {
    WORKLOADS.iter().find(|w| w.name == name)
}
