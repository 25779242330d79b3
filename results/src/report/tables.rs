//! The tables: latency, slowest operations, faults and their impact, checks, and the run itself.

use super::head::words;
use super::markup::{Html, heading, note, table};
use super::{PageInput, fairness, stages};
use crate::charts::axis::{count, digits, duration};
use crate::fault_impact::{self, ImpactCounts};
use crate::results_json::{Latency, OpCounts, Percentiles, Strain};
use crate::summary::{check_words, effect, gate_words, rate_words};
use crate::terminal::{Style, verdict_style};
use crate::{measure, slowest};
use heckle_checker::explain::label;

/// Maximum number of operations in the table of the slowest.
const MAX_SLOWEST: usize = 20;

pub(super) fn of(subject: PageInput<'_>) -> Html {
    ops(subject).and(latency(subject)).and(stages::of(subject.results)).and(faults(subject)).and(fairness::of(subject)).and(checks(subject))
}

fn ms(x: f64) -> Html {
    duration(x).into()
}

fn number(n: u64) -> Html {
    count(n).into()
}

/// Formats operation counts by kind, over the whole run and in the load window. Every row and every column adds up.
fn ops(subject: PageInput<'_>) -> Html {
    let results = subject.results;
    let row = |name: String, c: &OpCounts| -> Vec<Html> {
        let counts = [c.invoked, c.ok, c.applied, c.condition_not_met, c.failed, c.unknown, c.open].map(number);
        [vec![name.into()], counts.to_vec()].concat()
    };
    let mut rows = vec![];
    for (kind, counts) in &results.ops_by_kind {
        rows.push(row(format!("{kind}, whole run"), counts));
    }
    rows.push(row("all, whole run".into(), &results.ops));
    if let Some(window) = &results.window {
        for (kind, counts) in &window.by_kind {
            rows.push(row(format!("{kind}, load window"), counts));
        }
        rows.push(row("all, load window".into(), &window.ops));
    }
    let why = "Ops = ok + failed + unknown. The whole run has warm-up, quiet tail and final reads in it; the load window has the ops that \
               were due in it. “Still open” are unknown outcomes without a completion.";
    let columns = ["", "ops", "ok", "did what they asked", "condition not met", "failed", "unknown", "still open"];
    let rate = note(&format!("Rate: {}.", rate_words(results)));
    heading("h2", "ops", "Ops").and(note(why)).and(table(&columns, &[1, 2, 3, 4, 5, 6, 7], rows)).and(rate)
}

fn latency(subject: PageInput<'_>) -> Html {
    let row = |name: String, l: &Latency, p: Percentiles, censored: Html| -> Vec<Html> {
        let figures = [p.p50, p.p90, p.p99, p.p999, p.max].map(|x| if l.ok == 0 { "–".into() } else { ms(x) });
        [vec![name.into(), number(l.ok)], figures.to_vec(), vec![censored]].concat()
    };
    let mut kinds: Vec<_> = subject.results.latency_ms.iter().collect();
    kinds.sort_by_key(|(kind, _)| measure::sort_rank(kind));
    let mut rows = vec![];
    for (kind, l) in kinds {
        let kind = measure::title(kind);
        rows.push(row(format!("{kind}, from when due"), l, l.from_intended, number(l.censored)));
        rows.push(row(format!("{kind}, from when sent"), l, l.from_invoked, Html::default()));
    }
    let why = "Ok ops of the load window. Unknown outcomes are counted apart: their latency is at least the op timeout.";
    let columns = ["", "ok", "p50", "p90", "p99", "p99.9", "max", "unknown"];
    heading("h2", "latency", "Latency").and(note(why)).and(table(&columns, &[1, 2, 3, 4, 5, 6, 7], rows))
}

/// Formats the slowest operations with the reasons for their latency. A row opens the details of its operation.
pub(super) fn slowest(subject: PageInput<'_>) -> Html {
    let (history, measured) = (subject.history, subject.measured);
    let slow = slowest::of(history, measured, MAX_SLOWEST);
    let rows = slow.iter().map(|s| {
        let op = &history.ops[s.place as usize];
        let place = format!("#op={}", op.op);
        vec![
            Html::element("a", &[("href", &place)], format!("op {}", op.op)),
            ms(s.took.as_ms_f64()),
            ms(op.intended.as_ms_f64()),
            history.names.key_name(op.key).into(),
            op.node.map_or("", |n| history.names.node_name(n)).into(),
            label(op).into(),
            s.why.join("; ").into(),
        ]
    });
    let shown = format!("The {} slowest of {} ops, from when they were due.", slow.len(), count(history.ops.len() as u64));
    note(&shown).and(table(&["op", "took", "due at", "key", "node", "", "why"], &[1, 2], rows))
}

