//! The coordinating role: takes one operation on one key through its four rounds, over all its attempts.
//!
//! prepare -> (repair -> prepare)* -> read -> (refresh -> prepare)* -> evaluate -> propose -> learn
//!
//! [`Rounds`](crate::Rounds) selects which rounds are saved. *Merged* reads in the prepare. *Async learn* replies
//! when the update is chosen, and leaves an unlearned update for the next prepare to repair. *Fast* requests a
//! promise of the next ballot with each accept: see the `fast` module.
//!
//! **Why it is safe.** The argument consists of three claims. An update is chosen once a quorum has accepted it at
//! one ballot, and "row" means the learned row.
//! 1. *Nothing chosen is missed.* A coordinator at ballot b proposes its own update or a fence only if a quorum P
//!    promised b and every member of P reported the same row, learned at L, in that promise. Then every non-empty
//!    update chosen below b was chosen at or below L. Proof: the quorum that accepted it shares a member with P, and
//!    that member reports either the accepted update or a row at least as new. An accepted update above L is repaired
//!    first. If a newer *empty* update hides it, the proposer of the empty one had an earlier quorum P' of promises
//!    that reported the row, and P' meets P.
//! 2. *The promise itself must report the row*: a refresh after the promise is not enough. Otherwise, with L chosen
//!    by {x, r} and learned only by x: r promises 5 (no row); r promises 6 (no row, L accepted); r is refreshed for
//!    5; z accepts the fence of 5; z promises 6; and coordinator 6 sees {r: L accepted, z: a newer fence} and
//!    concludes that L was never chosen (compare Scylla #24630).
//! 3. *A ballot carries one update.* So a reply counts only for its exact tag, and a different update needs a
//!    different ballot.
//!
//! In modes that propose only whole rows and never empty updates (*async learn*, *fast*), claim 1 does not require
//! any member to have learned L: a proposal hides nothing that it builds on. So no replica needs a refresh, and a row
//! that is learned late, or by only a few replicas, costs at most a repair.

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
