//! The coordinating role: one operation on one key, through the four rounds, over all its attempts.
//!
//! prepare -> (repair -> prepare)* -> read -> (refresh -> prepare)* -> evaluate -> propose -> learn
//!
//! [`Rounds`](crate::Rounds) selects which rounds are saved: *merged* reads in the prepare; *async learn* replies
//! when the update is chosen, and leaves an unlearned update to the repair of the next prepare; *fast* requests a
//! promise of the next ballot with each accept, see the module `fast`.
//!
//! **Why it is safe.** The argument has three claims. A chosen update is one accepted by a quorum at one ballot, and
//! "row" means the learned row.
//! 1. *Nothing chosen is missed.* A coordinator at ballot b proposes its own update or a fence only if a quorum P
//!    promised b and every member of P reported, in that promise, the same row, at L. Then every non-empty update
//!    chosen below b was chosen at or below L. Proof: its accepting quorum shares a member with P, which reports it
//!    as accepted, or reports a row at least as new; an accepted one above L is repaired first; and if a newer
//!    *empty* one hides it, then the proposer of that one had a quorum P' whose promises, given before, reported the
//!    row: P' meets P.
//! 2. *The promise itself must report the row*, not a refresh that came after it. Otherwise, with L chosen by {x, r}
//!    and learned only by x: r promises 5 (no row); r promises 6 (no row, L accepted); r is refreshed for 5; z
//!    accepts the fence of 5; z promises 6; and coordinator 6 sees {r: L accepted, z: a newer fence} and concludes
//!    that L was never chosen (compare Scylla #24630).
//! 3. *A ballot carries one update.* So a reply counts only for its exact tag, and another update needs another
//!    ballot.
//!
//! Where only whole rows are proposed and never empty updates (*async learn*, *fast*), claim 1 does not require any
//! member to have learned L: a proposal hides nothing that it builds on. So no replica is refreshed, and a row that
//! is learned later, or by few replicas, costs at most a repair.

pub(crate) mod env;
mod evaluate;
mod fast;
mod fate;
mod forwarded;
mod lease_state;
mod leased;
mod plain;
mod prepared;
mod propose;
mod rounds;
mod state;
mod timing;

pub(crate) use env::{Env, Shared};
pub(crate) use fast::{BatchStatus, InFlightBatch, ProposalBuilder};
pub(crate) use forwarded::ForwardedOp;
pub(crate) use lease_state::{ForwardHistory, FreshRow};
pub(crate) use leased::LEASE_TIMERS;
pub(crate) use plain::PlainOp;
pub(crate) use prepared::Prepared;
pub(crate) use state::{Basis, Coordination, Proposals, Waiting};
