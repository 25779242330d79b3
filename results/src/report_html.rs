//! `report.html`: one self-contained page for a run, to be opened from disk.
//!
//! It holds no script and loads nothing: the content policy allows embedded pictures and the one style sheet whose hash
//! it names, so that a name in a history that happens to be markup stays text even if an escape were forgotten.

use crate::charts::Picture;
use crate::charts::axis::{count, digits, duration};
use crate::measure::ALL;
use crate::results_json::{Latency, Results, Violation};
use crate::summary::{effect, gate_words, verdict_words};
use crate::terminal::{Look, look_of, look_of_run};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const STYLE: &str = include_str!("report.css");
/// SHA-256 of [`STYLE`]; a test holds the two together and prints the new one.
const STYLE_HASH: &str = "sha256-XFtSb1uicAvzEWbfzyDM8dmtx6ZJ4aEvpC8leEj0BFY=";

/// The page. `rerun` is the command that runs the same plan and seed again.
pub fn page(results: &Results, pictures: &[Picture], rerun: &str) -> String {
    let title = format!("{} · {} · seed {}", verdict_words(results), results.plan.name, results.seed);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src '{STYLE_HASH}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        escape(&title)
    );
    out += &head(results, rerun);
    out += &figures(results);
    out += &violations(results);
    out += "<h2 id=\"pictures\">Pictures</h2>\n";
    for picture in pictures {
        let (alt, data) = (escape(picture.alt), STANDARD.encode(&picture.png));
        out += &format!("<figure><img width=\"1280\" height=\"720\" alt=\"{alt}\" src=\"data:image/png;base64,{data}\"></figure>\n");
    }
    out += &latency(results);
    out += &faults(results);
    out += &checks(results);
    out += &environment(results);
    out + "</body>\n</html>\n"
}

/// Text in a page, also inside quoted attributes.
pub fn escape(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}

fn class(look: Look) -> &'static str {
    match look {
        Look::Good => "good",
        Look::Bad => "bad",
        Look::Doubt => "doubt",
        Look::Dim => "dim",
        Look::Strong | Look::Plain => "",
    }
}

/// A table; cells are markup, a class and whether they are numbers.
fn table(heading: &[&str], numbers: &[usize], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let cell = |tag: &str, i: usize, words: &str| {
        let class = if numbers.contains(&i) { " class=\"n\"" } else { "" };
        format!("<{tag}{class}>{words}</{tag}>")
    };
    let line = |tag: &str, words: &[String]| -> String { words.iter().enumerate().map(|(i, w)| cell(tag, i, w)).collect() };
    let heading: Vec<String> = heading.iter().map(|h| (*h).to_owned()).collect();
    let mut out = format!("<div class=\"scroll\"><table><thead><tr>{}</tr></thead><tbody>\n", line("th", &heading));
    for row in rows {
        out += &format!("<tr>{}</tr>\n", line("td", &row));
    }
    out + "</tbody></table></div>\n"
}

fn words(look: Look, words: &str) -> String {
    format!("<span class=\"{}\">{}</span>", class(look), escape(words))
}

fn head(results: &Results, rerun: &str) -> String {
    let labels: String = results.plan.labels.iter().map(|(k, v)| format!(" · {k} {v}")).collect();
    let look = class(look_of_run(results.verdict));
    let mut out = format!(
        "<h1>{}</h1>\n<p class=\"dim\">run {} · seed {} · {}{}</p>\n",
        escape(&results.plan.name),
        escape(&results.run_id),
        escape(&results.seed),
        escape(&results.started_utc),
        escape(&labels)
    );
    out += "<nav><a href=\"#pictures\">pictures</a><a href=\"#latency\">latency</a><a href=\"#faults\">faults</a><a href=\"#checks\">checks</a><a href=\"#run\">run</a></nav>\n";
    out += &format!(
        "<div class=\"verdict {look}\"><strong>{}</strong> <span class=\"dim\">exit code {}</span>\n<ul>\n",
        escape(&verdict_words(results)),
        results.exit_code
    );
    for reason in &results.reasons {
        out += &format!("<li>{}</li>\n", escape(reason));
    }
    for warning in &results.warnings {
        out += &format!("<li class=\"dim\">{}</li>\n", escape(warning));
    }
    out + &format!(
        "</ul></div>\n<p class=\"dim\">The same plan and seed again (the same choices, not the same timing):</p>\n<pre>{}</pre>\n",
        escape(rerun)
    )
}

