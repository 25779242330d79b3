//! Fairness: figures over intents, if the workload has them, by node, client and key, then the least fair windows, and the
//! clients by waiting time.

use super::PageInput;
use super::head::words;
use super::markup::{Html, heading, note, table};
use crate::charts::axis::{count, digits, duration};
use crate::clients;
use crate::fairness::{Fairness, Group, WaitOwner, Window};
use crate::terminal::Style;

/// Maximum number of clients or keys in a table.
const MAX_ROWS: usize = 40;
/// Number of windows in the table.
const MAX_WINDOWS: usize = 5;

pub(super) fn of(subject: PageInput<'_>) -> Html {
    let mut out = heading("h2", "fairness", "Fairness");
    if let Some(fairness) = &subject.results.fairness {
        out.push(note(
            "Counted in intents: what a client wants, over all its attempts. Who never got it counts as waiting for as long as was seen.",
        ));
        out.push(table(&["", ""], &[1], figures(fairness)));
        out.push(groups("by-node", "By node", "node", &fairness.nodes, false));
        out.push(groups("by-client", "By client, the least served first", "client", &fairness.clients, true));
        out.push(groups("by-key", "By key, the busiest first", "key", &fairness.keys, true));
        out.push(worst_windows(&fairness.windows));
    }
    out.and(waits(subject))
}

fn figures(f: &Fairness) -> Vec<Vec<Html>> {
    let reached = |ms: Option<f64>| ms.map_or_else(|| words(Style::Doubt, "not reached"), |x| duration(x).into());
    let number = |n: u64| Html::from(count(n));
    let mut rows = vec![
        ("intents", number(f.intents)),
        ("won in the load window", number(f.won.saturating_sub(f.won_late))),
        ("won after it", number(f.won_late)),
        ("never won: given up, or waiting at the end", number(f.still_waiting)),
        ("ended by an unknown outcome", number(f.unknown)),
        ("offered and won a second", format!("{} and {}", digits(f.offered_per_s), digits(f.won_per_s)).into()),
        ("wait until won, p50", reached(f.wait_p50_ms)),
        ("wait until won, p90", reached(f.wait_p90_ms)),
        ("wait until won, p99", reached(f.wait_p99_ms)),
        ("longest wait, ended or not", duration(f.longest_wait_ms).into()),
    ];
    let WaitOwner { client, node, key } = &f.longest_wait;
    if !client.is_empty() {
        rows.push(("whose", format!("{client} at {node} for {key}").into()));
    }
    rows.extend([
        ("attempts, p50 and p99", format!("{} and {}", digits(f.attempts_p50), digits(f.attempts_p99)).into()),
        ("lost in a row, at most", number(f.max_consecutive_losses)),
        ("overtaken by later intents, at most", number(f.max_bypasses)),
        ("longest time in calm without a success while a client waited", duration(f.longest_drought_ms).into()),
        ("Jain's index of successes per client (1 is equal)", digits(f.jain).into()),
        ("Gini coefficient of the same (0 is equal)", digits(f.gini).into()),
    ]);
    rows.into_iter().map(|(name, value)| vec![name.into(), value]).collect()
}

/// Formats a table of groups. `placed` determines whether to show a column with their nodes.
fn groups(id: &'static str, title: &str, what: &str, groups: &[Group], placed: bool) -> Html {
    if groups.is_empty() {
        return Html::default();
    }
    let most = groups.iter().map(|g| g.won).max().unwrap_or(0);
    // A system that does not report attempts has no columns for them.
    let attempts = groups.iter().any(|g| g.rounds > 0);
    let rows = groups.iter().take(MAX_ROWS).map(|g| {
        let won = count(g.won);
        // Less than a quarter of the best-served group's successes is highlighted, as in the chart.
        let won = if g.won * 4 < most { words(Style::Bad, &won) } else { won.into() };
        let mut row: Vec<Html> = vec![g.name.as_str().into()];
        row.extend(placed.then(|| g.node.as_str().into()));
        row.extend([
            count(g.intents).into(),
            won,
            count(g.won_late).into(),
            count(g.waiting).into(),
            count(g.unknown).into(),
            count(g.lost).into(),
        ]);
        row.extend([duration(g.longest_wait_ms).into(), count(g.max_bypasses).into()]);
        if attempts {
            row.extend([count(g.rounds).into(), count(g.preempted).into(), count(g.repairs).into(), duration(g.backoff_ms).into()]);
        }
        row
    });
    let mut columns = vec![what];
    columns.extend(placed.then_some("at"));
    columns.extend(["intents", "won", "won after the load", "never won", "unknown", "attempts lost", "longest wait", "overtaken"]);
    columns.extend(attempts.then_some(["rounds", "outbid", "repairs", "backed off"]).into_iter().flatten());
    let numbers: Vec<usize> = (1 + usize::from(placed)..columns.len()).collect();
    let mut out = heading("h3", id, title).and(table(&columns, &numbers, rows));
    if groups.len() > MAX_ROWS {
        out.push(note(&format!("{MAX_ROWS} of {} are shown; more are in results.json.", groups.len())));
    }
    out
}

/// Formats a table of the least fair windows.
fn worst_windows(windows: &[Window]) -> Html {
    let mut shared: Vec<(&Window, f64)> = windows.iter().filter(|w| w.active > 1).filter_map(|w| w.jain.map(|j| (w, j))).collect();
    shared.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.start_s.total_cmp(&b.0.start_s)));
    if shared.is_empty() {
        return Html::default();
    }
    let rows = shared.iter().take(MAX_WINDOWS).map(|(w, jain)| {
        let times = [duration(w.start_s * 1e3).into(), duration(w.end_s * 1e3).into()];
        let fault = if w.disturbed { words(Style::Doubt, "a fault was on") } else { Html::default() };
        [times.to_vec(), vec![u64::from(w.active).to_string().into(), count(w.won).into(), digits(*jain).into(), fault]].concat()
    });
    let said =
        format!("The least equal {} of {} windows in which several clients wanted something.", shared.len().min(MAX_WINDOWS), shared.len());
    let columns = ["from", "to", "clients", "won", "Jain", ""];
    heading("h3", "windows", "When it was shared worst").and(note(&said)).and(table(&columns, &[0, 1, 2, 3, 4], rows))
}

fn waits(subject: PageInput<'_>) -> Html {
    let clients = clients::of(subject.history, subject.measured.window);
    if clients.is_empty() {
        return note("This history names no clients.");
    }
    let shown = clients.len().min(MAX_ROWS);
    let said = format!(
        "Clients by their longest wait for an op that took effect (a read, a write, a CAS applied) under load: {shown} of {} shown.",
        clients.len()
    );
    let rows = clients.iter().take(MAX_ROWS).map(|c| {
        let counts = [c.sent, c.took_effect, c.not_met, c.unanswered].map(|n| Html::from(count(n)));
        let times = [c.longest_wait, c.wait_from].map(|t| Html::from(duration(t.as_ms_f64())));
        [vec![c.client.to_string().into()], counts.to_vec(), times.to_vec()].concat()
    });
    let columns = ["client", "sent", "took effect", "condition not met", "failed or unknown", "longest wait", "from"];
    heading("h3", "waits", "Waits").and(note(&said)).and(table(&columns, &[1, 2, 3, 4, 5, 6], rows))
}
