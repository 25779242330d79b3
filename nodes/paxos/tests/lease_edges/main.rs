//! Leases at their edges: the last nanosecond of a grant, an extension that asks for less, the moment a holder has to give
//! way. Worlds drawn at random (`lease.rs`) show that two nodes never hold a range at one time; these tests say what each node
//! does when, so that a lease is also of use.

mod grantor;
mod holder;
mod rig;
mod turns;
