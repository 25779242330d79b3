//! Judges one key with unique values: verdict, proof, and verification of the proof. Modules in reading order:

pub mod certificate; // the proof of a verdict, as data
pub(crate) mod chain; // the chain checker, with the argument for its exactness
pub(crate) mod search_request; // converts a key or a contradiction to a search request
pub(crate) mod facts; // what one op contributes, including its fate
pub(crate) mod paths; // why a violation was to be expected
pub mod reason; // explains a contradiction and determines its kind
pub mod verify; // accepts or rejects a certificate, sharing no code with the checker

pub use verify::verify;
