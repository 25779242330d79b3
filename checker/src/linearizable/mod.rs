//! One key of unique values: verdict, proof, and the proof's proof. Modules in reading order:

pub mod certificate; // a verdict's proof, as data
pub(crate) mod chain; // the chain checker, with the argument why it is exact
pub(crate) mod core; // a key, or the few ops of a contradiction, as a question to a search
pub(crate) mod facts; // what one op contributes, fates included
pub(crate) mod paths; // why a violation had to be expected
pub mod reason; // a contradiction in words, and its kind
pub mod verify; // accepts or refuses a certificate, sharing no code with the checker

pub use verify::verify;
