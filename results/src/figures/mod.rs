//! Figures from a history: latency, rate, outcomes, faults.

pub mod median; // the median
pub mod totals; // operation counts, for the whole run and for the load window
pub mod faults; // the faults of a history, and the recovery from each
pub mod measure; // figures from a history: latency, rate, outcomes, figures of the system
pub mod stages; // figures of each stage of a load that changes over time
pub mod latency_slices; // latency over time, in slices of about the same number of operations
pub mod series; // time series of a run
pub mod bottleneck; // bottlenecks outside the system under test, and the figures they invalidate
pub mod clients; // the share of each client
pub mod fault_impact; // the effect of each fault on operations
pub mod slowest; // the slowest operations, and why
pub mod hlog; // latency as an HdrHistogram interval log
pub mod buckets; // latencies in fixed buckets, for dashboards
