//! Named points in the nodes' code, armed over the control channel.

use crate::identity::control_with_token;
use crate::{ANSWER_TIMEOUT, Paxos};
use heckle_server::control::Client;
use heckle_server::points::{self, Injection};
use heckle_system_api::capability::{ArmedPoint, PointHit, PointInfo, Points, Reached};
use heckle_system_api::launch::NodeSpec;
use std::time::Duration;

/// Points reached by operations or syncs. The other points belong to new segments, snapshots and refreshes.
const OFTEN: [&str; 10] = [
    "before-write",
    "mid-write",
    "before-sync",
    "after-sync",
    "after-prepare-all",
    "after-propose-first",
    "after-propose-all",
    "after-learn-first",
    "after-learn-all",
    "before-reply",
];
/// Points reached only by a recovery.
const AT_START: [&str; 2] = ["after-recovery-read", "before-recovery-removal"];

impl Points for Paxos {
    fn all(&self) -> Vec<PointInfo> {
        let reached = |name: &str| match name {
            _ if OFTEN.contains(&name) => Reached::Often,
            _ if AT_START.contains(&name) => Reached::AtStart,
            _ => Reached::Seldom,
        };
        points::list().into_iter().map(|point| PointInfo { name: point.name, about: point.doc, reached: reached(point.name) }).collect()
    }

    fn crash_at(&self, node: &NodeSpec, point: &str) -> Result<(), String> {
        client(node)?.inject(point, Injection::Crash, 0).map_err(|e| e.to_string())
    }

    fn disarm(&self, node: &NodeSpec, point: &str) -> Result<(), String> {
        client(node)?.disarm(point).map_err(|e| e.to_string())
    }

    fn last_words(&self, point: &str) -> String {
        // The point that matches any storage point reports the one that was reached.
        if point == ANY { "event=disk_failed".to_owned() } else { format!("point {point} was reached") }
    }

    fn hold_at(&self, node: &NodeSpec, point: &str, skip: u32, longest: Duration) -> Result<Box<dyn ArmedPoint>, String> {
        let mut client = client(node)?;
        let ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        client.hold_at(point, skip, ms).map_err(|e| e.to_string())?;
        Ok(Box::new(Armed(client)))
    }
}

/// The connection that holds the node.
struct Armed(Client);

impl ArmedPoint for Armed {
    fn reached(&mut self, wait: Duration) -> Result<Option<PointHit>, String> {
        let point = self.0.next_point(wait).map_err(|e| e.to_string())?;
        Ok(point.filter(|point| point.held).map(|point| {
            // Points of the storage belong to no single operation.
            let what = if point.op.is_empty() { String::new() } else { format!("{} on {} at {}", point.op, point.key, point.ballot) };
            PointHit { raw_ns: point.mono_ns, what }
        }))
    }
}

/// The point that matches any storage point.
const ANY: &str = "any-storage";

fn client(node: &NodeSpec) -> Result<Client, String> {
    control_with_token(node, ANSWER_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Flags, PaxosSettings};
    use heckle_server::points::PointKind;

    #[test]
    fn the_classes_name_points_that_exist() {
        let all = Paxos::new(PaxosSettings::check(&Flags::default()).expect("defaults")).all();
        let of = |reached: Reached| all.iter().filter(|point| point.reached == reached).count();
        assert_eq!((of(Reached::Often), of(Reached::AtStart)), (OFTEN.len(), AT_START.len()));
        let storage = points::list().iter().filter(|point| point.kind == PointKind::Storage).count();
        assert_eq!((storage, all.len()), (20, 27));
    }
}
