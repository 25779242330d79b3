//! Disturbs links through the relay. A heal is verified by frames that pass again.

use crate::cluster::Evidence;
use crate::relay::{CountUnit, Relay};
use crate::stop::Stop;
use heckle_faults::{End, Link};
use std::time::{Duration, Instant};

/// Time limit for each affected link to carry a frame after the heal; otherwise the link counts as not healed.
const FLOW_TIMEOUT: Duration = Duration::from_secs(5);

/// Removes a rule from its links and returns its evidence. Only changes count as evidence: an effect that changed
/// nothing has no evidence, no matter how many frames passed.
pub(super) fn remove_rule(relay: &Relay, rule: u64) -> Evidence {
    let evidence = relay.remove_fault(rule);
    if evidence.shows_effect() { evidence.to_json() } else { Evidence::new() }
}

/// Waits until each of these links has carried a frame. For an idle byte stream it is enough that all held bytes have left.
pub(super) fn await_flow(relay: &Relay, links: &[Link], stop: &Stop) -> Option<Evidence> {
    let healed = Instant::now();
    let flowed = |link: &Link| {
        let flow = relay.flow(*link);
        let after = flow.last.is_some_and(|t| t >= healed);
        if relay.counted() == CountUnit::Bytes {
            return after || flow.waiting == 0;
        }
        // Clients that were cut off may be idle: an open connection then suffices.
        after || (matches!((link.from, link.to), (End::Clients, _) | (_, End::Clients)) && flow.connections == 0)
    };
    while healed.elapsed() < FLOW_TIMEOUT {
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
