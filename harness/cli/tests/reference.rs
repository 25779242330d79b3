//! Checks that docs/reference.md, which is generated from the code, is up to date. HECKLE_BLESS=1 rewrites it.

use clap::CommandFactory;
use heckle::cli::Cli;
use heckle::plan::settings::Settings;
use heckle::{exit, systems};
use heckle_faults::{Control, Coverage, registry as faults};
use heckle_results::compare::figures::{FIGURES, Kind};
use heckle_results::gates::METRICS;
use heckle_results::prometheus::FAMILIES;
use heckle_results::results_json::Results;
use heckle_results::schemas;
use heckle_workloads::registry::{DefaultRate, WORKLOADS};
use serde_json::Value as Json;
use std::path::Path;

/// Formats a Markdown table. A `|` within a cell is escaped.
fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    let line = |cells: &mut dyn Iterator<Item = String>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
    let mut text = line(&mut head.iter().map(|name| cell(name)));
    text += &line(&mut head.iter().map(|_| "---".to_owned()));
    for row in rows {
        text += &line(&mut row.iter().map(|text| cell(text)));
    }
    text + "\n"
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn exit_codes() -> String {
    table(&["code", "meaning"], exit::MEANINGS.iter().map(|(code, meaning)| vec![code.to_string(), (*meaning).to_owned()]))
}

/// Lists every verb that is not hidden, with its flags. Flags shared by many verbs are listed with each verb, as in
/// `--help`.
fn verbs() -> String {
    let command = Cli::command();
    let mut text = String::new();
    let mut stack: Vec<(String, clap::Command)> =
        command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(|verb| (verb.get_name().to_owned(), verb.clone())).collect();
    stack.reverse();
    while let Some((name, verb)) = stack.pop() {
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        text += &format!("### `heckle {name}`\n\n{about}\n\n");
        let shown = verb.get_arguments().filter(|arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str()));
        let rows: Vec<Vec<String>> = shown.map(flag).collect();
        if !rows.is_empty() {
            text += &table(&["argument", "meaning"], rows);
        }
        let below = verb.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help");
        let mut below: Vec<_> = below.map(|below| (format!("{name} {}", below.get_name()), below.clone())).collect();
        below.reverse();
        stack.extend(below);
    }
    text
}

fn flag(arg: &clap::Arg) -> Vec<String> {
    let names: Vec<&str> = arg.get_value_names().unwrap_or_default().iter().map(clap::builder::Str::as_str).collect();
    let value = if arg.get_action().takes_values() { names.join(" ") } else { String::new() };
    let written = match arg.get_long() {
        Some(long) if value.is_empty() => format!("--{long}"),
        Some(long) => format!("--{long} {value}"),
        None => value,
    };
    let values: Vec<String> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let is_switch = !arg.get_action().takes_values();
    let values = if values.is_empty() || is_switch { String::new() } else { format!(": {}", values.join(", ")) };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    vec![code(&written), format!("{help}{values}")]
}

/// Lists the fields of a schema by path, each with the first sentence of its description.
fn fields(schema: &Json, root: &Json, path: &str, depth: u32, rows: &mut Vec<Vec<String>>) {
    let resolved = |schema: &Json| -> Json {
        let reference =
            schema["$ref"].as_str().or_else(|| schema["anyOf"][0]["$ref"].as_str()).or_else(|| schema["allOf"][0]["$ref"].as_str());
        let name = reference.and_then(|reference| reference.strip_prefix("#/$defs/"));
        name.map_or_else(|| schema.clone(), |name| root["$defs"][name].clone())
    };
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let inner = resolved(field);
        let (inner, path) = if inner["items"].is_null() { (inner, path) } else { (resolved(&inner["items"]), format!("{path}[]")) };
        let (inner, path) = match &inner["additionalProperties"] {
            each @ Json::Object(_) if inner["properties"].is_null() => (resolved(each), format!("{path}.NAME")),
            _ => (inner, path),
        };
        let about = field["description"].as_str().or_else(|| inner["description"].as_str()).unwrap_or_default();
        rows.push(vec![code(&path), about.to_owned()]);
        if depth > 0 && inner["properties"].is_object() {
            fields(&inner, root, &path, depth - 1, rows);
        }
    }
}

fn plan_keys() -> String {
    let schema = schemas::of::<Settings>("heckle.plan/1");
    let mut rows = vec![];
    fields(&schema, &schema, "", 3, &mut rows);
    table(&["key", "meaning"], rows)
}

fn systems_and_settings() -> String {
    let mut text = String::new();
    for kind in systems::all().iter() {
        let system = kind.build(&toml::Table::new(), 3).expect("defaults make sense");
        let roles = system.roles().map_or(&[][..], |roles| roles.all());
        let roles: Vec<String> = roles.iter().map(|role| format!("`{}` ({})", role.name, role.about)).collect();
        let roles = if roles.is_empty() { "none".to_owned() } else { roles.join(", ") };
        text += &format!(
            "### `--system {}`\n\nRoles that faults can be aimed at: {roles}. Settings, in `[system.{}]`:\n\n",
            kind.name(),
            kind.table()
        );
        text += &table(&["key", "meaning"], kind.keys().iter().map(|key| vec![code(key.name), key.help.to_owned()]));
    }
    text
}

