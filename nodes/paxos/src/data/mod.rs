//! The data types of the core. The crate root re-exports these modules to keep paths short.

pub mod ballot;
pub mod cell;
pub mod ids;
pub mod quorum;
pub mod record;
pub mod row;
