//! Figures from a history: latency, rate, outcomes, faults.

pub mod median; // the middle of figures
pub mod totals; // counts of ops, over the whole run and in the load window
pub mod faults; // the disturbances of a history, and how long each took to get over
pub mod measure; // figures from a history: latency, rate, outcomes, what the system reported
pub mod series; // a run in slices of time
pub mod bottleneck; // what held a run back besides the system under test, and what that makes worthless
pub mod clients; // who got how much
pub mod fault_impact; // what each fault did to the ops
pub mod slowest; // the slowest ops, and why
pub mod hlog; // latency as HdrHistogram's interval log
