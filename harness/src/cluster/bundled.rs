//! Launches nodes of the bundled server: this very program, as `heckle node`, which prints a line when it is ready and
//! answers on a control channel.

use super::launch::{Launcher, NodeSpec, Site};
use super::process::NodeProcess;
use crate::plan::{ClockOffset, Plan, lease};
use crate::relay::Route;
use crate::system::target::NodeIdentity;
use heckle_faults::Node;
use heckle_server::client_protocol::Identity;
use heckle_server::status::Status;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The bundled server.
pub(super) struct Bundled {
    /// The node whose wall clock is wrong all the time.
    pub(super) slow_clock: Option<ClockOffset>,
}

/// A node that is up answers its control channel within this.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Where nodes listen.
struct Addresses {
    peer: Vec<SocketAddr>,
    client: Vec<SocketAddr>,
    control: Vec<SocketAddr>,
}

impl Launcher for Bundled {
    fn program(&self) -> Result<PathBuf, String> {
        std::env::current_exe().map_err(|e| format!("cannot find this program's own file: {e}"))
    }

    fn specs(&self, plan: &Plan, site: &Site<'_>) -> Result<Vec<NodeSpec>, String> {
        let n = usize::from(plan.nodes);
        let ports = site.addresses(3 * n)?;
        let addresses = Addresses { peer: ports[..n].to_vec(), client: ports[n..2 * n].to_vec(), control: ports[2 * n..].to_vec() };
        (0..n).map(|i| spec(plan, site, &addresses, i)).collect()
    }

    fn await_ready(&self, spec: &NodeSpec, process: &mut NodeProcess, within: Duration) -> Result<BTreeMap<String, Json>, String> {
        let line = process.await_ready(within)?;
        let told: BTreeMap<String, Json> = serde_json::from_str(&line).unwrap_or_default();
        let who: Identity = serde_json::from_str(&line)
            .map_err(|e| format!("its ready line does not say who it is ({e}): --bin must be a build of this release"))?;
        spec.node.learn(&who)?;
        let mut detail: BTreeMap<String, Json> = told.into_iter().filter(|(k, _)| k == "incarnation").collect();
        if let Some(clock) = self.slow_clock.filter(|clock| clock.node.to_string() == spec.name) {
            // A process begins with the right time, after a restart too.
            let connected = spec.node.control(spec.ask, ANSWERS_WITHIN);
            let set = connected.and_then(|mut c| c.set_clock(clock.offset_us, 0).map_err(|e| e.to_string()));
            set.map_err(|e| format!("its clock cannot be set: {e}"))?;
            detail.insert("clock_offset_us".into(), clock.offset_us.into());
        }
        Ok(detail)
    }

    fn sees_peers(&self, spec: &NodeSpec) -> Result<bool, String> {
        self.status(spec).map(|s| s.peers.iter().all(|p| p.outbound))
    }

    fn is_ready(&self, spec: &NodeSpec) -> bool {
        self.status(spec).is_ok_and(|s| s.ready)
    }

    fn status(&self, spec: &NodeSpec) -> Result<Status, String> {
        spec.node.control(spec.ask, ANSWERS_WITHIN)?.status().map_err(|e| e.to_string())
    }
}

fn spec(plan: &Plan, site: &Site<'_>, a: &Addresses, i: usize) -> Result<NodeSpec, String> {
    let me = Node(i as u16 + 1);
    let through = |route: Route, target: SocketAddr| match site.relay {
        None => Ok(target),
        Some(relay) => relay.open(route, target).map_err(|e| format!("the relay cannot open {route:?}: {e}")),
    };
    let mut args: Vec<OsString> = vec!["node".into(), "--id".into(), me.to_string().into()];
    let mut flag = |name: &str, value: String| args.extend([format!("--{name}").into(), value.into()]);
    let node = NodeIdentity::new(&site.cluster_id(), &me.to_string(), site.stop.clone());
    flag("cluster-id", node.cluster().to_owned());
    flag("peer-listen", a.peer[i].to_string());
    flag("client-listen", a.client[i].to_string());
    flag("control-listen", a.control[i].to_string());
    for (j, target) in a.peer.iter().enumerate().filter(|(j, _)| *j != i) {
        let peer = Node(j as u16 + 1);
        flag("peer", format!("{peer}={}", through(Route::Nodes { from: me, to: peer }, *target)?));
    }
    flag("seed", plan.seed.part(&format!("node/{me}")).to_string());
    flag("rounds", plan.rounds.clone());
    flag("backoff", plan.backoff.clone());
    if let Some(span) = plan.contention_timeout {
        flag("contention-timeout", span.to_string());
    }
    flag("lease", plan.lease.mode.name().into());
    flag("lease-time", format!("{}us", plan.lease.time_ns / 1_000));
    flag("lease-drift", lease::drift_text(plan.lease.drift_ppm));
    flag("lease-ranges", plan.lease.ranges.to_string());
    flag("forward", plan.lease.forward.name().into());
    flag("queue", plan.queue.clone());
    flag("prune", plan.prune.clone());
    flag("paxos-ttl", plan.paxos_ttl.to_string());
    flag("parent-pid", std::process::id().to_string());
    if let Some(mutant) = &plan.mutant {
        flag("mutant", mutant.clone());
    }
    // A path need not be text.
    args.extend(["--data".into(), super::folder_of(site.folder, me).join("data").into_os_string()]);
    args.push("--exit-on-stdin-eof".into());
    let client = through(Route::Clients { to: me }, a.client[i])?;
    let listens = vec![a.client[i], a.control[i], a.peer[i]];
    Ok(NodeSpec { name: me.to_string(), args, client, ask: a.control[i], listens, node })
}
