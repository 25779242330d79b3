//! Rules of a counter, with 128-bit sums.

use super::super::{NEVER, Rule};
use super::Case;
use crate::search::{ModelCall, ModelKind};

/// Sums of increments between two points in time.
struct Between {
    /// Sum of the increments that are certainly in between.
    sure: i128,
    /// Sum of the other positive increments that may be in between.
    up: i128,
    /// Sum of the other negative increments that may be in between.
    down: i128,
    /// A number that divides all of the other increments; 0 if there are none.
    divisor: i128,
}

impl Case<'_> {
    pub(super) fn counter(&self, rule: &Rule) -> Result<bool, String> {
        if self.model != ModelKind::Counter {
            return Err("only a counter is judged by it".to_owned());
        }
        Ok(match rule {
            Rule::TooLow { read, since } => {
                let (start, sums) = (self.start(*since)?, self.between(*since, *read)?);
                self.saw(*read)? < start + sums.sure + sums.down
            }
            Rule::TooHigh { read, since } => {
                let (start, sums) = (self.start(*since)?, self.between(*since, *read)?);
                self.saw(*read)? > start + sums.sure + sums.up
            }
            Rule::NoSum { read } => {
                let sums = self.between(None, *read)?;
                let rest = self.saw(*read)? - sums.sure;
                if sums.divisor == 0 { rest != 0 } else { rest % sums.divisor != 0 }
            }
            _ => false,
        })
    }

    fn saw(&self, read: u32) -> Result<i128, String> {
        match self.op(read).call {
            ModelCall::Count { count: Some(count) } if self.completed(read).is_some() => Ok(i128::from(count)),
            _ => Err(format!("op {} is no answered read", self.op(read).id)),
        }
    }

    fn start(&self, since: Option<u32>) -> Result<i128, String> {
        since.map_or(Ok(0), |since| self.saw(since))
    }

    fn between(&self, since: Option<u32>, read: u32) -> Result<Between, String> {
        let end = self.op(read);
        let since = since.map(|since| self.op(since));
        let after = since.map(|op| op.completed.unwrap_or(NEVER));
        if after.is_some_and(|after| after >= end.invoked) {
            return Err("the two reads overlap".to_owned());
        }
        let mut sums = Between { sure: 0, up: 0, down: 0, divisor: 0 };
        for op in self.ops {
            let ModelCall::Increment { by } = op.call else { continue };
            let by = i128::from(by);
            let over = op.completed.unwrap_or(NEVER);
            if over < end.invoked && after.is_none_or(|after| op.invoked > after) {
                sums.sure += by;
            } else if op.invoked <= end.completed.unwrap_or(NEVER) && since.is_none_or(|since| over >= since.invoked) {
                sums.up += by.max(0);
                sums.down += by.min(0);
                sums.divisor = gcd(sums.divisor, by);
            }
        }
        Ok(sums)
    }
}

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}
