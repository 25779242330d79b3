//! The validated definition of a run. Later modules never see an invalid setting.

pub mod abort; // limits that end the load
mod attached; // a cluster that runs already
mod checks; // validates settings one by one
mod environment; // conditions that hold for a whole run
pub mod file;
pub mod keys;
mod kinds; // the kinds of faults
mod ranges; // ranges of whole numbers, by key
mod schedule; // the faults and their times
pub mod settings;
pub mod stages; // a load that changes over time

use crate::systems::Systems;
use abort::AbortRule;
use checks::{
    consistency, expectation, fairness, intent_timeout, keys, load_rate, mix, name, net, payload, program, route, system, think,
    value_bytes,
};
pub use environment::ClockOffset;
use heckle_checker::fairness::starvation;
use heckle_faults::schedule::Injection;
use heckle_faults::{Control, FaultKind};
use heckle_history::prng::Seed;
use heckle_history::{Consistency, Nanos};
use heckle_system_api::System;

use heckle_system_api::launch::Unsynced;
pub use heckle_system_api::settings::one_of;
use heckle_system_api::settings::within;
pub use heckle_system_api::units;
use heckle_system_api::value::ValueCodec;
use heckle_workloads::keys::KeyChoice;
use heckle_workloads::mix::Mix;
use heckle_workloads::registry::{self, WorkloadInfo};
use settings::{Expect, Settings};
use stages::Stages;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use units::{Rate, Span};

/// A validated plan. Times are in nanoseconds since the start of the run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of the plan.
    pub name: String,
    /// The expected verdict.
    pub expect: Expect,
    /// Seed of every random choice.
    pub seed: Seed,
    /// The system under test, with its settings.
    pub system: Arc<dyn System>,
    /// Name of the system's settings table in plans; `None` for a system described by the plan.
    system_table: Option<&'static str>,
    /// Number of nodes.
    pub nodes: u16,
    /// How processes reach each other.
    pub net: Net,
    /// Fixed wall-clock offset of one node.
    pub clock_offset: Option<ClockOffset>,
    /// Program that the nodes run, if not this one.
    pub bin: Option<PathBuf>,
    /// The workload.
    pub workload: &'static WorkloadInfo,
    /// Shares of the kinds of ops.
    pub mix: Mix,
    /// How many replicas take part in reads and writes that skip consensus.
    pub consistency: Consistency,
    /// Number of keys and their distribution.
    pub keys: KeyChoice,
    /// Number of client connections.
    pub clients: u32,
    /// Rate of ops.
    pub rate: Rate,
    /// Which node each client talks to.
    pub route: Route,
    /// Length of the load before the window.
    pub warmup: Span,
    /// Length of the load window.
    pub duration: Span,
    /// The stages of the load, if it changes over time. The rate is then their mean.
    pub stages: Option<Stages>,
    /// Time that a client of the closed loop waits after an op or intent.
    pub think: Span,
    /// Limits that end the load.
    pub abort_on: Vec<AbortRule>,
    /// Time after which a client gives up on an op.
    pub op_timeout: Span,
    /// Network delay of the first client, each way.
    pub client_delay: Option<Span>,
    /// How long a client retries an intent.
    pub intent_timeout: Span,
    /// Size of a value, in bytes.
    pub value_bytes: u32,
    /// Maximum number of open ops.
    pub max_in_flight: u32,
    /// Kinds of faults.
    pub faults: Vec<FaultKind>,
    /// The kinds that `all` or `beyond` left out, with reasons.
    pub faults_left_out: Option<String>,
    /// All faults, with their times.
    pub injections: Vec<Injection>,
    /// Length of the calm after the load.
    pub quiet_tail: Span,
    /// Limits on figures, such as `p99_ms<50`.
    pub gates: Vec<String>,
    /// Limits beyond which a client counts as starved.
    pub fairness: starvation::Limits,
    /// Coverage rules specified by the plan.
    pub coverage: std::collections::BTreeMap<String, u64>,
    /// All of the above, in the form of a plan file.
    pub resolved: Settings,
}

/// How processes reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Net {
    /// Through the relay, where links can be disturbed.
    Relay,
    /// Direct connections, for benchmarks.
    Direct,
}

/// Which node each client talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Client i talks to node i mod n.
    Pinned,
    /// A node drawn for each op.
    Random,
    /// The node that serves the key's group, as the system reports it; the pinned node while the holder is unknown.
    Holder,
}

