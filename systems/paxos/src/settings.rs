//! Settings of the bundled server, as given in plans and flags of `heckle node`.

use crate::lease_settings::{self, LeaseWords, drift_text};
use clap::Args;
use heckle_paxos::lease::settings::MAX_RANGES;
use heckle_paxos::lease::{LeaseMode, LeaseSettings};
use heckle_system_api::SettingKey;
use heckle_system_api::settings::one_of;
use heckle_system_api::units::{Expiry, Span};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Variants of the Paxos rounds. The first is the default.
pub const ROUNDS: &[&str] = &["classic", "merged", "async-learn", "fast"];
/// What a coordinator does after being outbid. The first is the default.
pub const BACKOFFS: &[&str] = &["uniform", "none", "adaptive"];
/// Orders in which operations waiting for one key are served. The first is the default.
pub const QUEUES: &[&str] = &["fair", "fifo"];
/// Whether to drop accepted copies once every replica has learned. The first is the default.
pub const PRUNES: &[&str] = &["on", "off"];

/// The keys of [`Flags`].
pub(crate) const KEYS: &[SettingKey] = &[
    SettingKey::new("rounds", "Rounds of Paxos: classic, merged, async-learn, fast [default: classic]"),
    SettingKey::new("backoff", "Backoff after losing a ballot: none, uniform, adaptive [default: uniform]"),
    SettingKey::new("contention_timeout", "How long an op may keep losing ballots before a node answers it [default: the op timeout]"),
    SettingKey::new("lease", "Leases on ranges of keys: off, priority, read [default: off]"),
    SettingKey::new("lease_time", "How long a lease is granted for [default: 2s]"),
    SettingKey::new("lease_drift", "Maximum clock drift under a read lease [default: 0.1%]"),
    SettingKey::whole("lease_ranges", "Number of key ranges [default: 16]", 1, MAX_RANGES as u64),
    SettingKey::new("forward", "Forward operations to the holder of the lease: off, on [default: off]"),
    SettingKey::new(
        "queue",
        "Order of operations that wait for the same key: fair (clients in turn), fifo (in order of arrival) [default: fair]",
    ),
    SettingKey::new("prune", "Drop accepted copies once every replica has learned: on, off [default: on]"),
    SettingKey::new("paxos_ttl", "Age at which the Paxos state of a key expires: off, or a time such as 10s [default: off]"),
    SettingKey::new("mutant", "A planted bug for all nodes (`heckle mutants` lists them)"),
];

/// The settings as flags, and as the keys of `[system.paxos]` with `_` for `-`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Args)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "System bundled")]
pub struct Flags {
    /// Rounds of Paxos: classic, merged, async-learn, fast [default: classic]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<String>,
    /// Backoff after losing a ballot: none, uniform, adaptive [default: uniform]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<String>,
    /// How long an op may keep losing ballots before a node answers it [default: the op timeout]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contention_timeout: Option<Span>,
    /// Leases on ranges of keys: off, priority, read [default: off]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// How long a lease is granted for [default: 2s]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_time: Option<Span>,
    /// Maximum clock drift under a read lease [default: 0.1%]
    #[arg(long, value_name = "PERCENT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_drift: Option<String>,
    /// Number of key ranges [default: 16]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_ranges: Option<u16>,
    /// Forward operations to the holder of the lease: off, on [default: off]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<String>,
    /// Order of operations that wait for the same key: fair (clients in turn), fifo (in order of arrival) [default: fair]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Drop accepted copies once every replica has learned: on, off [default: on]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune: Option<String>,
    /// Age at which the Paxos state of a key expires: off, or a time such as 10s [default: off]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paxos_ttl: Option<Expiry>,
    /// A planted bug for all nodes. As a flag it belongs to the cluster, since every system may have planted bugs
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
}

impl Flags {
    /// The given settings, by key.
    pub fn table(&self) -> toml::Table {
        toml::Table::try_from(self).expect("flags are plain data")
    }
}

/// The validated settings.
#[derive(Debug, Clone, PartialEq)]
pub struct PaxosSettings {
    /// The variant of the Paxos rounds.
    pub rounds: String,
    /// What a coordinator does after being outbid.
    pub backoff: String,
    /// How long an operation may keep being outbid. `None`: until its own time limit.
    pub contention_timeout: Option<Span>,
    /// Leases and forwarding.
    pub lease: LeaseSettings,
    /// The order of operations waiting for the same key.
    pub queue: String,
    /// Whether to drop accepted copies.
    pub prune: String,
    /// The age at which Paxos state expires.
    pub paxos_ttl: Expiry,
    /// The planted bug in all nodes.
    pub mutant: Option<String>,
}