fn figures(results: &Results) -> String {
    let ops = results.ops;
    let all = results.latency_ms.get(ALL).cloned().unwrap_or_default();
    let asked = results.load.target_per_s.map_or_else(|| "as fast as it goes".to_owned(), |t| format!("{} asked", digits(t)));
    let longest = results.faults.iter().filter_map(|f| f.recovery_ms).max_by(f64::total_cmp);
    let effective = results.faults.iter().filter(|f| f.effective).count();
    let ms = |x: f64| if all.ok == 0 { "–".to_owned() } else { duration(x) };
    let mut cells = vec![
        (count(ops.invoked), "ops sent".to_owned()),
        (count(ops.ok), format!("ok, {} condition not met", count(ops.condition_not_met))),
        (count(ops.unknown), format!("unknown, {} failed", count(ops.failed))),
        (digits(results.load.achieved_per_s), format!("ops a second, {asked}")),
        (ms(all.from_intended.p50), "median latency from when due".to_owned()),
        (ms(all.from_intended.p99), "99th percentile".to_owned()),
        (format!("{effective} of {}", results.faults.len()), "faults took effect".to_owned()),
    ];
    cells.extend(longest.map(|ms| (duration(ms), "longest recovery".to_owned())));
    let cells: String =
        cells.iter().map(|(figure, what)| format!("<div><b>{}</b><span>{}</span></div>", escape(figure), escape(what))).collect();
    format!("<div class=\"figures\">{cells}</div>\n")
}

fn violations(results: &Results) -> String {
    let list = &results.linearizability.violations;
    if list.is_empty() {
        return String::new();
    }
    let one = |v: &Violation| {
        let items = |lines: &[String]| -> String { lines.iter().map(|l| format!("<li>{}</li>\n", escape(l))).collect() };
        let mut out =
            format!("<h3>{}. {} on key {}</h3>\n<p>{}</p>\n", v.id, escape(&v.kind.replace('_', " ")), escape(&v.key), escape(&v.words));
        if !v.steps.is_empty() {
            out += &format!("<ol>{}</ol>\n", items(&v.steps));
        }
        if !v.nearby.is_empty() {
            out += &format!("<p class=\"dim\">Near it, as context and not as proof:</p><ul class=\"dim\">{}</ul>\n", items(&v.nearby));
        }
        let ops: Vec<String> = v.ops.iter().map(u64::to_string).collect();
        let certified = if v.certified { "agreed by a second engine" } else { "not certified by a second engine" };
        let path = escape(&v.path);
        out + &format!(
            "<p>ops {}; {certified}; <a href=\"{path}/timeline.html\">timeline</a>, <a href=\"{path}/explain.txt\">in words</a>, <a href=\"{path}/minimal.jsonl\">the least history that shows it</a></p>\n",
            ops.join(", ")
        )
    };
    format!("<h2 id=\"violations\">Violations</h2>\n{}", list.iter().map(one).collect::<String>())
}

fn latency(results: &Results) -> String {
    let row = |name: String, l: &Latency, p: crate::results_json::Percentiles, censored: String| -> Vec<String> {
        let figures = [p.p50, p.p90, p.p99, p.p999, p.max].map(|ms| if l.ok == 0 { "–".into() } else { duration(ms) });
        [vec![escape(&name), count(l.ok)], figures.to_vec(), vec![censored]].concat()
    };
    let mut kinds: Vec<_> = results.latency_ms.iter().collect();
    kinds.sort_by_key(|(kind, _)| *kind == ALL);
    let mut rows = vec![];
    for (kind, l) in kinds {
        rows.push(row(format!("{kind}, from when due"), l, l.from_intended, count(l.censored)));
        rows.push(row(format!("{kind}, from when sent"), l, l.from_invoked, String::new()));
    }
    let note = "Ok ops of the load window. Unknown outcomes are counted apart: their latency is at least the op timeout.";
    let heading = ["", "ok", "p50", "p90", "p99", "p99.9", "max", "unknown"];
    format!("<h2 id=\"latency\">Latency</h2>\n<p class=\"dim\">{note}</p>\n{}", table(&heading, &[1, 2, 3, 4, 5, 6, 7], rows))
}

