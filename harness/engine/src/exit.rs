//! Exit codes: a contract that scripts and nightly jobs lean on.

/// Valid, every gate met, the run was not vacuous.
pub const OK: u8 = 0;
/// A correctness violation. Beats every other code.
pub const VIOLATION: u8 = 1;
/// Inconclusive: a limit was reached, coverage was not met, a fault had no effect, a canary was missed.
pub const INCONCLUSIVE: u8 = 2;
/// A gate was missed.
pub const GATE: u8 = 3;
/// The harness or the machine failed.
pub const BROKEN: u8 = 4;
/// What the user supplied is wrong.
pub const USAGE: u8 = 64;
/// Interrupted by Ctrl-C or SIGTERM.
pub const INTERRUPTED: u8 = 130;

/// Every code with what it means.
pub const MEANINGS: &[(u8, &str)] = &[
    (OK, "valid, every gate met, and enough happened to tell"),
    (VIOLATION, "a correctness violation, or a crash of the system under test; beats every other code"),
    (INCONCLUSIVE, "inconclusive: a limit of the checker, coverage that was not met, a fault without effect, a canary that was missed"),
    (GATE, "a gate was missed"),
    (
        BROKEN,
        "the harness or the machine failed: a limit that is too low, a node that something outside ended, another program in a node's place",
    ),
    (USAGE, "what you supplied is wrong: flags, plan, history"),
    (INTERRUPTED, "interrupted; what was recorded is judged and reported"),
];

/// What several runs together exit with: the first that applies of violation, broken, inconclusive, gate.
pub fn gravest(codes: &[u8]) -> u8 {
    let order = [VIOLATION, INTERRUPTED, BROKEN, USAGE, INCONCLUSIVE, GATE];
    order.into_iter().find(|c| codes.contains(c)).unwrap_or(OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_beats_everything() {
        assert_eq!(gravest(&[0, 3, 2, 4, 1]), VIOLATION);
        assert_eq!(gravest(&[0, 3, 2]), INCONCLUSIVE);
        assert_eq!(gravest(&[0, 0]), OK);
    }
}