impl PaxosSettings {
    /// Validates the settings of a plan.
    ///
    /// # Errors
    /// Fails if a setting is invalid. The message names it and the valid values.
    pub(crate) fn check(given: &Flags) -> Result<Self, String> {
        Ok(PaxosSettings {
            rounds: one_of("rounds", given.rounds.as_deref(), ROUNDS)?.to_owned(),
            backoff: one_of("backoff", given.backoff.as_deref(), BACKOFFS)?.to_owned(),
            contention_timeout: contention_timeout(given.contention_timeout)?,
            lease: lease_settings::settings(LeaseWords {
                lease: given.lease.as_deref(),
                time: given.lease_time,
                drift: given.lease_drift.as_deref(),
                ranges: given.lease_ranges,
                forward: given.forward.as_deref(),
            })?,
            queue: one_of("queue", given.queue.as_deref(), QUEUES)?.to_owned(),
            prune: one_of("prune", given.prune.as_deref(), PRUNES)?.to_owned(),
            paxos_ttl: paxos_ttl(given.paxos_ttl.unwrap_or_default())?,
            mutant: given.mutant.clone(),
        })
    }

    /// The settings of a plan with all defaults filled in.
    pub(crate) fn as_given(&self) -> Flags {
        let leased = self.lease.mode != LeaseMode::Off;
        Flags {
            rounds: Some(self.rounds.clone()),
            backoff: Some(self.backoff.clone()),
            contention_timeout: self.contention_timeout,
            lease: Some(self.lease.mode.name().into()),
            lease_time: leased.then_some(Span(Duration::from_nanos(self.lease.time_ns))),
            lease_drift: leased.then(|| drift_text(self.lease.drift_ppm)),
            lease_ranges: leased.then_some(self.lease.ranges),
            forward: Some(self.lease.forward.name().into()),
            queue: Some(self.queue.clone()),
            prune: Some(self.prune.clone()),
            paxos_ttl: Some(self.paxos_ttl),
            mutant: self.mutant.clone(),
        }
    }

    /// Flags of `heckle node`, without their dashes.
    pub(crate) fn node_flags(&self) -> Vec<(&'static str, String)> {
        let lease = &self.lease;
        let mut flags = vec![("rounds", self.rounds.clone()), ("backoff", self.backoff.clone())];
        flags.extend(self.contention_timeout.map(|span| ("contention-timeout", span.to_string())));
        flags.extend([
            ("lease", lease.mode.name().to_owned()),
            ("lease-time", format!("{}us", lease.time_ns / 1_000)),
            ("lease-drift", drift_text(lease.drift_ppm)),
            ("lease-ranges", lease.ranges.to_string()),
            ("forward", lease.forward.name().to_owned()),
            ("queue", self.queue.clone()),
            ("prune", self.prune.clone()),
            ("paxos-ttl", self.paxos_ttl.to_string()),
        ]);
        flags.extend(self.mutant.iter().map(|mutant| ("mutant", mutant.clone())));
        flags
    }

    /// The labels by which runs are compared.
    pub(crate) fn labels(&self) -> Vec<(&'static str, String)> {
        let mut labels = vec![
            ("rounds", self.rounds.clone()),
            ("backoff", self.backoff.clone()),
            ("lease", self.lease.mode.name().to_owned()),
            ("forward", self.lease.forward.name().to_owned()),
            ("queue", self.queue.clone()),
            ("prune", self.prune.clone()),
            ("paxos_ttl", self.paxos_ttl.to_string()),
        ];
        labels.extend(self.mutant.iter().map(|mutant| ("mutant", mutant.clone())));
        labels
    }
}

/// Validates how long an operation may keep being outbid.
///
/// # Errors
/// Fails if the time is invalid.
pub fn contention_timeout(given: Option<Span>) -> Result<Option<Span>, String> {
    match given {
        Some(span) if span < Span::ms(1) || span > Span::ms(600_000) => {
            Err(format!("contention_timeout {span} is not between 1ms and 600s; leave it out for as long as the op timeout"))
        }
        within => Ok(within),
    }
}

/// Validates a time to live.
///
/// # Errors
/// Fails if it is invalid. The message names valid values.
pub fn paxos_ttl(given: Expiry) -> Result<Expiry, String> {
    let sensible = heckle_server::options::PAXOS_TTL;
    match given.ttl() {
        Some(ttl) if !sensible.contains(&ttl) => Err(format!("paxos_ttl {given} is not within 10ms..=366d; or write off")),
        Some(_) | None => Ok(given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn settings_round_trip_and_every_key_is_listed() {
        let text = "rounds = \"fast\"\nlease = \"read\"\nlease_time = \"500ms\"\nforward = \"on\"\npaxos_ttl = \"10s\"\n\
            contention_timeout = \"2s\"\nmutant = \"no-backoff\"\n";
        let settings = PaxosSettings::check(&toml::from_str(text).expect("keys")).expect("sound");
        let all = settings.as_given();
        assert_eq!(PaxosSettings::check(&all), Ok(settings));
        let written: BTreeSet<String> = toml::Table::try_from(all).expect("plain data").keys().cloned().collect();
        assert_eq!(written, KEYS.iter().map(|key| key.name.to_owned()).collect());
    }
}
