//! Planted bugs without a plan that exposes them.

/// Planted bugs that no plan exposes on real processes, and why. They run under the default plan.
pub(crate) const WITHOUT_PLAN: &[(&str, &str)] = &[
    ("promise-not-synced", NEEDS_POWER_LOSS),
    ("skip-empty-fence-cas", NOT_IN_HISTORIES),
    ("skip-empty-fence-read", NOT_IN_HISTORIES),
    ("accept-keeps-promised-low", NO_PLAN_YET),
    ("no-reprepare-after-refresh", NO_PLAN_YET),
    ("no-refresh", NO_PLAN_YET),
    ("nack-all-is-fail", NO_PLAN_YET),
    ("promise-on-equal", NO_PLAN_YET),
    ("count-duplicate-answers", NO_PLAN_YET),
    ("key-lock-leak", NO_PLAN_YET),
    ("non-unique-nonce", HARMLESS),
    ("keep-accepted-at-learn", HARMLESS),
];

const NEEDS_POWER_LOSS: &str = "since it takes a loss of power between a promise and its sync, and an older propose right after it, which has not been \
                        seen on real processes yet; the simulator finds it: cargo test -p heckle-sim --test mutants";
const NOT_IN_HISTORIES: &str = "since no history can show it: the update that gets in late is one of unknown outcome, which may take effect at any time; \
                        the simulator's judge sees it: cargo test -p heckle-sim --test mutants";
const NO_PLAN_YET: &str = "since none has been written yet that shows it on real processes; \
                         the simulator finds it: cargo test -p heckle-sim --test mutants";
const HARMLESS: &str = "since it is harmless: a control, under which every run must stay valid";

/// Returns why a planted bug has no plan that exposes it, or `None` if it has one.
pub(crate) fn without_plan(name: &str) -> Option<&'static str> {
    WITHOUT_PLAN.iter().find(|(without, _)| *without == name).map(|(_, why)| *why)
}
