//! What a system's watcher hears, on the run's clock and into its history.

use crate::clock::RunClock;
use crate::recorder::Recorder;
use heckle_history::{Event, Names, Nanos, NodeEvent};
use heckle_system_api::capability::NodeEvents;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where node events go.
pub(super) struct Events {
    clock: RunClock,
    recorder: Recorder,
    names: Arc<Names>,
}

impl Events {
    /// Into this history.
    pub(super) fn new(clock: RunClock, recorder: Recorder, names: Arc<Names>) -> Self {
        Events { clock, recorder, names }
    }
}

impl NodeEvents for Events {
    /// An event of a node that is not in the header is of another cluster, and is not recorded.
    fn record(&self, node: &str, what: &str, detail: BTreeMap<String, Json>) {
        let Some((node, _)) = self.names.nodes().find(|(_, name)| *name == node) else { return };
        let what = what.into();
        self.recorder.record(|t| Event::Node(NodeEvent { t, node, what, detail }));
    }

    fn on_run_clock(&self, raw_ns: u64) -> Nanos {
        Nanos(raw_ns.saturating_sub(self.clock.origin_ns()))
    }
}
