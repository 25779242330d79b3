//! Exit codes. Scripts and nightly jobs depend on them.

/// Valid: every gate and every coverage rule met.
pub const OK: u8 = 0;
/// A correctness violation. Takes precedence over every other code.
pub const VIOLATION: u8 = 1;
/// Inconclusive: a limit was reached, coverage was not met, a fault had no effect, a canary was missed.
pub const INCONCLUSIVE: u8 = 2;
/// A gate was missed.
pub const GATE: u8 = 3;
/// The harness or the machine failed.
pub const BROKEN: u8 = 4;
/// The user's input is wrong.
pub const USAGE: u8 = 64;
/// Interrupted by Ctrl-C or SIGTERM.
pub const INTERRUPTED: u8 = 130;

/// Every code with its meaning.
pub const MEANINGS: &[(u8, &str)] = &[
    (OK, "valid: every gate and every coverage rule met"),
    (VIOLATION, "a correctness violation or a crash of the system under test (takes precedence over every other code)"),
    (INCONCLUSIVE, "inconclusive: a checker limit, coverage not met, a fault without effect, or a canary not caught"),
    (GATE, "a gate missed"),
    (BROKEN, "the harness or the machine failed: a limit that is too low, a node killed from outside, another program on a node's port"),
    (USAGE, "wrong input: flags, plan, history"),
    (INTERRUPTED, "interrupted; the recorded part is judged and reported"),
];

/// Returns the combined exit code of several runs: violation, broken, inconclusive or gate, whichever applies first.
pub fn worst(codes: &[u8]) -> u8 {
    let order = [VIOLATION, INTERRUPTED, BROKEN, USAGE, INCONCLUSIVE, GATE];
    order.into_iter().find(|c| codes.contains(c)).unwrap_or(OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_takes_precedence() {
        assert_eq!(worst(&[0, 3, 2, 4, 1]), VIOLATION);
        assert_eq!(worst(&[0, 3, 2]), INCONCLUSIVE);
        assert_eq!(worst(&[0, 0]), OK);
    }
}
