//! The systems that a plan can name. The engine receives this list from the command, which chooses the systems.

use heckle_system_api::settings::{did_you_mean, one_of};
use heckle_system_api::{DescribedSystems, System, SystemKind};
use std::sync::Arc;

/// The systems that a plan can name.
#[derive(Clone, Copy)]
pub struct Systems {
    kinds: &'static [&'static dyn SystemKind],
    described: Option<&'static dyn DescribedSystems>,
}

impl std::fmt::Debug for Systems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(SystemKind::name)).finish()
    }
}

impl Systems {
    /// Creates a list of systems. The first one is the default.
    pub const fn new(all: &'static [&'static dyn SystemKind]) -> Self {
        Systems { kinds: all, described: None }
    }

    /// Adds support for systems described by plans.
    #[must_use]
    pub const fn with_described(self, described: &'static dyn DescribedSystems) -> Self {
        Systems { kinds: self.kinds, described: Some(described) }
    }

    /// Returns the support for systems described by plans.
    ///
    /// # Errors
    /// If this program does not support them.
    pub fn described(self) -> Result<&'static dyn DescribedSystems, String> {
        self.described.ok_or_else(|| "this program does not test systems that a plan describes: leave out [system] name".to_owned())
    }

    /// Iterates over all systems.
    pub fn iter(self) -> impl Iterator<Item = &'static dyn SystemKind> {
        self.kinds.iter().copied()
    }

    /// Returns the system with that name, or the default if there is no name. Also accepts the name of the system's table.
    ///
    /// # Errors
    /// If there is no such system. The message names the nearest one.
    pub fn find(self, name: Option<&str>) -> Result<&'static dyn SystemKind, String> {
        let names: Vec<&str> = self.iter().map(SystemKind::name).collect();
        if let Some(kind) = name.and_then(|name| self.iter().find(|kind| kind.table() == name)) {
            return Ok(kind);
        }
        let name = one_of("system", name, &names)?;
        self.iter().find(|kind| kind.name() == name).ok_or_else(|| format!("there is no system `{name}`"))
    }

    /// Returns the system whose settings are in `[system.TABLE]`. Also accepts the name of the system.
    ///
    /// # Errors
    /// If there is no such system. The message names the nearest one.
    pub fn by_table(self, table: &str) -> Result<&'static dyn SystemKind, String> {
        let found = self.iter().find(|kind| kind.table() == table || kind.name() == table);
        let all: Vec<&str> = self.iter().map(SystemKind::table).collect();
        found.ok_or_else(|| format!("there is no table [system.{table}]; {}", did_you_mean(table, &all)))
    }

    /// Returns the first system that has this setting.
    pub fn with_key(self, key: &str) -> Option<&'static dyn SystemKind> {
        self.iter().find(|kind| kind.keys().iter().any(|k| k.name == key))
    }

    /// Returns the setting keys of all systems.
    pub fn keys(self) -> impl Iterator<Item = &'static str> {
        self.iter().flat_map(|kind| kind.keys().iter().map(|key| key.name))
    }

    /// Builds a system. A setting of another system is rejected instead of ignored.
    ///
    /// # Errors
    /// The invalid setting and what would be valid.
    pub fn build(self, kind: &dyn SystemKind, settings: &toml::Table, nodes: u16) -> Result<Arc<dyn System>, String> {
        let has = |kind: &dyn SystemKind, key: &str| kind.keys().iter().any(|k| k.name == key);
        if let Some(key) = settings.keys().find(|key| !has(kind, key)) {
            let name = kind.name();
            return Err(match self.iter().find(|other| has(*other, key)) {
                Some(other) => format!("`{key}` is a setting of the {} server, {name} does not have it: leave it out", other.name()),
                None => format!(
                    "system `{name}` has no setting `{key}`; available: {}",
                    kind.keys().iter().map(|k| k.name).collect::<Vec<_>>().join(", ")
                ),
            });
        }
        kind.build(settings, nodes)
    }
}
