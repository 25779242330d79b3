//! The systems that this command can test. This is the only such list. To add a system, add a crate under `systems/` and a line here.

pub use heckle_engine::systems::Systems;
use std::sync::OnceLock;

/// The built-in systems. The first one is the default.
pub const BUILT_IN: Systems = Systems::new(&[
    &heckle_system_paxos::PaxosKind,
    &heckle_system_etcd::EtcdKind,
    &heckle_system_zookeeper::ZooKeeperKind,
    &heckle_system_redis::RedisKind,
])
.with_described(&heckle_system_external::ExternalSystems);

static INSTALLED: OnceLock<Systems> = OnceLock::new();

/// Replaces the built-in systems with others. Only the first call in a process has an effect, and it must come before the first plan
/// is read: see [`crate::verbs::main_with`].
pub fn install(systems: Systems) {
    let _ = INSTALLED.set(systems);
}

/// Returns the systems that this process can test.
pub fn all() -> Systems {
    *INSTALLED.get_or_init(|| BUILT_IN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_found(given: Option<&str>, name: &str) {
        assert_eq!(BUILT_IN.find(given).map(|kind| kind.name()), Ok(name), "{given:?}");
    }

    #[test]
    fn a_system_is_found_by_its_name_and_by_that_of_its_table() {
        check_found(None, "bundled");
        check_found(Some("bundled"), "bundled");
        check_found(Some("paxos"), "bundled");
        check_found(Some("etcd"), "etcd");
        let error = BUILT_IN.find(Some("paxso")).err().expect("refused");
        assert!(error.contains("system = `paxso`") && error.contains("bundled"), "{error}");
    }
}
