//! Leases at their edges: the last nanosecond of a grant, an extension for a shorter time, the moment at which a
//! holder must release. Random worlds (`lease.rs`) show that two nodes never hold a range at the same time. These
//! tests check what each node does and when, so that leases are also useful.

mod grantor;
mod holder;
mod rig;
mod turns;
