//! What the core stores and names. The crate's root gives these modules, so that their paths are short.

pub mod ballot;
pub mod cell;
pub mod ids;
pub mod quorum;
pub mod record;
pub mod row;
