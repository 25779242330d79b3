//! Fairness: the shares and waiting times of clients, and starvation.
//!
//! The unit is the intent: what a client wants, over all its attempts. A client whose every attempt is refused is
//! starving, no matter how fast the refusals arrive. The latency of single ops does not show this. Everything is
//! computed from the history alone. Modules in reading order:

pub mod intents; // intents assembled from attempts
pub mod survival; // waiting times, including waits that never ended (Kaplan and Meier)
pub mod shares; // equality of shares: Jain, Gini
pub mod bypass; // how often later intents finished first
pub mod windows; // shares and droughts over time
pub mod fault_time; // time with and without active faults
pub mod measure; // all fairness figures of a history
pub mod starvation; // the starvation verdict

pub use intents::{End, Intent};
pub use measure::{Fairness, Group, measure};
pub use starvation::Limits;