/// Maximum number of nodes on one machine: each is a process with its own data folder.
const MAX_NODES: u16 = 15;
/// Maximum number of client connections.
const MAX_CLIENTS: u32 = 4_096;
/// Maximum number of keys.
const MAX_KEYS: u32 = 1_000_000;
/// Maximum size of a value, in bytes: the limit of a node.
const MAX_VALUE_BYTES: u32 = 1 << 20;
/// Maximum number of open ops.
const MAX_IN_FLIGHT: u32 = 65_536;
/// Maximum number of concurrent faults.
const MAX_AT_ONCE: u32 = 1_000;
/// Maximum number of `[[fault]]` entries: one per second for a few hours.
const MAX_INJECTIONS: usize = 10_000;
/// Maximum total size of all values, in a node and in transit, in bytes.
const MAX_DATA_BYTES: u64 = 4 << 30;
/// How long a client retries an intent, unless the plan specifies it.
const INTENT_TIMEOUT: Span = Span::ms(30_000);
const DEFAULT_FAULTS: &str = "kill,pause,partition";

/// Returns the kinds of faults that can be injected into a system.
pub fn faults_of(system: &dyn System) -> Vec<FaultKind> {
    heckle_faults::registry::all(kinds::roles_of(system))
        .into_iter()
        .filter(|kind| kinds::missing_capability(system, kind).is_none())
        .collect()
}

impl Plan {
    /// Applies settings to the defaults and validates everything.
    ///
    /// # Errors
    /// Names the invalid setting and what would be valid.
    pub fn resolve(settings: &Settings, systems: Systems) -> Result<Plan, String> {
        let (c, l, f) = (&settings.cluster, &settings.load, &settings.faults);
        if !settings.arm.is_empty() {
            return Err("this plan has [[arm]] entries, and a run has one arm: `heckle compare` runs them all".into());
        }
        if settings.injections.len() > MAX_INJECTIONS {
            return Err(format!("this plan has {} [[fault]] entries; {MAX_INJECTIONS} are the most", settings.injections.len()));
        }
        let seed = match settings.seed.as_deref() {
            None | Some("random") => Seed(rand::random()),
            Some(text) => text.parse()?,
        };
        let nodes = within("nodes", c.nodes.unwrap_or(3), 1, MAX_NODES)?;
        let (system, system_table) = system(settings, systems, nodes)?;
        let nodes = attached::nodes(&*system, c.nodes, nodes)?;
        let net = net(&*system, c.net.as_deref())?;
        let workload_name = l.workload.as_deref().unwrap_or("cas-register");
        let names: Vec<&str> = registry::WORKLOADS.iter().map(|w| w.name).collect();
        let workload = registry::find(workload_name)
            .ok_or_else(|| format!("there is no workload `{workload_name}`; {}", file::did_you_mean(workload_name, &names)))?;
        let (keys, mix) = (keys(l, workload)?, mix(l, workload)?);
        let stages = stages::of(l).map_err(|mistake| mistake.what)?;
        let duration = stages.as_ref().map(Stages::total).or(l.duration).unwrap_or(Span::ms(30_000));
        let warmup = l.warmup.unwrap_or(Span::ms(3_000));
        if duration < Span::ms(100) {
            return Err(format!("duration {duration} is too short to tell anything; use 1s or more"));
        }
        let op_timeout = l.op_timeout.unwrap_or(Span::ms(1_000));
        if op_timeout < Span::ms(1) || op_timeout > Span::ms(600_000) {
            return Err(format!("op_timeout {op_timeout} is not between 1ms and 600s"));
        }
        let rate = load_rate(l, stages.as_ref(), workload);
        let clients = stages.as_ref().and_then(Stages::clients).or(l.clients).unwrap_or(16);
        let mut plan = Plan {
            name: name(settings.name.as_deref(), c.mutant.as_deref(), workload_name)?,
            expect: settings.expect.unwrap_or_else(|| expectation(mix)),
            seed,
            nodes,
            net,
            clock_offset: environment::clock_offset(c.clock_offset.as_deref(), workload, nodes)?,
            bin: c.bin.as_deref().map(program).transpose()?,
            workload,
            mix,
            consistency: consistency(l, workload)?,
            keys,
            clients: within("clients", clients, 1, MAX_CLIENTS)?,
            rate,
            route: route(l, &*system)?,
            system_table,
            system,
            warmup,
            duration,
            think: think(l.think, rate)?,
            abort_on: l.abort_on.clone().unwrap_or_default(),
            op_timeout,
            client_delay: environment::client_delay(l.client_delay, workload, net)?,
            intent_timeout: intent_timeout(l, workload)?,
            value_bytes: value_bytes(l, workload)?,
            max_in_flight: within("max_in_flight", l.max_in_flight.unwrap_or(2_048), 1, MAX_IN_FLIGHT)?,
            faults: vec![],
            faults_left_out: None,
            injections: vec![],
            quiet_tail: f.quiet_tail.unwrap_or(Span::ms(6_000)),
            gates: settings.gates.iter().map(|(metric, bound)| format!("{metric}{bound}")).collect(),
            fairness: fairness(&settings.fairness, workload, stages.as_ref())?,
            stages,
            coverage: settings.coverage.clone(),
            resolved: settings.clone(),
        };
        plan.check_room()?;
        let kinds = plan.kinds(f, &settings.injections)?;
        (plan.faults_left_out, plan.faults) = (kinds.describe_left_out(), kinds.listed);
        plan.check_faults()?;
        plan.injections = plan.aim_at_clients(plan.schedule(settings)?);
        plan.check_attached_links()?;
        plan.resolved = plan.as_settings(settings);
        Ok(plan)
    }