fn faults(subject: PageInput<'_>) -> Html {
    let mut out = heading("h2", "faults", "Faults");
    if subject.results.faults.is_empty() {
        return out.and(note("None."));
    }
    let rows = subject.results.faults.iter().map(|f| {
        let (look, said) = effect(f);
        let recovery = f.recovery_ms.map_or_else(|| words(Style::Doubt, "not seen"), |x| Html::text(&format!("after {}", duration(x))));
        let evidence: Vec<String> = f.evidence.iter().map(|(k, v)| format!("{k} {v}")).collect();
        vec![
            f.id.to_string().into(),
            f.kind.as_str().into(),
            f.targets.join(" ").into(),
            ms(f.start_s * 1e3),
            ms((f.end_s - f.start_s) * 1e3),
            words(look, said),
            recovery,
            evidence.join(", ").into(),
        ]
    });
    out.push(note("Answered again: how long the slowest struck node was asked, from the lift of the fault until it answered ok an op that was sent after it."));
    out.push(table(&["", "kind", "targets", "at", "for", "effect", "answered again", "evidence"], &[3, 4, 6], rows));
    out.and(fault_impact_table(subject))
}

fn fault_impact_table(subject: PageInput<'_>) -> Html {
    let faulty = fault_impact::of(subject.history, subject.measured);
    let row = |name: String, whose: &str, met: &ImpactCounts| {
        let latency = |x: f64| if met.ok == 0 { "–".into() } else { ms(x) };
        vec![
            name.into(),
            whose.into(),
            number(met.ops),
            number(met.ok),
            number(met.failed),
            number(met.unknown),
            latency(met.p50_ms),
            latency(met.p99_ms),
        ]
    };
    let mut rows = vec![row("no fault".into(), "all", &faulty.calm)];
    for during in &faulty.faults {
        let fault = &subject.measured.faults[during.fault];
        for (i, (node, met)) in during.nodes.iter().enumerate() {
            let name = if i == 0 { format!("{} {}", fault.id, fault.label()) } else { String::new() };
            rows.push(row(name, node.map_or("not known", |n| subject.history.names.node_name(n)), met));
        }
    }
    let why = "Ops of the load window that were open while the fault lasted, by the node that took them.";
    let columns = ["during", "at node", "ops", "ok", "failed", "unknown", "p50", "p99"];
    heading("h3", "during", "What they did").and(note(why)).and(table(&columns, &[2, 3, 4, 5, 6, 7], rows))
}

fn checks(subject: PageInput<'_>) -> Html {
    let results = subject.results;
    let lin = &results.linearizability;
    let mut out = heading("h2", "checks", "Checks");
    let judged = check_words(lin);
    let mut rows = vec![vec!["linearizable".into(), words(verdict_style(lin.verdict), lin.verdict.word()), judged.into()]];
    if let Some(without) = lin.verdict_without_fates {
        rows.push(vec!["linearizable, if no fate were known".into(), words(verdict_style(without), without.word()), Html::default()]);
    }
    rows.extend(
        results
            .checks
            .iter()
            .map(|c| vec![c.name.as_str().into(), words(verdict_style(c.verdict), c.verdict.word()), c.words.as_str().into()]),
    );
    out.push(table(&["check", "verdict", ""], &[], rows));
    if !results.coverage.rules.is_empty() {
        let rows = results.coverage.rules.iter().map(|r| {
            let met = if r.passed { words(Style::Good, "met") } else { words(Style::Doubt, "not met") };
            vec![r.id.as_str().into(), number(r.need), number(r.got), met]
        });
        out.push(heading("h3", "coverage", "Coverage").and(table(&["rule", "needed", "got", ""], &[1, 2], rows)));
    }
    if !results.gates.is_empty() {
        let rows = results.gates.iter().map(|g| {
            let (look, said) = gate_words(g);
            vec![g.expr.as_str().into(), words(look, &said)]
        });
        out.push(heading("h3", "gates", "Gates").and(table(&["gate", ""], &[], rows)));
    }
    let keys = lin.keys.iter().map(|k| {
        vec![
            k.key.as_str().into(),
            number(k.ops),
            words(verdict_style(k.verdict), k.verdict.word()),
            k.note.as_deref().unwrap_or_default().into(),
            k.second_opinion.as_deref().unwrap_or_default().into(),
        ]
    });
    out.and(heading("h3", "keys", "Keys")).and(table(&["key", "ops", "verdict", "", "second opinion"], &[1], keys))
}

