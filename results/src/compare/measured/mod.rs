//! The figures of runs, and which runs count. Modules in reading order:

pub mod phases; // phases: calm, during faults, recovery
pub mod intents; // intents of clients, and how long they took
pub mod figures; // figures by which arms are compared
pub mod state; // bytes of protocol state over time
pub mod runs; // which runs count
