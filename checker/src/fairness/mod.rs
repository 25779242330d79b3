//! Who got how much, who waited how long, and whether somebody starved.
//!
//! The unit is the intent: what a client wants, over all its attempts. A client whose every attempt is refused is
//! starving, however fast the refusals come; latency of single ops cannot show it. Everything is computed from the
//! history alone. Modules in reading order:

pub mod intents; // attempts put together
pub mod survival; // waiting times with those that never ended (Kaplan and Meier)
pub mod shares; // how equal shares are: Jain, Gini
pub mod bypass; // how often later intents finished first
pub mod windows; // shares and droughts over time
pub mod calm; // time without faults
pub mod measure; // all of it, for a whole history
pub mod starvation; // the verdict

pub use intents::{End, Intent};
pub use measure::{Fairness, Group, measure};
pub use starvation::Limits;
