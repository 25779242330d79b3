//! The sans-IO Paxos core, shared by the server, the simulator and the model checker.
//!
//! A replicated key-value store whose conditional writes run one Paxos register per key, as the lightweight
//! transactions of Cassandra and `ScyllaDB` do. The core is one pure function, [`Replica::step`]: time and randomness
//! are arguments, and the work to be done is returned as [`Action`]s. It never sees a socket, a file, a clock or a
//! thread.
//!
//! Modules in reading order:
//! - [`ids`]: domain types for times, nodes, operations, keys and values;
//! - [`ballot`]: the order of attempts, and the hybrid logical clock that generates ballots;
//! - [`row`]: the content of a key, with the table that makes operations exactly-once;
//! - [`quorum`]: the members of the cluster, and sets of them;
//! - [`message`]: the messages between nodes;
//! - [`record`]: the records that make up logs and snapshots;
//! - [`request`]: client requests, and outcomes that state exactly what is known;
//! - [`action`]: the events that enter a step and the actions that leave it;
//! - [`forward`]: operations forwarded to the holder of a lease;
//! - [`config`]: settings and limits;
//! - [`mutants`]: deliberate bugs, to test the tester;
//! - [`backoff`]: how long to wait after being outbid;
//! - [`lease`]: the time-bounded right to be the only coordinator of a range of keys;
//! - [`acceptor`]: the storing role of a node;
//! - [`cell`]: last-write-wins puts and gets, without Paxos;
//! - `coordinator`: the coordinating role, with the four rounds of an operation;
//! - `prune`: drops accepted copies once every replica has learned;
//! - [`expiry`]: drops Paxos state whose ballots are too old;
//! - `slot`: the state of one key at one node: its acceptor, its running operation, its queue;
//! - [`replica`]: the whole node, and how it handles an event;
//! - [`counters`]: the counters of a node.
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
pub use config::{AbsentReads, Backoff, Config, ConfigError, Links, Points, Prune, Queue, Rounds};
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
