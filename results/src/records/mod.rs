//! What the files of a run say, in types.

pub mod results_json; // what a run came to: `heckle.results/1`
pub mod fairness; // its part on who got how much
pub mod results_text; // that file as text, and back
pub mod env_json; // the machine a run was made on, and its fingerprint
pub mod terms; // what a run was held to and how it ended, as its history carries it
pub mod from_checker; // the checker's words in the file's types
pub mod schemas; // JSON Schemas of the files, with golden copies
