//! Experiments that need no plan.

use crate::plan::file::did_you_mean;

/// An experiment: what all arms share, and what each sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Preset {
    /// Its name after `--preset`.
    pub(super) name: &'static str,
    /// A plan without `schema`.
    pub(super) plan: &'static str,
    /// Arms as `--arm` takes them, the reference first.
    pub(super) arms: &'static [&'static str],
}

/// One key that everybody wants; one node is gone for a while, then one is stopped. The load is low because of what follows
/// a fault: all that waited then race for the key, and at twice the load most intents end with the run, so that the tails of
/// all arms would be bounds.
const CONTENDED: &str = "[load]\nworkload = \"hot-key\"\nclients = 12\nrate = 20\nduration = \"20s\"\nwarmup = \"2s\"\nop_timeout = \"2s\"\n[faults]\nkinds = [\"kill\", \"pause\"]\nquiet_tail = \"2s\"\n";
/// The same, but it is the holder of the lease that is killed and stopped, the busiest coordinator where nobody holds one:
/// the price of a lease shows while a dead holder's runs out.
const HOLDER_STRUCK: &str = "[load]\nworkload = \"hot-key\"\nclients = 12\nrate = 20\nduration = \"20s\"\nwarmup = \"2s\"\nop_timeout = \"2s\"\n[faults]\nkinds = [\"kill:holder\", \"pause:holder\"]\nquiet_tail = \"2s\"\n";

/// Many keys, a few of them wanted by everybody: what expires is what rests, and a single hot key never does.
const MANY_KEYS: &str = "[load]\nworkload = \"hot-key\"\nkeys = 1000\nzipf = 1.0\nclients = 12\nrate = 100\nduration = \"20s\"\nwarmup = \"2s\"\nop_timeout = \"2s\"\n[faults]\nkinds = [\"kill\", \"pause\"]\nquiet_tail = \"2s\"\n";

/// New keys all the time, for as long as the run lasts, beside a few that everybody wants: what nodes keep beside keys and
/// values grows as long as nothing is done against it. While a node is down nothing can be pruned, which the picture shows.
const NEW_KEYS: &str = "[load]\nworkload = \"hot-key\"\nkeys = 1000\nzipf = 1.0\nvalue_bytes = 100\nclients = 12\nrate = 100\nduration = \"20s\"\nwarmup = \"2s\"\nop_timeout = \"2s\"\n[faults]\nkinds = [\"kill\"]\nquiet_tail = \"2s\"\n";

/// All of them.
pub(super) const PRESETS: &[Preset] = &[
    Preset {
        name: "lease",
        plan: HOLDER_STRUCK,
        arms: &["off:lease=off", "priority:lease=priority,forward=on", "read:lease=read,forward=on"],
    },
    Preset {
        name: "rounds",
        plan: CONTENDED,
        arms: &["classic:rounds=classic", "merged:rounds=merged", "async-learn:rounds=async-learn", "fast:rounds=fast"],
    },
    Preset { name: "backoff", plan: CONTENDED, arms: &["uniform:backoff=uniform", "none:backoff=none", "adaptive:backoff=adaptive"] },
    // What expiry saves in bytes shows in the state, what it costs in the waits.
    Preset { name: "ttl", plan: MANY_KEYS, arms: &["off:paxos_ttl=off", "2s:paxos_ttl=2s"] },
    // Time to live comes on top of prune, which is on unless somebody turns it off.
    Preset { name: "state", plan: NEW_KEYS, arms: &["without:prune=off", "prune:prune=on", "ttl:prune=on,paxos_ttl=4s"] },
];

/// The experiment called `name`.
///
/// # Errors
/// Names the nearest one.
pub(super) fn find(name: &str) -> Result<&'static Preset, String> {
    let all: Vec<&str> = PRESETS.iter().map(|p| p.name).collect();
    PRESETS.iter().find(|p| p.name == name).ok_or_else(|| format!("there is no preset `{name}`; {}", did_you_mean(name, &all)))
}
