//! The trigger of a fault.

use heckle_history::Nanos;

/// The trigger of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// A time, counted from the start of the load window.
    At(Nanos),
    /// A point in the system's protocol that a node reaches. The system defines its points.
    AtPoint(Box<str>),
}

impl Trigger {
    /// Returns the time of the trigger.
    ///
    /// # Errors
    /// If it is a protocol point: no engine can wait for one yet.
    pub fn time(&self) -> Result<Nanos, String> {
        match self {
            Trigger::At(time) => Ok(*time),
            Trigger::AtPoint(point) => Err(format!(
                "`at_point = \"{point}\"`: this build cannot inject a fault at a protocol point; give a time instead, such as at = \"5s\""
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_point_is_refused_by_name() {
        assert_eq!(Trigger::At(Nanos(7)).time(), Ok(Nanos(7)));
        let refused = Trigger::AtPoint("after-propose".into()).time().expect_err("nothing waits for a point");
        assert!(refused.contains("after-propose") && refused.contains("at = "), "{refused}");
    }
}