fn faults(results: &Results) -> String {
    if results.faults.is_empty() {
        return "<h2 id=\"faults\">Faults</h2>\n<p class=\"dim\">None.</p>\n".into();
    }
    let rows = results.faults.iter().map(|f| {
        let (look, said) = effect(f);
        let recovery = f.recovery_ms.map_or_else(|| words(Look::Doubt, "not seen"), |ms| format!("after {}", escape(&duration(ms))));
        let evidence: Vec<String> = f.evidence.iter().map(|(k, v)| format!("{k} {v}")).collect();
        let times = [duration(f.start_s * 1e3), duration((f.end_s - f.start_s) * 1e3)];
        vec![
            f.id.to_string(),
            escape(&f.kind),
            escape(&f.targets.join(" ")),
            times[0].clone(),
            times[1].clone(),
            words(look, said),
            recovery,
            escape(&evidence.join(", ")),
        ]
    });
    let note = "Answered again: from the lift of the fault until every struck node answered ok an op that was sent after it.";
    let heading = ["", "kind", "targets", "at", "for", "effect", "answered again", "evidence"];
    format!("<h2 id=\"faults\">Faults</h2>\n<p class=\"dim\">{note}</p>\n{}", table(&heading, &[3, 4, 6], rows))
}

fn checks(results: &Results) -> String {
    let lin = &results.linearizability;
    let mut out = String::from("<h2 id=\"checks\">Checks</h2>\n");
    let mut rows = vec![vec![
        "linearizable".to_owned(),
        words(look_of(lin.verdict), lin.verdict.word()),
        format!("{} keys judged by {} in {}", lin.keys.len(), escape(&lin.checker), duration(lin.check_ms.max(0.001))),
    ]];
    rows.extend(results.checks.iter().map(|c| vec![escape(&c.name), words(look_of(c.verdict), c.verdict.word()), escape(&c.words)]));
    out += &table(&["check", "verdict", ""], &[], rows);
    if !results.coverage.rules.is_empty() {
        let rows = results.coverage.rules.iter().map(|r| {
            let met = if r.passed { words(Look::Good, "met") } else { words(Look::Doubt, "not met") };
            vec![escape(&r.id), count(r.need), count(r.got), met]
        });
        out += &format!("<h3>Coverage</h3>\n{}", table(&["rule", "needed", "got", ""], &[1, 2], rows));
    }
    if !results.gates.is_empty() {
        let rows = results.gates.iter().map(|g| {
            let (look, said) = gate_words(g);
            vec![escape(&g.expr), words(look, &said)]
        });
        out += &format!("<h3>Gates</h3>\n{}", table(&["gate", ""], &[], rows));
    }
    let keys = lin.keys.iter().map(|k| {
        vec![escape(&k.key), count(k.ops), words(look_of(k.verdict), k.verdict.word()), escape(k.note.as_deref().unwrap_or_default())]
    });
    out + &format!("<h3>Keys</h3>\n{}", table(&["key", "ops", "verdict", ""], &[1], keys))
}

fn environment(results: &Results) -> String {
    let mut rows = vec![
        ("load window", duration(results.load.window_s * 1e3)),
        ("sent late by the harness", format!("{} %", digits(results.load.late_ratio * 100.0))),
        ("plan hash", results.plan.hash.clone()),
        ("build", format!("{}{}", results.build.git, if results.build.dirty { " with changes" } else { "" })),
        ("machine", format!("{} cores, fingerprint {}", results.env.cores, results.env.fingerprint)),
    ];
    let paxos = &results.paxos;
    rows.extend(
        paxos.rounds_p50.zip(paxos.rounds_p99).map(|(p50, p99)| ("rounds an op", format!("p50 {}, p99 {}", digits(p50), digits(p99)))),
    );
    rows.extend(paxos.round_trips_per_op.map(|n| ("round trips an op", digits(n))));
    rows.extend(paxos.fsyncs_per_op.map(|n| ("syncs an op and node", digits(n))));
    rows.push(("preempted, repairs", format!("{}, {}", count(paxos.preempted), count(paxos.repairs))));
    rows.extend(paxos.state_bytes_end.map(|n| ("state at the end", format!("{} bytes", count(n)))));
    rows.extend(results.env.fsync_p99_us.map(|us| ("synced append, p99", duration(us / 1e3))));
    let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), escape(&value)]);
    let files: String =
        results.artifacts.iter().map(|(name, file)| format!("<li><a href=\"{}\">{}</a></li>\n", escape(file), escape(name))).collect();
    format!("<h2 id=\"run\">Run</h2>\n{}<h3>Files</h3>\n<ul>{files}</ul>\n", table(&["", ""], &[], rows))
}

#[cfg(test)]
mod tests;
