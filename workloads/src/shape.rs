//! Load shapes: a load that changes over time, in stages that follow each other. Each stage holds a value or moves linearly from one
//! to another. The value is a rate of arrivals (see [`crate::pacing::Arrivals`]) or a number of active clients.

use heckle_history::Nanos;

/// One stage: the value moves linearly from `from` to `to`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Its length.
    pub lasts: Nanos,
    /// The value at its beginning.
    pub from: f64,
    /// The value at its end; equal to `from` for a stage that holds.
    pub to: f64,
}

impl Stage {
    /// A stage that holds a value.
    pub fn hold(lasts: Nanos, value: f64) -> Self {
        Stage { lasts, from: value, to: value }
    }

    /// The integral of the value over the stage, in value times seconds: the number of arrivals, if the value is a rate.
    pub fn integral(self) -> f64 {
        (self.from + self.to) / 2.0 * self.lasts.as_secs_f64()
    }

    /// The time from the beginning of the stage until the integral reaches `part`. At most the whole integral makes sense.
    pub(crate) fn offset(self, part: f64) -> f64 {
        if self.from == self.to {
            return part * (1e9 / self.from);
        }
        let slope = (self.to - self.from) / self.lasts.as_secs_f64();
        // The usual formula with the square root in the numerator loses all digits where the slope is small.
        let root = (self.from * self.from + 2.0 * slope * part).max(0.0).sqrt();
        2.0 * part / (self.from + root) * 1e9
    }
}

/// Stages one after the other, from time zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Each stage with its beginning.
    stages: Vec<(Nanos, Stage)>,
}

impl Shape {
    /// A shape of these stages.
    ///
    /// # Panics
    /// If a value is not a finite number of zero or more, or a stage begins and ends at zero; plans are validated earlier.
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

    /// The stages, each with its beginning.
    pub fn stages(&self) -> &[(Nanos, Stage)] {
        &self.stages
    }

    /// When client `client` (counted from 0) is next active at or after `at`, if the value is a number of clients. A value of 2.5 or
    /// more activates a third client: values are rounded.
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
            // Half of the arrivals of a rising stage are due after its middle.
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
            (3, 4_500, Some(7_000)), // It left at 4.5 s and is back in the last stage.
            (1, 6_499, Some(6_499)),
            (1, 6_500, Some(7_000)),
            (5, 0, Some(7_000)),
            (6, 0, None),
            (0, 7_999, Some(7_999)),
            (0, 8_000, None), // The shape is over.
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
