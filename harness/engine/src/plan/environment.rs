//! Conditions that hold for a whole run: a node whose clock is wrong, a client that is remote. Some workloads set
//! both, because these conditions are part of what they test.

use super::Net;
use super::units::Span;
use heckle_faults::Node;
use heckle_workloads::registry::{EnvironmentDefaults, WorkloadInfo};
use std::fmt;

/// A fixed offset of one node's wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    /// The node.
    pub node: Node,
    /// Offset in microseconds; a negative offset sets the clock back.
    pub offset_us: i64,
}

impl fmt::Display for ClockOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.offset_us < 0 { "-" } else { "" };
        write!(f, "{}:{sign}{}", self.node, Span(std::time::Duration::from_micros(self.offset_us.unsigned_abs())))
    }
}

/// Maximum offset.
const MAX_OFFSET: Span = Span::ms(24 * 3_600_000);
/// Maximum network delay of the remote client.
const MAX_CLIENT_DELAY: Span = Span::ms(10_000);

/// Parses `none`, or a node and its offset.
///
/// # Errors
/// If the text is neither, or the plan has no such node.
pub(super) fn clock_offset(given: Option<&str>, workload: &WorkloadInfo, nodes: u16) -> Result<Option<ClockOffset>, String> {
    let text = match (given, workload.environment) {
        (Some("none"), _) | (None, EnvironmentDefaults::Nothing) => return Ok(None),
        (Some(text), _) => text,
        (None, EnvironmentDefaults::FarClientAndSlowClock { behind, .. } | EnvironmentDefaults::SlowClock { behind }) => {
            return Ok(Some(ClockOffset { node: Node(nodes), offset_us: -((behind.0 / 1_000) as i64) }));
        }
    };
    let wrong = |why: String| format!("clock_offset = `{text}`: {why}; write for example n3:-2s, or none");
    let (node, offset) = text.split_once(':').ok_or_else(|| wrong("no node and offset".into()))?;
    let number: Option<u16> = node.strip_prefix('n').and_then(|n| n.parse().ok());
    let node = number.filter(|n| (1..=nodes).contains(n)).map(Node).ok_or_else(|| wrong(format!("there is no node `{node}`")))?;
    let (behind, span) = offset.strip_prefix('-').map_or((false, offset), |span| (true, span));
    let span: Span = span.strip_prefix('+').unwrap_or(span).parse().map_err(wrong)?;
    if span > MAX_OFFSET {
        return Err(wrong("more than a day".into()));
    }
    let us = span.0.as_micros() as i64;
    Ok((us != 0).then_some(ClockOffset { node, offset_us: if behind { -us } else { us } }))
}

/// Returns the network delay of the remote client.
///
/// # Errors
/// If it is too long, or there is no relay to add it.
pub(super) fn client_delay(given: Option<Span>, workload: &WorkloadInfo, net: Net) -> Result<Option<Span>, String> {
    let distance = match (given, workload.environment) {
        (Some(span), _) => span,
        (None, EnvironmentDefaults::Nothing | EnvironmentDefaults::SlowClock { .. }) => Span::ms(0),
        (None, EnvironmentDefaults::FarClientAndSlowClock { far, .. }) => Span(std::time::Duration::from_nanos(far.0)),
    };
    if distance > MAX_CLIENT_DELAY {
        return Err(format!("client_delay = {distance} is more than {MAX_CLIENT_DELAY}"));
    }
    if distance == Span::ms(0) {
        return Ok(None);
    }
    match net {
        Net::Relay => Ok(Some(distance)),
        Net::Direct => Err("a far client needs the relay: leave out --net direct, or set --client-delay 0s".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_workloads::registry::find;

    #[test]
    fn clock_offsets_round_trip_and_mistakes_are_named() {
        let (plain, mixed) = (find("hot-key").expect("there"), find("mixed-speed").expect("there"));
        for (text, us) in [("n3:-2s", -2_000_000), ("n1:150ms", 150_000), ("n2:+1s", 1_000_000)] {
            let clock = clock_offset(Some(text), plain, 3).expect(text).expect("an offset");
            assert_eq!(clock.offset_us, us);
            assert_eq!(clock_offset(Some(&clock.to_string()), plain, 3), Ok(Some(clock)));
        }
        assert_eq!(clock_offset(None, mixed, 3).expect("fine").map(|c| c.to_string()), Some("n3:-2s".into()));
        assert_eq!((clock_offset(None, plain, 3), clock_offset(Some("none"), mixed, 3)), (Ok(None), Ok(None)));
        for (text, what) in [("n4:-2s", "no node"), ("-2s", "no node"), ("n1:-2", "no unit"), ("n1:30h", "a day"), ("x:1s", "no node")] {
            let error = clock_offset(Some(text), plain, 3).expect_err(text);
            assert!(error.contains(what) && error.contains("n3:-2s"), "{error}");
        }
        assert!(client_delay(Some(Span::ms(5)), plain, Net::Direct).expect_err("refused").contains("relay"));
        assert_eq!(client_delay(None, mixed, Net::Relay), Ok(Some(Span::ms(10))));
        assert_eq!(client_delay(Some(Span::ms(0)), mixed, Net::Direct), Ok(None));
    }
}
