//! Validates the settings of a plan one by one: allowed values, defaults, and error messages. [`super::Plan`] is the combined result.

use super::settings::{self, Expect};
use super::stages::Stages;
use super::units::{Rate, Span};
use super::{INTENT_TIMEOUT, MAX_KEYS, MAX_VALUE_BYTES, Net, Route};
use crate::systems::Systems;
use heckle_checker::fairness::starvation;
use heckle_history::Consistency;
use heckle_system_api::System;
use heckle_system_api::capability::Links;
use heckle_system_api::settings::{one_of, within};
use heckle_system_api::value::Payload;
use heckle_workloads::keys::{KeyChoice, MAX_EXPONENT};
use heckle_workloads::mix::Mix;
use heckle_workloads::registry::{DefaultRate, WorkloadInfo};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// Maximum think time of a client.
const MAX_THINK: Span = Span::ms(3_600_000);

pub(super) fn name(given: Option<&str>, mutant: Option<&str>, workload: &str) -> Result<String, String> {
    let name = given.map_or_else(|| mutant.map_or(workload.to_owned(), |m| format!("mutant-{m}")), str::to_owned);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(fits) {
        return Err(format!("plan name `{name}`: it names a folder, so use up to 64 letters, digits, `-`, `_` and `.`"));
    }
    if matches!(name.as_str(), "latest" | "latest-failed") {
        return Err(format!("plan name `{name}` is taken by the link of that name"));
    }
    Ok(name)
}

/// Returns the system under test and the table of its settings. A system described by the plan has no table.
pub(super) fn system(
    settings: &settings::Settings,
    systems: Systems,
    nodes: u16,
) -> Result<(Arc<dyn System>, Option<&'static str>), String> {
    let cluster = &settings.cluster;
    if settings.describes_a_system() {
        let name = settings.system.get("name").and_then(toml::Value::as_str).unwrap_or_default();
        let others = cluster.system.iter().map(|other| format!("system = `{other}`")).filter(|_| cluster.system.as_deref() != Some(name));
        let others = others.chain(cluster.of_system.keys().map(|key| format!("`{key}`")));
        if let Some(other) = others.chain(cluster.mutant.iter().map(|_| "`mutant`".to_owned())).next() {
            return Err(format!("[system] describes `{name}`, and {other} is of another system: leave it out"));
        }
        if cluster.bin.is_some() {
            return Err(format!("[system] describes `{name}` with its programs: leave out `bin`"));
        }
        return systems.described()?.build(&settings.system).map(|system| (system, None));
    }
    for table in settings.system.keys() {
        systems.by_table(table)?;
    }
    let kind = systems.find(cluster.system.as_deref())?;
    let system = systems.build(kind, &settings.system_settings(kind.table()), nodes)?;
    Ok((system, Some(kind.table())))
}

pub(super) fn payload(workload: &WorkloadInfo) -> Payload {
    if workload.projection.is_some() { Payload::Present } else { Payload::Absent }
}

pub(super) fn route(l: &settings::LoadSettings, system: &dyn System) -> Result<Route, String> {
    match one_of("route", l.route.as_deref(), &["pinned", "random", "holder"])? {
        "random" => Ok(Route::Random),
        "holder" => system.can_route_to_holders().map(|()| Route::Holder).map_err(|e| format!("route = holder needs holders: {e}")),
        _ => Ok(Route::Pinned),
    }
}

/// Returns the rate of the load: the mean of its stages if there are any, otherwise the plan's rate or the workload's default.
pub(super) fn load_rate(l: &settings::LoadSettings, stages: Option<&Stages>, workload: &WorkloadInfo) -> Rate {
    if let Some(stages) = stages {
        return if stages.clients().is_some() { Rate::Max } else { Rate::PerSecond(stages.mean()) };
    }
    l.rate.unwrap_or(match workload.rate {
        DefaultRate::PerSecond(n) => Rate::PerSecond(f64::from(n)),
        DefaultRate::Max => Rate::Max,
    })
}

/// Returns the time that a client of the closed loop waits after an intent.
pub(super) fn think(given: Option<Span>, rate: Rate) -> Result<Span, String> {
    let think = given.unwrap_or(Span::ms(0));
    match rate {
        Rate::PerSecond(_) if think > Span::ms(0) => {
            Err(format!("think = {think}: clients think in the closed loop alone; leave it out, or use rate = max (--rate max)"))
        }
        Rate::Max | Rate::PerSecond(_) => within("think", think, Span::ms(0), MAX_THINK),
    }
}

pub(super) fn value_bytes(l: &settings::LoadSettings, workload: &WorkloadInfo) -> Result<u32, String> {
    let least = payload(workload).least_bytes();
    within("value_bytes", l.value_bytes.unwrap_or(least), least, MAX_VALUE_BYTES)
}

