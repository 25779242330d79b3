//! Maps keys, nodes and figures to small numbers, so each name is stored only once.

use crate::figures::{Diagnostics, FigureInfo, Measure, RESERVED};
use crate::ids::{FigureId, KeyId, NodeIx};
use rustc_hash::FxHashMap;

/// The names behind the [`KeyId`]s and [`NodeIx`]s of a history, in order of first appearance, and its figures.
#[derive(Debug, Clone, Default)]
pub struct Names {
    keys: Table,
    nodes: Table,
    figures: Vec<FigureInfo>,
    figure_index: FxHashMap<Box<str>, FigureId>,
    /// Number of declared figures. The others appeared without a description.
    declared: usize,
}

/// Maximum number of figures in a history. In a history without descriptions, further figures are skipped.
pub const MAX_FIGURES: usize = 256;

/// Maximum number of distinct nodes in a history: a [`NodeIx`] is 16 bits wide.
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
    /// Returns the number of key `name`, assigning one if it is new.
    pub fn key(&mut self, name: &str) -> KeyId {
        KeyId(self.keys.intern(name))
    }

    /// Returns the number of node `name`, assigning one if it is new.
    ///
    /// # Panics
    /// If there are more than [`MAX_NODES`] distinct nodes. The reader rejects such a file first.
    pub fn node(&mut self, name: &str) -> NodeIx {
        NodeIx(u16::try_from(self.nodes.intern(name)).expect("fewer than 2^16 distinct nodes"))
    }

    /// Returns the name of a key.
    ///
    /// # Panics
    /// If `id` came from another history.
    pub fn key_name(&self, id: KeyId) -> &str {
        &self.keys.names[id.0 as usize]
    }

    /// Returns the name of a node.
    ///
    /// # Panics
    /// If `id` came from another history.
    pub fn node_name(&self, id: NodeIx) -> &str {
        &self.nodes.names[id.0 as usize]
    }

    /// Returns the number of key `name`, if the history contains it.
    pub fn find_key(&self, name: &str) -> Option<KeyId> {
        self.keys.index.get(name).copied().map(KeyId)
    }

    /// Iterates over all keys, in order of first appearance.
    pub fn keys(&self) -> impl Iterator<Item = (KeyId, &str)> {
        (0u32..).zip(&self.keys.names).map(|(i, n)| (KeyId(i), n.as_str()))
    }

    /// Iterates over all nodes, in order of first appearance.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeIx, &str)> {
        (0u16..).zip(&self.nodes.names).map(|(i, n)| (NodeIx(i), n.as_str()))
    }

    /// Declares the figures of a system, in order: a [`FigureId`] is an index into `figures`.
    ///
    /// # Errors
    /// If a name is empty, duplicated or a field of the format, or if there are more than [`MAX_FIGURES`].
    pub fn declare_figures(&mut self, figures: &[FigureInfo]) -> Result<(), String> {
        for figure in figures {
            if figure.name.is_empty() || RESERVED.contains(&&*figure.name) {
                return Err(format!("`{}` cannot be the name of a figure: completions have a field of that name", figure.name));
            }
            if self.add_figure(figure).is_none() {
                return Err(format!("figure `{}` comes twice, or is one of over {MAX_FIGURES}", figure.name));
            }
        }
        self.declared = self.figures.len();
        Ok(())
    }

    fn add_figure(&mut self, figure: &FigureInfo) -> Option<FigureId> {
        if self.figures.len() >= MAX_FIGURES || self.figure_index.contains_key(&*figure.name) {
            return None;
        }
        let id = FigureId(self.figures.len() as u16);
        self.figure_index.insert((*figure.name).into(), id);
        self.figures.push(figure.clone());
        Some(id)
    }

    /// Returns the figure named `name`, described by `new` if it is new; `None` if there are already [`MAX_FIGURES`].
    /// `next` is its probable index, because lines list their figures in the same order.
    pub(crate) fn figure(&mut self, name: &str, next: usize, new: impl FnOnce() -> FigureInfo) -> Option<FigureId> {
        self.known_figure(name, next).or_else(|| self.add_figure(&new()))
    }

    /// Returns the figure named `name`, if there is one. `next` is its probable index.
    pub(crate) fn known_figure(&self, name: &str, next: usize) -> Option<FigureId> {
        if self.figures.get(next).is_some_and(|figure| figure.name == name) {
            return Some(FigureId(next as u16));
        }
        self.find_figure(name)
    }

    /// Returns the number of the figure named `name`, if there is one.
    pub fn find_figure(&self, name: &str) -> Option<FigureId> {
        self.figure_index.get(name).copied()
    }

    /// Returns the description of a figure.
    ///
    /// # Panics
    /// If `id` came from another history.
    pub fn figure_info(&self, id: FigureId) -> &FigureInfo {
        &self.figures[usize::from(id.0)]
    }

    /// Returns whether the figure was declared, in which case its unit is enforced.
    pub(crate) fn is_declared(&self, id: FigureId) -> bool {
        usize::from(id.0) < self.declared
    }

    /// Returns the system's figure for `measure`, if there is one.
    pub fn measure(&self, measure: Measure) -> Option<FigureId> {
        let place = self.figures.iter().position(|figure| figure.measure == Some(measure))?;
        Some(FigureId(place as u16))
    }

    /// Returns a function that reads one measure of an operation. The function returns `None` if the system has no such
    /// figure.
    pub fn reads(&self, measure: Measure) -> impl Fn(&Diagnostics) -> Option<u64> + Copy + use<> {
        let id = self.measure(measure);
        move |diagnostics| diagnostics.count(id?)
    }

    /// Returns the number of keys.
    pub fn key_count(&self) -> usize {
        self.keys.names.len()
    }

    /// Returns the number of nodes.
    pub fn node_count(&self) -> usize {
        self.nodes.names.len()
    }
}