    /// Returns the start and the end of the load window.
    pub fn window(&self) -> (Nanos, Nanos) {
        let start = self.warmup.nanos();
        (start, Nanos(start.0 + self.duration.nanos().0))
    }

    /// Whether the load is meant to violate the register, in which case there is no point in stopping at a violation.
    pub fn mixes_paths(&self) -> bool {
        self.mix.is_mixed()
    }

    /// Returns the maximum drift of clocks, which only matters if they can be set.
    fn drift_bound_ppm(&self) -> i64 {
        self.system.clocks().map_or(0, |clocks| clocks.drift_bound_ppm())
    }

    /// Returns where the nodes keep un-synced data: separately only if a fault needs it.
    pub fn unsynced(&self) -> Unsynced {
        let needs_it = |injection: &Injection| injection.fault.kind.needs.control.contains(&Control::UnsyncedData);
        if self.injections.iter().any(needs_it) { Unsynced::Apart } else { Unsynced::SystemCache }
    }

    /// Returns the encoding of values.
    pub fn codec(&self) -> ValueCodec {
        ValueCodec::new(self.value_bytes, payload(self.workload))
    }

    /// Whether the plan names programs to start. If such a plan comes from a run folder written by another user, it is not run
    /// without consent.
    pub fn names_programs(&self) -> bool {
        self.bin.is_some() || self.system_table.is_none()
    }

    /// Replaces the drawn schedule.
    ///
    /// # Errors
    /// If the schedule needs something that this plan lacks.
    pub fn with_schedule(mut self, injections: Vec<Injection>) -> Result<Plan, String> {
        let end = self.window().1;
        if let Some(late) = injections.iter().find(|i| i.end() > end) {
            return Err(format!(
                "the schedule's `{}` ends at {}, after the load ends at {end}; lengthen --duration or --warmup",
                late.fault.name(),
                late.end()
            ));
        }
        let kinds: BTreeSet<FaultKind> = injections.iter().map(|i| i.fault.listed_as()).collect();
        self.faults = kinds.into_iter().collect();
        self.injections = injections;
        self.check_system()?;
        self.check_attached_links()?;
        // A schedule calls every shape of a partition `partition`, and one of client links alone needs no others.
        let of_clients = |i: &&Injection| self.system.attached().is_some() && self.hits_only_clients(i);
        let others: BTreeSet<FaultKind> = self.injections.iter().filter(|i| !of_clients(i)).map(|i| i.fault.listed_as()).collect();
        others.iter().try_for_each(|kind| self.check_kind(kind))?;
        Ok(self)
    }

    /// Checks that values fit into memory: the values of all keys in each node, and those of all open ops in the harness.
    fn check_room(&self) -> Result<(), String> {
        let each = u64::from(self.value_bytes);
        for (what, count) in [("keys", u64::from(self.keys.count())), ("max_in_flight", u64::from(self.max_in_flight))] {
            if count.saturating_mul(each) > MAX_DATA_BYTES {
                return Err(format!(
                    "{what} = {count} with value_bytes = {each}: all values together are more than {} GiB; lower one of them",
                    MAX_DATA_BYTES >> 30
                ));
            }
        }
        Ok(())
    }

