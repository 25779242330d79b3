//! What sets a fault off.

use heckle_history::Nanos;

/// What sets a fault off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// A time, counted from the beginning of the load window.
    At(Nanos),
    /// A point of the system's protocol that a node reaches. The system says which points it has.
    AtPoint(Box<str>),
}

impl Trigger {
    /// The time of a fault that has one.
    ///
    /// # Errors
    /// If it has none: no engine can wait for a protocol point yet.
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
