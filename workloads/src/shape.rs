//! Load shapes: a load that changes over time, in consecutive stages. Each stage holds a value or moves linearly from one value to
//! another. The value is an arrival rate (see [`crate::pacing::Arrivals`]) or a number of active clients.

use heckle_history::Nanos;

/// One stage: the value moves linearly from `from` to `to`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Duration of the stage.
    pub lasts: Nanos,
    /// Value at the start.
    pub from: f64,
    /// Value at the end; equal to `from` for a stage that holds.
    pub to: f64,
}

impl Stage {
    /// Creates a stage that holds a value.
    pub fn hold(lasts: Nanos, value: f64) -> Self {
        Stage { lasts, from: value, to: value }
    }

    /// Returns the integral of the value over the stage, in value times seconds. If the value is a rate, this is the
    /// number of arrivals.
    pub fn integral(self) -> f64 {
        (self.from + self.to) / 2.0 * self.lasts.as_secs_f64()
    }

    /// Returns the time from the start of the stage until the integral reaches `part`, which should not exceed the whole
    /// integral.
    pub(crate) fn offset(self, part: f64) -> f64 {
        if self.from == self.to {
            return part * (1e9 / self.from);
        }
        let slope = (self.to - self.from) / self.lasts.as_secs_f64();
        // The usual formula, with the square root in the numerator, loses all digits where the slope is small.
        let root = (self.from * self.from + 2.0 * slope * part).max(0.0).sqrt();
        2.0 * part / (self.from + root) * 1e9
    }
}

/// Consecutive stages, from time zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Each stage with its start time.
    stages: Vec<(Nanos, Stage)>,
}

impl Shape {
    /// Creates a shape from these stages.
    ///
    /// # Panics
    /// If a value is negative or not finite, or a stage both starts and ends at zero; plans are validated earlier.
    pub fn new(stages: impl IntoIterator<Item = Stage>) -> Self {
        let mut start = Nanos(0);
        let place = |stage: Stage| {
            let sound = |x: f64| x.is_finite() && x >= 0.0;
            assert!(sound(stage.from) && sound(stage.to) && stage.from + stage.to > 0.0, "the values of a stage are positive numbers");
            let placed = (start, stage);
            start.0 += stage.lasts.0;
            placed
        };
        Shape { stages: stages.into_iter().map(place).collect() }
    }

    /// Returns the stages, each with its start time.
    pub fn stages(&self) -> &[(Nanos, Stage)] {
        &self.stages
    }

    /// Returns when client `client` (counted from 0) is next active at or after `at`, if the value is a number of clients. Values
    /// are rounded, so a value of 2.5 or more activates a third client.
    pub fn next_active(&self, client: u32, at: Nanos) -> Option<Nanos> {
        let threshold = f64::from(client) + 0.5;
        let active = |(start, stage): &(Nanos, Stage)| {
            let end = Nanos(start.0 + stage.lasts.0);
            let crossing = || start.0 + (stage.lasts.0 as f64 * (threshold - stage.from) / (stage.to - stage.from)).round() as u64;
            let (from, until) = match (stage.from >= threshold, stage.to >= threshold) {
                (true, true) => (*start, end),
                (false, true) => (Nanos(crossing()), end),
                (true, false) => (*start, Nanos(crossing())),
                (false, false) => return None,
            };
            let next = from.max(at);
            (next < until).then_some(next)
        };
        self.stages.iter().find_map(active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = Nanos::from_ms(1_000);

    fn ms(ms: u64) -> Nanos {
        Nanos::from_ms(ms)
    }

    #[test]
    fn integrals_and_offsets_agree() {
        for (from, to) in [(10.0, 10.0), (10.0, 40.0), (40.0, 10.0), (0.0, 20.0), (100.0, 100.000_001)] {
            let stage = Stage { lasts: SECOND, from, to };
            assert!((stage.integral() - (from + to) / 2.0).abs() < 1e-9);
            let whole = stage.offset(stage.integral());
            assert!((whole - 1e9).abs() < 10.0, "{from} to {to}: {whole}");
            // In a rising stage, half of the arrivals are due after its middle.
            let half = stage.offset(stage.integral() / 2.0);
            assert_eq!(half.total_cmp(&5e8), to.total_cmp(&from), "{from} to {to}: {half}");
        }
    }

    #[test]
    fn clients_become_active_one_by_one_and_leave_in_reverse() {
        let shape = Shape::new([
            Stage::hold(SECOND, 1.0),
            Stage { lasts: ms(3_000), from: 1.0, to: 4.0 },
            Stage { lasts: ms(3_000), from: 4.0, to: 1.0 },
            Stage::hold(SECOND, 6.0),
        ]);
        // client, asked at, active at
        for (client, at, active) in [
            (0, 0, Some(0)),
            (1, 0, Some(1_500)),
            (3, 0, Some(3_500)),
            (3, 4_499, Some(4_499)),
            (3, 4_500, Some(7_000)), // It leaves at 4.5 s and returns in the last stage.
            (1, 6_499, Some(6_499)),
            (1, 6_500, Some(7_000)),
            (5, 0, Some(7_000)),
            (6, 0, None),
            (0, 7_999, Some(7_999)),
            (0, 8_000, None), // The shape has ended.
        ] {
            assert_eq!(shape.next_active(client, ms(at)), active.map(ms), "client {client} at {at} ms");
        }
    }

    /// A client that sleeps until it is next active is active when it wakes.
    #[test]
    fn the_next_active_time_is_active() {
        let shape = Shape::new([Stage { lasts: Nanos(999_999_937), from: 1.0, to: 97.0 }, Stage { lasts: ms(777), from: 97.0, to: 3.0 }]);
        for client in 0..97 {
            let at = shape.next_active(client, Nanos(0)).expect("every client has its time");
            assert_eq!(shape.next_active(client, at), Some(at), "client {client}");
        }
    }

    #[test]
    #[should_panic(expected = "positive numbers")]
    fn a_stage_without_load_is_refused() {
        Shape::new([Stage::hold(SECOND, 0.0)]);
    }
}
