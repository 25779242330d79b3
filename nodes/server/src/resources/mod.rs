//! What a node may use at most, whatever its clients do: file descriptors, and bytes of memory for buffers. The limits
//! are per node, not per connection, since the number of connections is up to the clients.

pub(crate) mod descriptors;
pub(crate) mod lobby;
pub(crate) mod partial_frames;
pub(crate) mod reply_budget;

pub(crate) use descriptors::Descriptors;
pub(crate) use lobby::{Lobby, Place};
pub(crate) use partial_frames::PartialFrames;
pub(crate) use reply_budget::ReplyBudget;
