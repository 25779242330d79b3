//! Computes the length of each point from a budget that is set beforehand. All runs of a sweep have the same length.

use std::time::Duration;

/// Estimated time of a run for start, judgement and charts, in addition to its load.
const OVERHEAD: Duration = Duration::from_millis(3_000);
/// Estimated further overhead in proportion to the load, since judging and drawing take longer with more operations.
const OVERHEAD_SHARE: f64 = 0.15;
/// Minimum length of the load window. A shorter one has too few operations for a percentile.
const MIN_WINDOW: Duration = Duration::from_millis(1_000);

/// Estimates the total duration of a run. `around` is its warm-up plus quiet tail.
pub fn run_time(window: Duration, around: Duration) -> Duration {
    OVERHEAD + around + window.mul_f64(1.0 + OVERHEAD_SHARE)
}

/// Returns the length of the load window with which `runs` runs fit into `budget`. `around` is the warm-up plus quiet tail of a run.
///
/// # Errors
/// If the windows would be too short. The message states what would fit.
pub fn window(budget: Duration, runs: u32, around: Duration) -> Result<Duration, String> {
    let runs = runs.max(1);
    let each = budget / runs;
    let left = each.saturating_sub(OVERHEAD + around).div_f64(1.0 + OVERHEAD_SHARE);
    if left < MIN_WINDOW {
        let least = run_time(MIN_WINDOW, around) * runs;
        let seconds = least.as_secs_f64().ceil();
        return Err(format!(
            "--budget {}s leaves too little for {runs} runs: {seconds}s are the least; or fewer values (--over AXIS=FROM..TO:3), fewer arms or --repeats 1",
            budget.as_secs_f64()
        ));
    }
    // Round down to tenths of a second, which are readable and stay within the budget.
    Ok(Duration::from_millis(left.as_millis() as u64 / 100 * 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_fill_the_budget_and_no_more() {
        let around = Duration::from_millis(1_500);
        for (budget_s, runs) in [(300, 42), (60, 9), (600, 54), (36_000, 10)] {
            let budget = Duration::from_secs(budget_s);
            let window = window(budget, runs, around).expect("enough");
            let all = run_time(window, around) * runs;
            assert!(window >= MIN_WINDOW && all <= budget, "{window:?} {all:?}");
            assert!(all + Duration::from_millis(120) * runs > budget, "the budget is used: {all:?} of {budget:?}");
        }
    }

    #[test]
    fn a_budget_that_is_too_short_is_refused_with_the_least() {
        let error = window(Duration::from_secs(60), 63, Duration::from_millis(1_500)).expect_err("refused");
        assert!(error.contains("--budget 60s") && error.contains("63 runs: 356s are the least"), "{error}");
        assert!(window(Duration::from_secs(356), 63, Duration::from_millis(1_500)).is_ok(), "the least is enough");
        assert!(window(Duration::ZERO, 0, Duration::ZERO).is_err());
    }
}
