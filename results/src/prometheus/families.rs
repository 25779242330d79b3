//! The names of all exported figures. Dashboards depend on them, so the meaning of a name never changes.

/// Type of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FamilyKind {
    /// Only grows during a run.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by bucket, with their sum.
    Histogram,
}

/// A figure with its labels.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// Its name, which ends with the unit.
    pub name: &'static str,
    /// Its type, such as counter or gauge.
    pub kind: FamilyKind,
    /// The help text.
    pub help: &'static str,
    /// Its labels, in addition to `plan` and `run`.
    pub labels: &'static [&'static str],
}

impl FamilyKind {
    /// Returns the word used in the exposition.
    pub fn word(self) -> &'static str {
        match self {
            FamilyKind::Counter => "counter",
            FamilyKind::Gauge => "gauge",
            FamilyKind::Histogram => "histogram",
        }
    }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: FamilyKind::Counter, help, labels }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: FamilyKind::Gauge, help, labels }
}

/// Labels that every figure has: the plan and the run id.
pub const COMMON_LABELS: [&str; 2] = ["plan", "run"];

/// Every figure, in the order of the exposition.
pub const FAMILIES: [Family; 17] = [
    gauge("heckle_run_info", &["system", "seed", "git"], "Always 1: what the labels say about the run."),
    gauge("heckle_run_state", &["state"], "1 for the state of the run (running, done, interrupted, killed), 0 for the others."),
    gauge("heckle_run_verdict", &["verdict"], "1 for the verdict of the run, 0 for the others; all 0 while it goes on."),
    gauge("heckle_run_exit_code", &[], "Exit code of the run; absent while it goes on."),
    gauge("heckle_run_start_timestamp_seconds", &[], "When the run began, as Unix time."),
    gauge("heckle_run_elapsed_seconds", &[], "Time since the start of the run, or its whole duration."),
    gauge("heckle_load_target_per_second", &["unit"], "Target rate, of ops or of intents; absent in a closed loop."),
    gauge("heckle_load_late_ratio", &[], "Share of ops or intents that the harness sent late; absent while the run goes on."),
    counter("heckle_ops_invoked_total", &["op"], "Ops sent, by kind."),
    counter("heckle_ops_total", &["op", "outcome"], "Ops by kind and outcome: applied, condition_not_met, failed, unknown."),
    gauge("heckle_ops_in_flight", &[], "Ops sent whose outcome is still open; absent when the run is over."),
    Family {
        name: "heckle_op_latency_seconds",
        kind: FamilyKind::Histogram,
        help: "Latency of ok ops by kind, from when they were due.",
        labels: &["op"],
    },
    counter("heckle_faults_total", &["kind"], "Faults injected, by kind."),
    gauge("heckle_faults_active", &[], "Faults that last now."),
    gauge(
        "heckle_fault_recovery_seconds",
        &["fault", "kind"],
        "Time from the end of a fault until the slowest node completed an op sent after it.",
    ),
    gauge("heckle_violations", &[], "Violations found, crashes included."),
    gauge("heckle_node_figure", &["node", "figure"], "Figures that a node reported last, by the system's own names."),
];

/// Returns the family of this name.
pub fn family(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.name == name)
}