/// Returns the rows about the strain on the machine and the harness during the load.
fn strain_rows(strain: Option<&Strain>) -> Vec<(&'static str, String)> {
    let Some(strain) = strain else { return vec![] };
    let (p50, p99, max) = (strain.wakeup_late_p50_ms, strain.wakeup_late_p99_ms, strain.wakeup_late_max_ms);
    let percent = |x: f64| format!("{} %", digits(x * 100.0));
    let mut rows = vec![("wake-ups late under load", format!("p50 {}, p99 {}, max {}", duration(p50), duration(p99), duration(max)))];
    rows.extend(strain.harness_cores.map(|n| ("cores taken by the harness", digits(n))));
    for (name, share) in [
        ("load generator's thread busy", strain.load_thread_ratio),
        ("relay's thread busy", strain.relay_thread_ratio),
        ("processors busy", strain.machine_busy_ratio),
        ("stolen by a hypervisor", strain.steal_ratio),
        ("stopped by a quota", strain.throttled_ratio),
        ("some thread waited for a core", strain.pressure_ratio),
    ] {
        rows.extend(share.map(|x| (name, percent(x))));
    }
    rows
}

/// Formats the table about the run itself, with its machine and files.
pub(super) fn run(subject: PageInput<'_>) -> Html {
    let results = subject.results;
    let mut rows = vec![
        ("load window", duration(results.load.window_s * 1e3)),
        ("sent late by the harness", format!("{} %", digits(results.load.late_ratio * 100.0))),
        ("due and never sent", count(results.load.unsent)),
        ("plan hash", results.plan.hash.clone()),
        ("build", format!("{}{}", results.build.git, if results.build.dirty { " with changes" } else { "" })),
        ("machine", format!("{} cores, fingerprint {}", results.env.cores, results.env.fingerprint)),
    ];
    rows.extend(results.env.system_version.iter().map(|version| ("version of the system", version.clone())));
    rows.extend(strain_rows(results.strain.as_ref()));
    let system = &results.system;
    let rounds = system.rounds_p50.zip(system.rounds_p99);
    rows.extend(rounds.map(|(p50, p99)| ("rounds an op", format!("p50 {}, p99 {}", digits(p50), digits(p99)))));
    rows.extend(system.round_trips_per_op.map(|n| ("round trips an op", digits(n))));
    rows.extend(system.fsyncs_per_op.map(|n| ("syncs an op and node", digits(n))));
    // A system that does not report attempts has none of these figures, so 0 would be wrong.
    let contention = rounds.map(|_| ("preempted, repairs", format!("{}, {}", count(system.preempted), count(system.repairs))));
    rows.extend(contention);
    rows.extend(system.state_bytes_end.map(|n| ("state at the end", format!("{} bytes", count(n)))));
    rows.extend(results.env.fsync_p99_us.map(|us| ("synced append, p99", duration(us / 1e3))));
    let fates = results.fates;
    if fates.applied + fates.not_applied + fates.unresolved > 0 {
        let (applied, not, unresolved) = (count(fates.applied), count(fates.not_applied), count(fates.unresolved));
        rows.push(("unknown outcomes turned out", format!("{applied} applied, {not} not applied, {unresolved} unresolved")));
    }
    let rows = rows.into_iter().map(|(name, value)| vec![name.into(), value.into()]);
    let file = |(name, file): (&String, &String)| {
        // The prefix `./` keeps a file name from being parsed as another kind of URL.
        Html::element("li", &[], Html::element("a", &[("href", &format!("./{file}"))], name.as_str()))
    };
    let files = Html::element("ul", &[], results.artifacts.iter().map(file).collect::<Html>());
    heading("h2", "run", "Run").and(table(&["", ""], &[], rows)).and(heading("h3", "files", "Files")).and(files)
}
