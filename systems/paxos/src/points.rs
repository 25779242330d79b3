//! Named points in the code of nodes, armed over the control channel.

use crate::identity::control_with_token;
use crate::{ANSWER_TIMEOUT, Paxos};
use heckle_server::control::Client;
use heckle_server::points::{self, Injection};
use heckle_system_api::capability::{PointInfo, Points, Reached};
use heckle_system_api::launch::NodeSpec;

/// Points that an operation or a sync passes. The other points belong to new segments, snapshots and refreshes.
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
/// Points that only a recovery passes.
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
        // The point that stands for all of the storage reports which one it was.
        if point == ANY { "event=disk_failed".to_owned() } else { format!("point {point} was reached") }
    }
}

/// The point that stands for every point of the storage.
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
