//! Faults of links, done by the relay. A heal is seen in frames that really pass again.

use crate::cluster::Evidence;
use crate::relay::{Effect, Relay};
use crate::stop::Stop;
use heckle_faults::{End, Fault, Link};
use std::time::{Duration, Instant};

/// After a heal, every struck link carries a frame within this, or counts as not healed.
const FLOW_WITHIN: Duration = Duration::from_secs(5);

fn plan_of(fault: &Fault, nodes: u16) -> Option<(Vec<Link>, Effect)> {
    match fault {
        Fault::Kill(_) | Fault::KillAll | Fault::Pause(_) | Fault::Aimed(..) | Fault::Clocks(_) => None,
        Fault::Partition(cut) => Some((cut.links(), Effect::Cut)),
        Fault::Delay { on, delay_us, jitter_us } => Some((on.links(nodes), Effect::Delay { delay_us: *delay_us, jitter_us: *jitter_us })),
        Fault::Loss { on, percent } => Some((on.links(nodes), Effect::Loss { percent: *percent })),
        Fault::Duplicate { on, percent } => Some((on.links(nodes), Effect::Duplicate { percent: *percent })),
        Fault::Reorder { on, percent } => Some((on.links(nodes), Effect::Reorder { percent: *percent })),
        Fault::Reset(on) => Some((on.links(nodes), Effect::Reset)),
    }
}

/// Puts the fault on its links.
pub(super) fn apply(relay: &Relay, id: u64, fault: &Fault, nodes: u16) {
    if let Some((links, effect)) = plan_of(fault, nodes) {
        relay.apply(id, &links, effect);
    }
}

/// Takes the fault off its links and tells what it did. Evidence is what was changed: a fault that changed nothing
/// has none, however many frames passed it by.
pub(super) fn lift(relay: &Relay, id: u64) -> Evidence {
    let evidence = relay.lift(id);
    if evidence.shows_effect() { evidence.to_json() } else { Evidence::new() }
}

/// Waits until each struck link has carried a frame.
pub(super) fn see_flow(relay: &Relay, fault: &Fault, nodes: u16, stop: &Stop) -> Option<Evidence> {
    let (links, _) = plan_of(fault, nodes)?;
    let healed = Instant::now();
    let flowed = |link: &Link| {
        let flow = relay.flow(*link);
        let after = flow.last.is_some_and(|t| t >= healed);
        // Clients that were cut off may have nothing to say, but a link that stands can be used.
        after || (matches!((link.from, link.to), (End::Clients, _) | (_, End::Clients)) && flow.connections == 0)
    };
    while healed.elapsed() < FLOW_WITHIN {
        if links.iter().all(flowed) {
            let waited_ms = healed.elapsed().as_millis() as u64;
            return Some([("links_carrying".into(), (links.len() as u64).into()), ("waited_ms".into(), waited_ms.into())].into());
        }
        if stop.asked() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}
