//! Connections that are accepted but never answered, as with a process that is stuck behind a listening socket.

use super::frames::RESET;
use crate::action::{Action, LinkEffect, Step};
use crate::fault::{Amounts, Fault};
use crate::kind::{Evidence, Kind};

/// New connections are accepted but never answered. Existing ones are reset, so clients and peers reconnect.
pub(crate) static HANG: Kind = Kind {
    name: "hang",
    about: "connections are accepted but never answered",
    evidence: Evidence::Any(&["hung_connections"]),
    draw: |draw| Fault { kind: &HANG, target: draw.one_or_all(), amounts: Amounts::default() },
    steps: |fault, lasts, nodes| Ok(vec![Step::whole(lasts, Action::Disturb(fault.target.links(nodes), LinkEffect::Hang))]),
    ..RESET
};
