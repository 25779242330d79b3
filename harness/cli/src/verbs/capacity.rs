//! `heckle capacity`: computes the bytes that a node needs, and shows the formula.

use super::usage;
use crate::cli::CapacityArgs;
use crate::exit;
use heckle_server::capacity::{CLIENTS_REMEMBERED, Capacity, Demand};
use heckle_server::client_protocol::{MAX_KEY, MAX_VALUE};
use heckle_server::options::{MAX_NODES, Prune, StorageOptions};
use heckle_system_api::settings::one_of;
use heckle_system_paxos::settings::{PRUNES, ROUNDS, paxos_ttl};
use std::fmt::Write as _;
use std::process::ExitCode;

/// Maximum number of keys, beyond what any node holds. The limit keeps sums within 64 bits.
const MAX_KEYS: u64 = 1 << 32;
/// Maximum number of new keys per second, beyond what any node accepts.
const MAX_RATE: f64 = 1e9;

pub(super) fn main(args: &CapacityArgs) -> ExitCode {
    let demand = match demand(args) {
        Ok(demand) => demand,
        Err(what) => return usage("capacity", &what),
    };
    let capacity = demand.capacity();
    if args.json {
        outln!("{:#}", json(&demand, &capacity));
    } else {
        out!("{}", table(&demand, &capacity));
    }
    ExitCode::from(exit::OK)
}

fn demand(args: &CapacityArgs) -> Result<Demand, String> {
    let within = |flag: &str, value: u64, least: u64, most: u64| {
        if (least..=most).contains(&value) { Ok(value) } else { Err(format!("--{flag} {value} is not within {least} to {most}")) }
    };
    let rate = args.new_keys_per_s;
    if !(0.0..=MAX_RATE).contains(&rate) {
        return Err(format!("--new-keys-per-s {rate} is not within 0 to {MAX_RATE}"));
    }
    let ttl = paxos_ttl(args.ttl)?.ttl();
    let prune = if one_of("prune", args.prune.as_deref(), PRUNES)? == "off" { Prune::Off } else { Prune::On };
    let rounds = one_of("rounds", args.rounds.as_deref(), ROUNDS)?.parse().map_err(|e: heckle_server::OptionsError| e.to_string())?;
    let keys = within("keys", args.keys, 0, MAX_KEYS)?;
    Ok(Demand {
        keys,
        new_keys_per_s: rate,
        hot_keys: within("hot-keys", args.hot_keys, 0, keys)?,
        key_bytes: within("key-bytes", args.key_bytes, 1, MAX_KEY as u64)?,
        value_bytes: within("value-bytes", args.value_bytes, 0, MAX_VALUE as u64)?,
        clients_per_key: within("clients-per-key", args.clients_per_key, 1, u64::from(u32::MAX))?,
        ttl,
        prune,
        rounds,
        nodes: within("nodes", args.nodes, 1, u64::from(MAX_NODES))?,
        storage: StorageOptions::default(),
    })
}

/// Returns the rows of the table: kind of data, bytes, and formula.
fn rows(demand: &Demand, capacity: &Capacity) -> Vec<(&'static str, u64, String)> {
    let (state, storage) = (&capacity.state, &demand.storage);
    let ids = demand.clients_per_key.min(CLIENTS_REMEMBERED);
    let segment = storage.segment_bytes;
    vec![
        ("data", state.data, format!("{} keys x ({} key + {} value)", group_digits(demand.keys), demand.key_bytes, demand.value_bytes)),
        ("promise", state.promise, "24 a key, and 24 more a live key with rounds `fast`".to_owned()),
        (
            "accepted",
            state.accepted,
            format!("{} copies x (24 + {} value + 40 x {ids} ids)", group_digits(capacity.copies), demand.value_bytes),
        ),
        (
            "dedupe",
            state.dedupe,
            format!(
                "{} live keys x 40 x {ids} ids + {} expired x 8",
                group_digits(capacity.live_keys),
                group_digits(demand.keys - capacity.live_keys)
            ),
        ),
        ("queue", state.queue, "decisions of this coordinator that wait 20 ms to be pruned".to_owned()),
        ("state, in memory", state.total(), "their sum: sizes of fields, without overhead of containers".to_owned()),
        ("snapshot", capacity.snapshot, "each key as one record of its fields, numbers of variable length".to_owned()),
        ("log, least", capacity.log_least, format!("2 segments x {}: the open one and the next, prepared", group_digits(segment))),
        (
            "log, most",
            capacity.log_most,
            format!("({} closed + open + prepared) x {}", storage.segments_before_snapshot, group_digits(segment)),
        ),
        ("disk, least", capacity.disk_least(), "snapshot + log, right after a compaction".to_owned()),
        ("disk, most", capacity.disk_most(), "2 snapshots + log, as a compaction ends".to_owned()),
    ]
}

fn table(demand: &Demand, capacity: &Capacity) -> String {
    let mut text = String::new();
    let ttl = demand.ttl.map_or("off".to_owned(), |ttl| format!("{ttl:?}"));
    let prune = format!("{:?}", demand.prune).to_lowercase();
    let _ = writeln!(text, "each node, with prune {prune} and time to live {ttl}:\n");
    for (name, bytes, how) in rows(demand, capacity) {
        let _ = writeln!(text, "  {name:<17} {:>17}   {how}", group_digits(bytes));
    }
    let _ = writeln!(
        text,
        "\nlive keys: {}",
        match demand.ttl {
            None => "all, as nothing expires".to_owned(),
            Some(_) => format!(
                "new keys a second x (time to live + half a sweep + the part of one that older keys take) + {} hot keys",
                group_digits(demand.hot_keys)
            ),
        }
    );
    let _ = writeln!(text, "all {} nodes: {} bytes of disk at most", demand.nodes, group_digits(demand.nodes * capacity.disk_most()));
    text
}

fn json(demand: &Demand, capacity: &Capacity) -> serde_json::Value {
    let state = &capacity.state;
    serde_json::json!({
        "schema": "heckle.capacity/1",
        "keys": demand.keys,
        "live_keys": capacity.live_keys,
        "copies": capacity.copies,
        "state_bytes": {
            "data": state.data, "promise": state.promise, "accepted": state.accepted, "dedupe": state.dedupe, "queue": state.queue,
            "total": state.total(),
        },
        "snapshot_bytes": capacity.snapshot,
        "log_bytes": {"least": capacity.log_least, "most": capacity.log_most},
        "disk_bytes": {"least": capacity.disk_least(), "most": capacity.disk_most()},
        "nodes": demand.nodes,
    })
}

fn group_digits(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
