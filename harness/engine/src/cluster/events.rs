//! Records the events reported by a system's watcher in the history, timestamped by the run's clock.

use crate::clock::RunClock;
use crate::recorder::Recorder;
use heckle_history::{Event, Names, Nanos, NodeEvent};
use heckle_system_api::capability::NodeEvents;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sink for node events.
pub(super) struct Events {
    clock: RunClock,
    recorder: Recorder,
    names: Arc<Names>,
}

impl Events {
    /// Creates a sink that writes to this history.
    pub(super) fn new(clock: RunClock, recorder: Recorder, names: Arc<Names>) -> Self {
        Events { clock, recorder, names }
    }
}

impl NodeEvents for Events {
    /// Records an event. Ignores an event from a node that is not in the header: it belongs to another cluster.
    fn record(&self, node: &str, what: &str, detail: BTreeMap<String, Json>) {
        let Some((node, _)) = self.names.nodes().find(|(_, name)| *name == node) else { return };
        let what = what.into();
        self.recorder.record(|t| Event::Node(NodeEvent { t, node, what, detail }));
    }

    fn on_run_clock(&self, raw_ns: u64) -> Nanos {
        Nanos(raw_ns.saturating_sub(self.clock.origin_ns()))
    }
}
