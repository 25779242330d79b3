//! The limits of this process and this machine. They are compared with the needs of a run before the load starts. A
//! limit that is reached later is reported by name. Reaching a limit of the harness is never a failure of the system under test.

use crate::plan::{Net, Plan, Route};
pub use heckle_system_api::limits::{any_met, forget, met, named, no_thread, note, thread};

/// Descriptors reserved for short-lived uses: result files, pipes of children, sockets that are being closed.
const SPARE_DESCRIPTORS: u64 = 32;
/// Descriptors that every process has open, including those of its runtime: streams, epoll, timers, signals.
const OWN_DESCRIPTORS: u64 = 16;
/// Descriptors that a node sets aside for its log files, lock, runtime and listeners, and for each other node.
const NODE_DESCRIPTORS: u64 = 56;
const PEER_DESCRIPTORS: u64 = 4;
/// Largest file that a node writes before it starts another: a segment of its log. With a lower limit on file sizes, every node would end.
const LONGEST_FILE_BYTES: u64 = 16 << 20;
/// Minimum address space for the threads, their stacks and the relay's buffers.
const MIN_ADDRESS_SPACE: u64 = 512 << 20;

/// Turns a write beyond `ulimit -f` into an error, as on a full disk, instead of a fatal SIGXFSZ. Children inherit
/// this.
pub fn survive_long_files() {
    // SAFETY: sets the disposition of one signal, before any other thread of this process exists.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Upper bound on the resources that a run needs in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// File descriptors of the harness.
    pub harness_descriptors: u64,
    /// File descriptors of one node.
    pub node_descriptors: u64,
}

impl Needs {
    /// Computes the needs of `plan`.
    pub fn of(plan: &Plan) -> Needs {
        let nodes = u64::from(plan.nodes);
        let to_each = match plan.route {
            Route::Pinned => 1,
            Route::Random | Route::Holder => nodes,
        };
        // Clients, fate queries during and after the load, final reads.
        let clients = u64::from(plan.clients) * to_each + 2 * nodes + 1;
        let links = nodes * (nodes - 1);
        let relay = match plan.net {
            Net::Direct => 0,
            // Listeners, two descriptors per connection, plus epoll, timer and waker.
            Net::Relay => links + nodes + 2 * (clients + links) + 3 + if plan.client_delay.is_some() { 3 * nodes + 3 } else { 0 },
        };
        let watching = nodes * u64::from(plan.system.connections_per_node());
        let pipes = 2 * nodes;
        Needs {
            harness_descriptors: OWN_DESCRIPTORS + SPARE_DESCRIPTORS + clients + relay + watching + pipes,
            // A node reserves up to a quarter for connections other than clients.
            node_descriptors: NODE_DESCRIPTORS + PEER_DESCRIPTORS * (nodes - 1) + clients + clients.div_ceil(3),
        }
    }
}

/// Raises the soft limits where possible, and compares the needs of the plan with the limits.
///
/// # Errors
/// Names the limit that is too low, the value needed, and how to raise it.
pub fn check(plan: &Plan) -> Result<(), String> {
    let needs = Needs::of(plan);
    let (descriptors, who) = if needs.harness_descriptors >= needs.node_descriptors {
        (needs.harness_descriptors, "the harness")
    } else {
        (needs.node_descriptors, "a node")
    };
    let what = || format!("{who} of {} nodes and {} clients needs up to {descriptors} file descriptors", plan.nodes, plan.clients);
    require(raise_soft_limit(libc::RLIMIT_NOFILE, descriptors), descriptors, &what, "ulimit -n", descriptors)?;
    let what = || format!("a node writes files of up to {} MiB", LONGEST_FILE_BYTES >> 20);
    require(raise_soft_limit(libc::RLIMIT_FSIZE, LONGEST_FILE_BYTES), LONGEST_FILE_BYTES, &what, "ulimit -f", LONGEST_FILE_BYTES >> 10)?;
    let what = || format!("a run needs {} MiB of address space", MIN_ADDRESS_SPACE >> 20);
    require(raise_soft_limit(libc::RLIMIT_AS, MIN_ADDRESS_SPACE), MIN_ADDRESS_SPACE, &what, "ulimit -v", MIN_ADDRESS_SPACE >> 10)
}

fn require(limit: u64, needed: u64, what: &dyn Fn() -> String, name: &str, in_its_unit: u64) -> Result<(), String> {
    if limit >= needed {
        return Ok(());
    }
    Err(format!("{}, and the limit is {limit}: raise it with `{name} {in_its_unit}`, or ask for less", what()))
}

/// Returns the soft limit, raised towards `wanted` within the hard limit.
fn raise_soft_limit(resource: libc::__rlimit_resource_t, wanted: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the result.
    if unsafe { libc::getrlimit(resource, &raw mut limit) } != 0 {
        // A limit that cannot be read cannot be checked. It is reported when it is reached.
        return u64::MAX;
    }
    if limit.rlim_cur < wanted && limit.rlim_max > limit.rlim_cur {
        let higher = libc::rlimit { rlim_cur: limit.rlim_max.min(wanted), ..limit };
        // SAFETY: `higher` is a valid limit that lives until the call returns.
        if unsafe { libc::setrlimit(resource, &raw const higher) } == 0 {
            return higher.rlim_cur;
        }
    }
    limit.rlim_cur
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::settings::Settings;

    fn needs(toml: &str) -> Needs {
        Needs::of(&Plan::resolve(&toml::from_str::<Settings>(toml).expect("TOML"), crate::testing::SYSTEMS).expect("makes sense"))
    }

    #[test]
    fn more_clients_nodes_and_links_need_more_descriptors() {
        let few = needs("[cluster]\nnodes = 3\n[load]\nclients = 4\n");
        let many = needs("[cluster]\nnodes = 3\n[load]\nclients = 64\n");
        let wide = needs("[cluster]\nnodes = 5\n[load]\nclients = 4\n");
        let direct = needs("[cluster]\nnodes = 3\nnet = \"direct\"\n[load]\nclients = 4\n[faults]\nkinds = [\"none\"]\n");
        assert_eq!(many.harness_descriptors - few.harness_descriptors, 3 * 60, "a client, and two ends in the relay");
        assert!(wide.harness_descriptors > few.harness_descriptors && direct.harness_descriptors < few.harness_descriptors);
        assert!(many.harness_descriptors > 100 && few.harness_descriptors > 40);
    }

    #[test]
    fn a_limit_that_is_too_low_is_an_error_with_the_number_needed() {
        let said = require(40, 131, &|| "it needs 131".into(), "ulimit -n", 131).expect_err("too low");
        assert!(said.contains("the limit is 40") && said.contains("`ulimit -n 131`"), "{said}");
        assert_eq!(require(131, 131, &String::new, "ulimit -n", 131), Ok(()));
    }
}
