//! Is tested: the sans-IO Paxos core that the server, the simulator and the model checker all run.
//!
//! A replicated key-value store whose conditional writes run one Paxos register per key, as the
//! lightweight transactions of Cassandra and `ScyllaDB` do. The core is one pure function,
//! [`Replica::step`]: time and randomness are arguments, and what it wants done comes back as
//! [`Action`]s. It never sees a socket, a file, a clock or a thread.
//!
//! Modules in reading order:
//! - [`ids`]: small domain types: times, nodes, operations, keys, values;
//! - [`ballot`]: the order of attempts, and the hybrid logical clock that makes them;
//! - [`row`]: what is stored under a key, with the table that makes operations exactly-once;
//! - [`quorum`]: the members and sets of them;
//! - [`message`]: what nodes say to each other;
//! - [`record`]: what must be durable, which is also what a snapshot is made of;
//! - [`request`]: what clients ask, and the answers that say what is known;
//! - [`action`]: the events that enter a step and the actions that leave it;
//! - [`forward`]: operations handed to the holder of a lease;
//! - [`config`]: settings and limits;
//! - [`mutants`]: deliberate bugs, to test the tester;
//! - [`backoff`]: how long to wait after being outbid;
//! - [`lease`]: who alone coordinates a range of keys for a while;
//! - [`acceptor`]: the storing role;
//! - [`cell`]: puts and gets without Paxos, last write wins;
//! - `coordinator`: the driving role, the four rounds of one operation;
//! - `prune`: accepted copies go once every replica has learned;
//! - [`expiry`]: state that is too old, judged by ballots, goes too;
//! - `slot`: one key at one node: its acceptor, its running operation, its queue;
//! - [`replica`]: the whole node, and the way an event takes through it;
//! - [`counters`]: what a node counts.
#![forbid(unsafe_code)]

pub mod acceptor;
pub mod action;
pub mod backoff;
pub mod config;
mod coordinator;
mod data;
pub mod expiry;
pub mod forward;
pub mod lease;
pub mod message;
pub mod mutants;
mod prune;
pub mod replica;
pub mod request;
mod slot;

pub use data::{ballot, cell, ids, quorum, record, row};
pub use replica::counters;

pub use action::{Action, Actions, Event, Point, Sync};
pub use ballot::Ballot;
pub use cell::{Cell, Level, PlainCall, PlainRequest};
pub use config::{Backoff, Config, ConfigError, Links, Points, Prune, Queue, Rounds};
pub use counters::Counters;
pub use expiry::sweep_ns;
pub use forward::{Forward, Forwarded};
pub use ids::{ClientToken, IoId, Key, MonoTime, NodeId, OpId, TimerId, Value, WallTime};
pub use message::{Body, Message, RequestKind, Tag};
pub use mutants::{Mutant, MutantClass, MutantInfo, Mutants};
pub use prune::PRUNE_SLOT_BYTES;
pub use record::{Record, StateBytes};
pub use replica::Replica;
pub use request::{Call, ClientRequest, Diagnostics, Fate, InvalidWhy, NotAppliedWhy, Outcome, Phase, Provenance, UnknownWhy};
pub use row::{Accepted, Dedupe, DedupeEntry, DedupeLimits, OpFate, Row, RowData, Update};
