//! `heckle node`: runs one server process. This file only parses the configuration.

use crate::cli::NodeArgs;
use crate::plan::file::read_toml;
use heckle_history::prng::Seed;
use heckle_results::input;
use heckle_server::node::EXIT_DISK;
use heckle_server::options::{NodeId, NodeIdError, Prune, Queue, Unsynced};
use heckle_server::{ClusterSecret, NodeOptions, run_node};
use heckle_system_api::settings::one_of;
use heckle_system_paxos::lease_settings as lease;
use heckle_system_paxos::settings::{BACKOFFS, PRUNES, QUEUES, ROUNDS, contention_timeout, paxos_ttl};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

/// Runs one node until it ends.
pub(super) fn main(args: &NodeArgs) -> ExitCode {
    if let Some(folder) = &args.verify {
        return verify(folder);
    }
    match merge_config_file(args).and_then(|all| options(&all)) {
        Ok(options) => run_node(options),
        Err(e) => super::usage("node", &e),
    }
}

/// Checks a data folder and prints its contents.
fn verify(folder: &Path) -> ExitCode {
    match heckle_server::verify_folder(folder) {
        Ok(found) => {
            let members = if found.members.is_empty() { "not recorded yet".to_owned() } else { found.members.join(" ") };
            outln!("{} is sound: {} of cluster {}, folder {}", folder.display(), found.node, found.cluster, found.folder);
            outln!("  nodes of the cluster: {members}; started {} times", found.incarnation);
            outln!(
                "  {} records up to batch {}; {} keys, {} of them with a value",
                found.records,
                found.last_batch,
                found.keys,
                found.rows
            );
            if found.torn_bytes > 0 {
                outln!("  {} bytes of a torn tail, which the next start cuts off; nothing acknowledged is in it", found.torn_bytes);
            }
            ExitCode::SUCCESS
        }
        Err(error) if error.is_usage() => super::usage("node", &error.to_string()),
        Err(error) => {
            errln!("heckle node: not sound: {error}");
            ExitCode::from(EXIT_DISK)
        }
    }
}

/// Merges the flags with the configuration file that they name. A flag overrides the same key in the file.
fn merge_config_file(flags: &NodeArgs) -> Result<NodeArgs, String> {
    let Some(path) = &flags.config else { return Ok(flags.clone()) };
    let name = path.display().to_string();
    let text = input::text(path, input::PLAN).map_err(|e| format!("cannot read the configuration {name}: {e}"))?;
    // The file is parsed on its own first, so that an error names its position there.
    let file: NodeArgs = read_toml(&text, &name)?;
    let table = |args: &NodeArgs| toml::Table::try_from(args).expect("flags and keys are plain data");
    let said = |value: &toml::Value| match value {
        toml::Value::Array(all) => !all.is_empty(),
        toml::Value::Boolean(on) => *on,
        _ => true,
    };
    let mut all = table(&file);
    all.extend(table(flags).into_iter().filter(|(_, value)| said(value)));
    all.try_into().map_err(|e: toml::de::Error| format!("{name} with the flags over it: {}", e.message()))
}

fn options(args: &NodeArgs) -> Result<NodeOptions, String> {
    let needed = |flag: &str| format!("--{flag} is missing: give the flag, or `{}` in the file of --config", flag.replace('-', "_"));
    let id: NodeId = args.id.as_deref().ok_or_else(|| needed("id"))?.parse().map_err(|e: NodeIdError| e.to_string())?;
    let cluster_id = args.cluster_id.clone().ok_or_else(|| needed("cluster-id"))?;
    let mut options = NodeOptions::new(id, cluster_id, args.data.clone().ok_or_else(|| needed("data"))?);
    options.peer_listen = args.peer_listen.unwrap_or(options.peer_listen);
    options.client_listen = args.client_listen.unwrap_or(options.client_listen);
    options.control_listen = args.control_listen.unwrap_or(options.control_listen);
    options.metrics_listen = args.metrics_listen.as_deref().map(metrics_address).transpose()?;
    for peer in &args.peer {
        let (node, addr) = peer.split_once('=').ok_or_else(|| format!("--peer {peer}: write n2=127.0.0.1:7001"))?;
        let node = node.parse().map_err(|e: NodeIdError| e.to_string())?;
        let addr = addr.parse().map_err(|_| format!("--peer {peer}: `{addr}` is not an address and a port"))?;
        options.peers.push((node, addr));
    }
    options.secret = args.cluster_secret_file.as_deref().map(ClusterSecret::from_file).transpose().map_err(|e| e.to_string())?;
    options.remote = args.allow_remote;
    options.seed = args.seed.as_deref().unwrap_or("0").parse::<Seed>()?.0;
    options.rounds = one_of("rounds", args.rounds.as_deref(), ROUNDS)?.parse().map_err(|e: heckle_server::OptionsError| e.to_string())?;
    options.backoff =
        one_of("backoff", args.backoff.as_deref(), BACKOFFS)?.parse().map_err(|e: heckle_server::OptionsError| e.to_string())?;
    options.contention_timeout = contention_timeout(args.contention_timeout)?.map(|span| span.0);
    options.lease = lease::settings(lease::LeaseWords {
        lease: args.lease.as_deref(),
        time: args.lease_time,
        drift: args.lease_drift.as_deref(),
        ranges: args.lease_ranges,
        forward: args.forward.as_deref(),
    })?;
    if one_of("queue", args.queue.as_deref(), QUEUES)? == "fifo" {
        options.queue = Queue::Fifo;
    }
    if one_of("prune", args.prune.as_deref(), PRUNES)? == "off" {
        options.prune = Prune::Off;
    }
    options.paxos_ttl = paxos_ttl(args.paxos_ttl.unwrap_or_default())?.ttl();
    let limits = &mut options.limits;
    set_limit("max_clients", args.max_clients, &mut limits.client_connections)?;
    set_limit("max_in_flight", args.max_in_flight, &mut limits.in_flight_per_connection)?;
    set_limit("max_queue", args.max_queue, &mut limits.queue_per_key)?;
    options.stop_grace = args.stop_grace.map_or(options.stop_grace, |s| s.0);
    if args.overlay {
        options.storage.unsynced = Unsynced::Overlay;
    }
    options.mutants.clone_from(&args.mutant);
    options.exit_on_stdin_eof = args.exit_on_stdin_eof;
    options.parent_pid = args.parent_pid;
    Ok(options)
}

