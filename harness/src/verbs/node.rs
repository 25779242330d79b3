//! `heckle node`: one server process. Only parses; the server does the rest.

use crate::cli::NodeArgs;
use crate::exit;
use heckle_history::prng::Seed;
use heckle_server::options::{Backoff, NodeId, Rounds};
use heckle_server::{NodeOptions, run_node};
use std::process::ExitCode;

/// Runs one node until it ends.
pub(super) fn main(args: &NodeArgs) -> ExitCode {
    match options(args) {
        Ok(options) => run_node(options),
        Err(e) => {
            eprintln!("heckle node: {e}");
            ExitCode::from(exit::USAGE)
        }
    }
}

fn options(args: &NodeArgs) -> Result<NodeOptions, String> {
    let id: NodeId = args.id.parse().map_err(|e: heckle_server::OptionsError| e.to_string())?;
    let mut options = NodeOptions::new(id, args.cluster_id.clone(), args.data.clone());
    options.peer_listen = args.peer_listen;
    options.client_listen = args.client_listen;
    options.control_listen = args.control_listen;
    for peer in &args.peer {
        let (node, addr) = peer.split_once('=').ok_or_else(|| format!("--peer {peer}: write n2=127.0.0.1:7001"))?;
        let node = node.parse().map_err(|e: heckle_server::OptionsError| e.to_string())?;
        let addr = addr.parse().map_err(|_| format!("--peer {peer}: `{addr}` is not an address and a port"))?;
        options.peers.push((node, addr));
    }
    options.seed = args.seed.parse::<Seed>()?.0;
    options.rounds = Rounds::Classic;
    // The default of the options is the uniform one, with its bound.
    if args.backoff == "none" {
        options.backoff = Backoff::None;
    }
    options.mutants.clone_from(&args.mutant);
    options.exit_on_stdin_eof = args.exit_on_stdin_eof;
    options.parent_pid = args.parent_pid;
    Ok(options)
}
