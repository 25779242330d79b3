//! Links that are disturbed, by the relay. A heal is seen in frames that really pass again.

use crate::cluster::Evidence;
use crate::relay::{Counted, Relay};
use crate::stop::Stop;
use heckle_faults::{End, Link};
use std::time::{Duration, Instant};

/// After a heal, every link that was hit carries a frame within this, or counts as not healed.
const FLOW_WITHIN: Duration = Duration::from_secs(5);

/// Takes the effects of a rule off its links and says what they did. Evidence is what was changed: an effect that changed
/// nothing has none, however many frames passed it by.
pub(super) fn lift(relay: &Relay, rule: u64) -> Evidence {
    let evidence = relay.lift(rule);
    if evidence.shows_effect() { evidence.to_json() } else { Evidence::new() }
}

/// Waits until each of these links has carried a frame. A stream of bytes may have nothing to say: then all that was held must be out.
pub(super) fn see_flow(relay: &Relay, links: &[Link], stop: &Stop) -> Option<Evidence> {
    let healed = Instant::now();
    let flowed = |link: &Link| {
        let flow = relay.flow(*link);
        let after = flow.last.is_some_and(|t| t >= healed);
        if relay.counted() == Counted::Bytes {
            return after || flow.waiting == 0;
        }
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
