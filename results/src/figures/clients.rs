//! The share of each client: its operations, and the longest time without one that took effect.

use heckle_history::{ClientId, History, Nanos, Outcome, Seen};
use std::collections::BTreeMap;

/// The operations of one client under load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Id of the client.
    pub client: ClientId,
    /// Number of operations sent.
    pub sent: u64,
    /// Number of reads, writes and applied CASes.
    pub took_effect: u64,
    /// Number of refused CASes.
    pub not_met: u64,
    /// Number of operations that failed or have an unknown outcome.
    pub unanswered: u64,
    /// The longest time between two operations that took effect, where the start and end of its load also count.
    pub longest_wait: Nanos,
    /// Start of that time.
    pub wait_from: Nanos,
}

/// Returns the clients of `history` in the load window, longest wait first. Empty if the history does not record clients.
pub fn of(history: &History, window: crate::measure::Window) -> Vec<Client> {
    let mut clients: BTreeMap<ClientId, (Client, Nanos)> = BTreeMap::new();
    let mut done: Vec<(Nanos, ClientId)> = vec![];
    for (op, detail) in history.ops.iter().zip(&history.details).filter(|(op, _)| window.holds(op.intended)) {
        let Some(client) = detail.client else { continue };
        let new = || {
            let first = op.intended;
            (Client { client, sent: 0, took_effect: 0, not_met: 0, unanswered: 0, longest_wait: Nanos(0), wait_from: first }, first)
        };
        let known = &mut clients.entry(client).or_insert_with(new).0;
        known.sent += 1;
        match op.outcome {
            Outcome::Ok(Seen::ConditionNotMet(_)) => known.not_met += 1,
            Outcome::Ok(Seen::Applied | Seen::Written | Seen::Value(_)) => {
                known.took_effect += 1;
                done.push((op.completed, client));
            }
            Outcome::Failed | Outcome::Unknown | Outcome::Open => known.unanswered += 1,
        }
    }
    done.sort_unstable();
    for (t, client) in done {
        let (known, last) = clients.get_mut(&client).expect("counted above");
        update_wait(known, last, t);
    }
    let mut all: Vec<Client> = clients
        .into_values()
        .map(|(mut client, mut last)| {
            update_wait(&mut client, &mut last, window.end);
            client
        })
        .collect();
    all.sort_by(|a, b| b.longest_wait.cmp(&a.longest_wait).then(a.client.cmp(&b.client)));
    all
}

fn update_wait(client: &mut Client, last: &mut Nanos, t: Nanos) {
    if t.since(*last) > client.longest_wait {
        (client.longest_wait, client.wait_from) = (t.since(*last), *last);
    }
    *last = t.max(*last);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Window;
    use heckle_history::drawn;

    #[test]
    fn the_longest_wait_may_be_at_the_end() {
        let (header, names, events) = drawn::events(
            "c1 |w 1--> w 2-->                    |
             c2 |r null--> r null-> r null->  r null->|",
        );
        let mut history = History::from_events(header, names, events).unwrap();
        for (op, detail) in history.ops.iter().zip(&mut history.details) {
            detail.client = Some(ClientId(op.process.0));
        }
        let window = Window { start: Nanos(0), end: history.end };
        let clients = of(&history, window);
        assert_eq!(clients.len(), 2);
        let last_write = history.ops.iter().filter(|op| op.call.writes().is_some()).map(|op| op.completed).max().unwrap();
        assert_eq!((clients[0].took_effect, clients[0].longest_wait), (2, history.end.since(last_write)));
        assert!(clients[1].longest_wait < clients[0].longest_wait);
    }
}
