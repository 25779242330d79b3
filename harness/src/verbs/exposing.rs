//! The plans that expose planted bugs on real processes: one file each, with what it does in its first lines.

/// A planted bug with the settings under which it shows.
pub(super) struct Exposed {
    pub(super) name: &'static str,
    /// TOML, laid under file and flags.
    pub(super) plan: &'static str,
}

/// The plan of that file.
macro_rules! plan {
    ($name:literal) => {
        include_str!(concat!("exposing/", $name, ".toml"))
    };
}

/// The plans that expose what shows on real processes. A mutant without one runs under the default plan.
pub(super) const EXPOSED: &[Exposed] = &[
    Exposed { name: "accept-ignores-promise", plan: plan!("duels") },
    Exposed { name: "ignore-accepted", plan: plan!("crowd") },
    Exposed { name: "quorum-too-small", plan: plan!("slow-links") },
    Exposed { name: "partial-accept-is-fail", plan: plan!("torn-links") },
    Exposed { name: "learn-error-is-fail", plan: plan!("cut-while-learning") },
    Exposed { name: "blind-retry", plan: plan!("duels") },
    Exposed { name: "reuse-ballot", plan: plan!("cut-and-forgotten") },
    Exposed { name: "trust-one-replica", plan: plan!("torn-links") },
    Exposed { name: "lwt-reads-at-one", plan: plan!("torn-links") },
    Exposed { name: "apply-at-accept", plan: plan!("half-done") },
    Exposed { name: "fate-without-fence", plan: plan!("stopped") },
    Exposed { name: "told-along-late", plan: plan!("slow-to-hear") },
    Exposed { name: "answer-before-write", plan: plan!("massacre") },
    Exposed { name: "prune-drops-ballot", plan: plan!("late-news") },
    Exposed { name: "learn-not-synced", plan: plan!("resting-massacre") },
    Exposed { name: "ttl-by-local-time", plan: plan!("overslept") },
    Exposed { name: "prune-leak", plan: plan!("resting-calm") },
    Exposed { name: "lease-no-restart-wait", plan: plan!("forgetful-grantors") },
    Exposed { name: "lease-timer-at-ack", plan: plan!("late-answers") },
    Exposed { name: "lease-release-any", plan: plan!("given-back-late") },
    Exposed { name: "lease-ignores-drift", plan: plan!("slow-holder") },
    Exposed { name: "fast-proposes-empty", plan: plan!("fast-duels") },
    Exposed { name: "fast-keeps-cache-after-failure", plan: plan!("fast-duels") },
    Exposed { name: "learn-keeps-promised-low", plan: plan!("torn-links") },
    Exposed { name: "no-ballot-bump", plan: plan!("behind") },
    Exposed { name: "no-backoff", plan: plan!("no-rest") },
];

/// Planted bugs that no plan shows on real processes, and why.
pub(super) const OUT_OF_REACH: &[(&str, &str)] = &[
    ("promise-not-synced", UNSYNCED),
    ("accept-not-synced", UNSYNCED),
    ("skip-empty-fence-cas", UNFENCED),
    ("skip-empty-fence-read", UNFENCED),
];

const UNSYNCED: &str = "since it takes the loss of power between an answer and its sync, and what a process has written outlives its death; \
                        the simulator finds it: cargo test -p heckle-sim --test mutants";
const UNFENCED: &str = "since no history can show it: the update that gets in late is one of unknown outcome, which may take effect at any time; \
                        the simulator's judge sees it: cargo test -p heckle-sim --test mutants";