fn fault_kinds() -> String {
    let control = |control: &Control| match control {
        Control::Processes(_) => "processes",
        Control::Links => "links",
        Control::NodeLinks => "node links",
        Control::Messages => "messages",
        Control::Clocks => "clocks",
        Control::Disks => "disks",
        Control::UnsyncedData => "un-synced data",
        Control::Points => "points",
    };
    let rows = faults::all(&[]).into_iter().map(|kind| {
        let (needs, of) = (kind.needs(), kind.kind());
        let nodes = if needs.nodes > 1 { format!(", {} nodes", needs.nodes) } else { String::new() };
        let needs = needs.control.iter().map(control).collect::<Vec<_>>().join(", ") + &nodes;
        let demands = match of.coverage {
            Coverage::DuringIfQuorum => "an update during it, if a quorum is unhurt",
            Coverage::AfterHeal => "an operation soon after it",
        };
        let aimed = if of.aim.is_some() { format!("`{}:ROLE`", of.name) } else { String::new() };
        vec![code(of.name), kind.about(&[]), needs, of.evidence.describe(), demands.to_owned(), aimed]
    });
    table(&["kind", "what it does", "needs control of", "effective if counted", "a run must show", "aimed"], rows)
}

fn workloads() -> String {
    let rate = |rate: &DefaultRate| match rate {
        DefaultRate::PerSecond(rate) => format!("{rate}/s"),
        DefaultRate::Max => "max".to_owned(),
    };
    let rows = WORKLOADS.iter().map(|w| vec![code(w.name), w.about.to_owned(), w.model.to_owned(), w.keys.to_string(), rate(&w.rate)]);
    table(&["workload", "what clients do", "model", "keys", "rate"], rows)
}

fn gate_figures() -> String {
    table(&["figure", "meaning"], METRICS.iter().map(|metric| vec![code(metric.name), metric.what.to_owned()]))
}

fn comparison_figures() -> String {
    let rows = FIGURES.iter().map(|figure| {
        let claims = match figure.kind {
            Kind::Primary => "yes",
            Kind::Contention => "where clients retry until they succeed",
            Kind::Exploratory => "",
        };
        vec![code(figure.name), figure.about.to_owned(), claims.to_owned()]
    });
    table(&["figure", "meaning", "claims are made"], rows)
}

fn exported_figures() -> String {
    let labels = |labels: &[&str]| labels.iter().map(|label| code(label)).collect::<Vec<_>>().join(", ");
    let rows = FAMILIES.iter().map(|f| vec![code(f.name), f.kind.word().to_owned(), labels(f.labels), f.help.to_owned()]);
    table(&["figure", "type", "labels", "meaning"], rows)
}

fn results_fields() -> String {
    let schema = schemas::of::<Results>("heckle.results/1");
    let mut rows = vec![];
    fields(&schema, &schema, "", 2, &mut rows);
    table(&["field", "meaning"], rows)
}

/// A part of the reference: its title, its introduction, and the function that generates its content.
type Part = (&'static str, &'static str, fn() -> String);

fn reference() -> String {
    let parts: [Part; 10] = [
        ("Exit codes", "", exit_codes),
        ("Systems under test", "Flags have the same names, `-` for `_`.", systems_and_settings),
        ("Workloads", "`--workload`; keys and rate are the defaults.", workloads),
        (
            "Faults",
            "`--faults` takes kinds, comma-separated. A fault without its evidence makes the run inconclusive. What a system lacks for a kind is refused by name; \
             `heckle doctor` lists what each system can suffer.",
            fault_kinds,
        ),
        ("Plan keys", "A plan is TOML; each key of `[cluster]`, `[load]` and `[faults]` is a flag, `-` for `_`.", plan_keys),
        ("Figures of gates", "`--gate 'p99_ms<50'`, or `[gates]` in a plan.", gate_figures),
        ("Figures of comparisons", "`heckle compare`.", comparison_figures),
        (
            "Exported figures",
            "`heckle export --format prometheus`, and `/metrics` of `heckle serve`. Each has the labels `plan` and `run` too.",
            exported_figures,
        ),
        ("Fields of results.json", "The schemas for machines are in `results/schemas/`.", results_fields),
        ("Verbs and flags", "", verbs),
    ];
    let mut text =
        "# Reference\n\nWritten by the code: `HECKLE_BLESS=1 cargo test -p heckle --test reference` writes this page anew.\n\n".to_owned();
    for (title, about, part) in parts {
        text += &format!("## {title}\n\n");
        if !about.is_empty() {
            text += &format!("{about}\n\n");
        }
        text += &part();
    }
    text.trim_end().to_owned() + "\n"
}

#[test]
fn the_reference_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference.md");
    let bless = std::env::var_os("HECKLE_BLESS").is_some();
    schemas::compare(&path, &reference(), bless).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn every_exit_code_has_a_meaning_and_nothing_on_the_page_is_without_words() {
    let codes: Vec<u8> = exit::MEANINGS.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [exit::OK, exit::VIOLATION, exit::INCONCLUSIVE, exit::GATE, exit::BROKEN, exit::USAGE, exit::INTERRUPTED]);
    let empty: Vec<String> =
        reference().lines().filter(|line| line.starts_with("| `") && line.contains("` |  |")).map(str::to_owned).collect();
    assert!(empty.is_empty(), "no words for {empty:#?}");
}

#[test]
fn a_page_that_differs_is_refused_with_its_line() {
    let page = reference().replacen("Reference", "Refrence", 1);
    let path = std::env::temp_dir().join(format!("heckle-reference-{}.md", std::process::id()));
    std::fs::write(&path, page).expect("a writable folder");
    let error = schemas::compare(&path, &reference(), false).expect_err("it differs");
    assert!(error.contains("at line 1") && error.contains("HECKLE_BLESS=1"), "{error}");
    let _ = std::fs::remove_file(path);
}
