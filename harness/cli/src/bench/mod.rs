//! What `heckle bench` measures. None of it is inside what is measured: the engine and the server know nothing of this.

pub mod relay; // asked delay and loss against measured
pub mod soak; // the judge's engines compared on random histories
pub mod objects; // long histories of sets and lists read and judged
pub mod core; // what an operation costs in the core alone
pub mod store; // the node's log measured beside stores of others
pub mod etcd; // the bundled server measured beside etcd