pub(super) fn keys(l: &settings::LoadSettings, workload: &WorkloadInfo) -> Result<KeyChoice, String> {
    let count = within("keys", l.keys.unwrap_or(workload.keys), 1, MAX_KEYS)?;
    match (l.zipf, l.hot.unwrap_or(0.0)) {
        (Some(_), hot) if hot > 0.0 => Err("a plan has either hot or zipf, not both".into()),
        (Some(s), _) if s > 0.0 && s <= MAX_EXPONENT => Ok(KeyChoice::zipf(count, s)),
        (Some(s), _) => Err(format!("zipf = {s}: the exponent is above 0 and at most {MAX_EXPONENT}")),
        (None, hot) if (0.0..=1.0).contains(&hot) => Ok(KeyChoice::new(count, hot)),
        (None, hot) => Err(format!("hot = {hot}: a share is between 0 and 1")),
    }
}

pub(super) fn mix(l: &settings::LoadSettings, workload: &WorkloadInfo) -> Result<Mix, String> {
    match l.mix.as_deref() {
        Some(_) if !workload.takes_mix() => Err(format!("workload `{}` chooses its ops by itself; leave out mix", workload.name)),
        Some(text) => {
            let mix = Mix::from_str(text).map_err(|e| format!("mix: {e}"))?;
            if mix.is_last_write_wins() && !workload.skips_consensus() {
                return Err(format!(
                    "mix: get and put skip consensus, which workload `{}` never does; use workload `mixed`",
                    workload.name
                ));
            }
            Ok(mix)
        }
        None => Ok(workload.mix()),
    }
}

/// Returns how many replicas take part in reads and writes that skip consensus.
pub(super) fn consistency(l: &settings::LoadSettings, workload: &WorkloadInfo) -> Result<Consistency, String> {
    if l.consistency.is_some() && !workload.skips_consensus() {
        return Err(format!("workload `{}` has neither get nor put; leave out consistency", workload.name));
    }
    let all = [Consistency::Quorum, Consistency::One];
    let name = one_of("consistency", l.consistency.as_deref(), &all.map(Consistency::name))?;
    Ok(all.into_iter().find(|c| c.name() == name).unwrap_or(Consistency::Quorum))
}

/// Returns the default expectation of a plan. Mixing both paths on the same keys does not implement a register,
/// and the judge must detect that.
pub(super) fn expectation(mix: Mix) -> Expect {
    if mix.is_mixed() { Expect::Invalid } else { Expect::Valid }
}

pub(super) fn intent_timeout(l: &settings::LoadSettings, workload: &WorkloadInfo) -> Result<Span, String> {
    if l.intent_timeout.is_some() && !workload.has_intents() {
        return Err(format!("workload `{}` has no intents; leave out intent_timeout", workload.name));
    }
    within("intent_timeout", l.intent_timeout.unwrap_or(INTENT_TIMEOUT), Span::ms(1), Span::ms(24 * 3_600_000))
}

pub(super) fn fairness(
    f: &settings::FairnessSettings,
    workload: &WorkloadInfo,
    stages: Option<&Stages>,
) -> Result<starvation::Limits, String> {
    if *f != settings::FairnessSettings::default() && !workload.has_intents() {
        return Err(format!("workload `{}` has no intents, so no client can starve; leave out [fairness]", workload.name));
    }
    let mut limits = starvation::Limits::default();
    let ms = |s: Span| s.nanos().as_ms_f64();
    limits.max_wait_ms = f.max_wait.map_or(limits.max_wait_ms, ms);
    limits.max_livelock_ms = f.max_livelock.map_or(limits.max_livelock_ms, ms);
    // A client that is active only in some stages succeeds less often than the others, but is not starved.
    if stages.is_some_and(Stages::changes_clients) {
        if f.min_jain.is_some_and(|min| min > 0.0) {
            return Err(
                "min_jain compares the successes of all clients, whose number changes with the stages of this load; leave it out".into()
            );
        }
        limits.min_jain = 0.0;
    }
    limits.min_jain = within("min_jain", f.min_jain.unwrap_or(limits.min_jain), 0.0, 1.0)?;
    Ok(limits)
}

/// Makes the path of a program absolute, since nodes may be started from a different working directory.
pub(super) fn program(path: &Path) -> Result<PathBuf, String> {
    let whole = path.canonicalize().map_err(|e| format!("bin = `{}`: {e}; name a build of heckle", path.display()))?;
    if whole.is_file() { Ok(whole) } else { Err(format!("bin = `{}` is not a program; name a build of heckle", path.display())) }
}

/// Returns the network setting. The default is the relay, if the system can use it.
pub(super) fn net(system: &dyn System, given: Option<&str>) -> Result<Net, String> {
    let all = ["relay", "direct"];
    match one_of("net", given, &all)? {
        "relay" if !matches!(system.links(), Links::None) => Ok(Net::Relay),
        "relay" if given.is_some() => Err(format!("net = `relay`: the links of {} do not pass the relay; use direct", system.name())),
        _ => Ok(Net::Direct),
    }
}
