//! The list of all points.

use heckle_paxos::Point as ProtocolPoint;

use super::protocol;
use super::storage_point::StoragePoint;

/// The part of the node that contains a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointKind {
    /// In the storage.
    Storage,
    /// The protocol: between the messages of an operation.
    Protocol,
}

/// Description of one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointInfo {
    /// Name of the point on the control channel.
    pub name: &'static str,
    /// The part of the node that contains it.
    pub kind: PointKind,
    /// When the point is reached, in one sentence.
    pub doc: &'static str,
}

/// Returns all points of a node, storage points first.
pub fn list() -> Vec<PointInfo> {
    let storage = StoragePoint::ALL.into_iter().map(|point| PointInfo { name: point.name(), kind: PointKind::Storage, doc: point.doc() });
    let protocol =
        ProtocolPoint::ALL.into_iter().map(|point| PointInfo { name: point.name(), kind: PointKind::Protocol, doc: protocol::doc(point) });
    storage.chain(protocol).collect()
}

/// A point of either kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnyPoint {
    Storage(StoragePoint),
    Protocol(ProtocolPoint),
}

/// Finds the point with this name.
pub(crate) fn parse(name: &str) -> Result<AnyPoint, String> {
    let storage = StoragePoint::ALL.into_iter().find(|point| point.name() == name).map(AnyPoint::Storage);
    let protocol = ProtocolPoint::ALL.into_iter().find(|point| point.name() == name).map(AnyPoint::Protocol);
    storage.or(protocol).ok_or_else(|| {
        let names: Vec<&str> = list().into_iter().map(|point| point.name).collect();
        format!("no point is called {name:?}; there are {}", names.join(", "))
    })
}

/// Finds the protocol point with this name.
pub(crate) fn parse_protocol(name: &str) -> Result<ProtocolPoint, String> {
    match parse(name)? {
        AnyPoint::Protocol(point) => Ok(point),
        AnyPoint::Storage(_) => Err(format!("{name} is a point of the storage, not of the protocol")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_point_has_a_unique_name_and_a_doc() {
        let points = list();
        let names: BTreeSet<&str> = points.iter().map(|point| point.name).collect();
        assert_eq!(names.len(), points.len());
        for point in points {
            assert!(point.doc.ends_with('.') && point.doc.len() > 10, "{point:?}");
            let kind = match parse(point.name).unwrap() {
                AnyPoint::Storage(_) => PointKind::Storage,
                AnyPoint::Protocol(_) => PointKind::Protocol,
            };
            assert_eq!(kind, point.kind, "{}", point.name);
        }
        assert!(parse("before-lunch").unwrap_err().contains("before-sync"));
        parse_protocol("before-sync").unwrap_err();
    }
}
