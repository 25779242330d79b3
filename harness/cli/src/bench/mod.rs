//! The benchmarks of `heckle bench`. They are separate from what they measure: the engine and the server have no benchmark code.

pub mod relay; // requested delay and loss versus measured
pub mod soak; // the checkers compared on random histories
pub mod objects; // long histories of sets and lists: reading and judging
pub mod core; // cost of an operation in the core alone
pub mod store; // the node's log compared with other stores
pub mod etcd; // the bundled server compared with etcd
pub mod hostile; // nodes among hostile clients: who lives, what is read, how much memory
