//! Limits on the resources that a node uses, whatever its clients do: file descriptors, and bytes of buffer memory.
//! The limits are per node, not per connection, since clients control the number of connections.

pub(crate) mod descriptors;
pub(crate) mod lobby;
pub(crate) mod partial_frames;
pub(crate) mod reply_budget;

pub(crate) use descriptors::Descriptors;
pub(crate) use lobby::{Lobby, Place};
pub(crate) use partial_frames::PartialFrames;
pub(crate) use reply_budget::ReplyBudget;