/// Parses the metrics address. A bare port is bound on loopback only. To be reachable from other machines, give the full address.
fn metrics_address(text: &str) -> Result<SocketAddr, String> {
    let port = text.parse::<u16>().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    port.or_else(|_| text.parse())
        .map_err(|_| format!("metrics_listen = `{text}`: write a port, or an address and a port as 127.0.0.1:9100"))
}

fn set_limit(name: &str, given: Option<u32>, limit: &mut usize) -> Result<(), String> {
    match given {
        Some(0) => Err(format!("{name} = 0: a node that takes nothing is of no use; 1 is the least")),
        Some(most) => {
            *limit = most as usize;
            Ok(())
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_server::options::Backoff;

    fn file(text: &str) -> (std::path::PathBuf, NodeArgs) {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let unique = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("heckle-node-config-{}-{unique}.toml", std::process::id()));
        std::fs::write(&path, text).expect("a writable folder");
        (path.clone(), NodeArgs { config: Some(path), ..NodeArgs::default() })
    }

    const WHOLE: &str = "id = \"n2\"\ncluster_id = \"c\"\ndata = \"d\"\npeer = [\"n1=127.0.0.1:7001\"]\nclient_listen = \"127.0.0.1:7102\"\n\
        metrics_listen = \"9102\"\nbackoff = \"none\"\nmax_clients = 7\nmax_queue = 9\nstop_grace = \"2s\"\n";

    #[test]
    fn flags_override_the_configuration_file() {
        let (path, flags) = file(WHOLE);
        let options_of = |flags: &NodeArgs| merge_config_file(flags).and_then(|all| options(&all));
        let from_file = options_of(&flags).expect("sound");
        assert_eq!((from_file.id.to_string().as_str(), from_file.cluster_id.as_str()), ("n2", "c"));
        assert_eq!(from_file.peers, [("n1".parse().unwrap(), "127.0.0.1:7001".parse().unwrap())]);
        assert_eq!(from_file.metrics_listen, Some("127.0.0.1:9102".parse().unwrap()));
        assert_eq!((from_file.backoff, from_file.limits.client_connections, from_file.limits.queue_per_key), (Backoff::None, 7, 9));
        assert_eq!(from_file.stop_grace, std::time::Duration::from_secs(2));
        let over = NodeArgs {
            id: Some("n3".into()),
            peer: vec!["n1=127.0.0.1:1".into(), "n2=127.0.0.1:2".into()],
            max_clients: Some(8),
            backoff: Some("uniform".into()),
            ..flags
        };
        let both = options_of(&over).expect("sound");
        assert_eq!((both.id.to_string().as_str(), both.peers.len(), both.limits.client_connections), ("n3", 2, 8));
        assert!(matches!(both.backoff, Backoff::Uniform { .. }));
        assert_eq!(both.limits.queue_per_key, 9, "what no flag says stays as in the file");
        let _ = std::fs::remove_file(path);
    }

    #[test]
    fn errors_name_their_position() {
        for (text, parts) in [
            ("id = \"n1\"\nclient_lisen = \"127.0.0.1:1\"\n", &["line 2, column 1", "`client_lisen`", "did you mean `client_listen`"][..]),
            ("id = \"n1\"\n\nmax_clients = \"many\"\n", &["line 3"]),
            ("client_listen = \"nowhere\"\n", &["line 1"]),
            ("id = n1\n", &["line 1"]),
            ("id = \"n1\"\ndata = \"d\"\n", &["--cluster-id is missing", "`cluster_id`"]),
            ("id = \"x\"\ncluster_id = \"c\"\ndata = \"d\"\n", &["\"x\" is not the name of a node"]),
            ("id = \"n1\"\ncluster_id = \"c\"\ndata = \"d\"\nmax_queue = 0\n", &["max_queue = 0"]),
            ("id = \"n1\"\ncluster_id = \"c\"\ndata = \"d\"\nmetrics_listen = \"here\"\n", &["`here`", "127.0.0.1:9100"]),
            ("id = \"n1\"\ncluster_id = \"c\"\ndata = \"d\"\nbackoff = \"unifrm\"\n", &["did you mean `uniform`"]),
        ] {
            let (path, flags) = file(text);
            let error = merge_config_file(&flags).and_then(|all| options(&all)).expect_err(text);
            for part in parts {
                assert!(error.contains(part), "`{error}` does not say `{part}`");
            }
            let _ = std::fs::remove_file(path);
        }
        let nowhere = NodeArgs { config: Some("nowhere.toml".into()), ..NodeArgs::default() };
        assert!(merge_config_file(&nowhere).expect_err("no file").contains("nowhere.toml"));
    }
}