    fn check_faults(&self) -> Result<(), String> {
        self.check_system()?;
        self.faults.iter().try_for_each(|kind| self.check_kind(kind))
    }

    /// Checks that the system can do what the load needs.
    fn check_system(&self) -> Result<(), String> {
        if self.mix.is_last_write_wins() && !self.system.has_last_write_wins() {
            return Err(format!(
                "get and put need a last-write-wins path, which {} does not have: choose another workload or mix",
                self.system.name()
            ));
        }
        if let (Some(clock), None) = (self.clock_offset, self.system.clocks()) {
            let (system, workload) = (self.system.name(), self.workload.name);
            return Err(format!(
                "workload `{workload}` sets the clock of {}, and the clocks of {system} cannot be set: choose another workload",
                clock.node
            ));
        }
        if self.workload.projection.is_some() && !self.system.carries_payloads() {
            let (system, workload) = (self.system.name(), self.workload.name);
            return Err(format!("workload `{workload}` writes payloads, which {system} does not carry: choose another workload"));
        }
        for at in self.injections.iter().filter_map(|injection| injection.fault.amounts.at_point.as_ref()) {
            kinds::check_awaited(&*self.system, &at.point)?;
        }
        Ok(())
    }

    /// Returns this plan in the form of a plan file, with every default filled in.
    fn as_settings(&self, given: &Settings) -> Settings {
        let mut s = given.clone();
        // A run does not include the matrix or sweep that it may belong to.
        (s.suite, s.sweep, s.canary) = (None, None, vec![]);
        s.schema = Some(file::SCHEMA.into());
        s.name = Some(self.name.clone());
        s.expect = Some(self.expect);
        s.seed = Some(self.seed.to_string());
        s.cluster.nodes = Some(self.nodes);
        if let Some(table) = self.system_table {
            s.cluster.system = Some(self.system.name().into());
            s.set_system_settings(self.system.settings(), table);
        }
        if self.system.clocks().is_some() {
            s.cluster.clock_offset = Some(self.clock_offset.map_or("none".into(), |c| c.to_string()));
        }
        let net = match self.net {
            Net::Relay => "relay",
            Net::Direct => "direct",
        };
        s.cluster.net = Some(net.into());
        s.load.client_delay = Some(self.client_delay.unwrap_or(Span::ms(0)));
        s.cluster.bin.clone_from(&self.bin);
        s.load.workload = Some(self.workload.name.into());
        s.load.mix = self.workload.takes_mix().then(|| self.mix.to_string());
        s.load.consistency = self.workload.skips_consensus().then(|| self.consistency.name().to_owned());
        s.load.intent_timeout = self.workload.has_intents().then_some(self.intent_timeout);
        s.load.keys = Some(self.keys.count());
        if s.load.zipf.is_none() {
            s.load.hot.get_or_insert(0.0);
        }
        s.load.clients = self.stages.as_ref().is_none_or(|stages| stages.clients().is_none()).then_some(self.clients);
        s.load.rate = self.stages.is_none().then_some(self.rate);
        s.load.route.get_or_insert_with(|| "pinned".into());
        s.load.duration = self.stages.is_none().then_some(self.duration);
        s.load.warmup = Some(self.warmup);
        s.load.op_timeout = Some(self.op_timeout);
        s.load.value_bytes = Some(self.value_bytes);
        s.load.max_in_flight = Some(self.max_in_flight);
        // A plan has either kinds or [[fault]] entries.
        s.faults.kinds = s.injections.is_empty().then(|| self.faults.iter().map(ToString::to_string).collect());
        s.faults.order = s.faults.order.take().or_else(|| kinds::default_order(given.faults.kinds.as_deref()).map(str::to_owned));
        s.faults.quiet_tail = Some(self.quiet_tail);
        s
    }

    /// Hashes the settings without the seed, so that runs of the same plan can be recognized and compared.
    pub fn hash(&self) -> String {
        let mut settings = self.resolved.clone();
        settings.seed = None;
        let text = toml::to_string(&settings).expect("settings have a TOML form");
        format!("{:016x}", Seed(0).part(&text).0)
    }
}

#[cfg(test)]
mod tests;
