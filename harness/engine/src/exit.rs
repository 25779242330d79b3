//! Exit codes. Scripts and nightly jobs depend on them.

/// Valid, every gate met, and enough happened for the verdict to count.
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

/// Returns the exit code of several runs together: the first that applies of violation, broken, inconclusive, gate.
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
