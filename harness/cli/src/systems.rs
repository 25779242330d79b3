//! The systems that this command can test: the only list of them. To add one: a crate under `systems/` and a line here.

pub use heckle_engine::systems::Systems;
use std::sync::OnceLock;

/// The systems of this package, the default first.
pub const BUILT_IN: Systems = Systems::new(&[
    &heckle_system_paxos::PaxosKind,
    &heckle_system_etcd::EtcdKind,
    &heckle_system_zookeeper::ZooKeeperKind,
    &heckle_system_redis::RedisKind,
])
.with_described(&heckle_system_external::ExternalSystems);

static INSTALLED: OnceLock<Systems> = OnceLock::new();

/// Makes the command test other systems than the built-in ones. Only the first call of a process counts, and it must come before the
/// first plan is read: see [`crate::verbs::main_with`].
pub fn install(systems: Systems) {
    let _ = INSTALLED.set(systems);
}

/// The systems that this process can test.
pub fn all() -> Systems {
    *INSTALLED.get_or_init(|| BUILT_IN)
}
