//! Keys and nodes as small numbers. A history of ten million ops names four keys: each name is kept once.

use crate::ids::{KeyId, NodeIx};
use rustc_hash::FxHashMap;

/// The names that a history's [`KeyId`]s and [`NodeIx`]s stand for, in order of first appearance.
#[derive(Debug, Clone, Default)]
pub struct Names {
    keys: Table,
    nodes: Table,
}

/// How many distinct nodes one history may name: a [`NodeIx`] is 16 bits wide.
pub const MAX_NODES: usize = u16::MAX as usize;

#[derive(Debug, Clone, Default)]
struct Table {
    names: Vec<String>,
    index: FxHashMap<String, u32>,
}

impl Table {
    fn intern(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.index.get(name) {
            return id;
        }
        let id = u32::try_from(self.names.len()).expect("fewer than 2^32 distinct names");
        self.names.push(name.to_owned());
        self.index.insert(name.to_owned(), id);
        id
    }
}

impl Names {
    /// The number of key `name`, given one if it is new.
    pub fn key(&mut self, name: &str) -> KeyId {
        KeyId(self.keys.intern(name))
    }

    /// The number of node `name`, given one if it is new.
    ///
    /// # Panics
    /// Beyond [`MAX_NODES`] distinct nodes; the reader refuses such a file first.
    pub fn node(&mut self, name: &str) -> NodeIx {
        NodeIx(u16::try_from(self.nodes.intern(name)).expect("fewer than 2^16 distinct nodes"))
    }

    /// The name of a key.
    ///
    /// # Panics
    /// If `id` came from another history.
    pub fn key_name(&self, id: KeyId) -> &str {
        &self.keys.names[id.0 as usize]
    }

    /// The name of a node.
    ///
    /// # Panics
    /// If `id` came from another history.
    pub fn node_name(&self, id: NodeIx) -> &str {
        &self.nodes.names[id.0 as usize]
    }

    /// The number of key `name`, if this history names it.
    pub fn find_key(&self, name: &str) -> Option<KeyId> {
        self.keys.index.get(name).copied().map(KeyId)
    }

    /// All keys, in order of first appearance.
    pub fn keys(&self) -> impl Iterator<Item = (KeyId, &str)> {
        (0u32..).zip(&self.keys.names).map(|(i, n)| (KeyId(i), n.as_str()))
    }

    /// All nodes, in order of first appearance.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeIx, &str)> {
        (0u16..).zip(&self.nodes.names).map(|(i, n)| (NodeIx(i), n.as_str()))
    }

    /// How many keys.
    pub fn key_count(&self) -> usize {
        self.keys.names.len()
    }

    /// How many nodes.
    pub fn node_count(&self) -> usize {
        self.nodes.names.len()
    }
}
