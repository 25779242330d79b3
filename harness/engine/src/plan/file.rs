//! Parses plan files into settings. Every mistake is reported by line and column, with the nearest valid word.

use super::ranges;
use super::settings::Settings;
use super::stages;
use crate::systems::Systems;
pub use heckle_system_api::settings::did_you_mean;
use heckle_system_api::{PlanMistake, SystemKind};

/// Version of the plan format that this program reads.
pub const SCHEMA: &str = "heckle.plan/1";

/// Parses plan text, which may contain settings of any of `systems`. `name` is the file's name, for messages.
///
/// # Errors
/// Describes the mistake, its position, and what would be valid.
pub fn parse(text: &str, name: &str, systems: Systems) -> Result<Settings, String> {
    let mut settings: Settings = read_toml(text, name)?;
    let with_place = |mistake: PlanMistake| match mistake.at {
        Some(at) => format_mistake(text, name, at, &mistake.what),
        None => format!("{name}: {}", mistake.what),
    };
    stages::check_text(text, &settings.load).map_err(with_place)?;
    match settings.schema.as_deref() {
        Some(SCHEMA) if settings.describes_a_system() => {
            check_described_system(text, systems).map_err(with_place)?;
            Ok(settings)
        }
        Some(SCHEMA) => {
            check_system_settings(&mut settings, systems).map_err(|(key, what)| match line_of(text, &key) {
                Some(line) => format!("{name}, line {line}: {what}"),
                None => format!("{name}: {what}"),
            })?;
            Ok(settings)
        }
        Some(other) => Err(format!("{name}: schema `{other}` is not `{SCHEMA}`, the one this version reads")),
        None => Err(format!("{name}: a plan begins with schema = \"{SCHEMA}\"")),
    }
}

/// Checks a plan that describes its own system.
fn check_described_system(text: &str, systems: Systems) -> Result<(), PlanMistake> {
    systems.described().map_err(|what| PlanMistake { at: None, what })?.check(text)
}

/// The keys of `[cluster]` that do not belong to a system.
pub(super) const CLUSTER_KEYS: [&str; 6] = ["system", "nodes", "net", "clock_offset", "bin", "mutant"];

/// Lets each system check its own settings, and renames each settings table to its canonical name.
///
/// # Errors
/// The key, and what is wrong with its value.
fn check_system_settings(settings: &mut Settings, systems: Systems) -> Result<(), (String, String)> {
    for (key, value) in &settings.cluster.of_system {
        let known: Vec<&str> = CLUSTER_KEYS.iter().copied().chain(systems.keys()).collect();
        let unknown = || (key.clone(), format!("unknown key `{key}`; {}", did_you_mean(key, &known)));
        accepts(systems.with_key(key).ok_or_else(unknown)?, key, value)?;
    }
    for (table, given) in std::mem::take(&mut settings.system) {
        let toml::Value::Table(given) = given else {
            let what = format!("`{table}` is in [system], which describes a system only with a `name`: [system] name = \"mydb\"");
            return Err((table, what));
        };
        let kind = systems.by_table(&table).map_err(|what| (format!("[system.{table}]"), what))?;
        let keys: Vec<&str> = kind.keys().iter().map(|key| key.name).collect();
        for (key, value) in &given {
            if !keys.contains(&key.as_str()) {
                return Err((key.clone(), format!("unknown key `{key}`; {}", did_you_mean(key, &keys))));
            }
            if settings.cluster.of_system.contains_key(key) {
                return Err((key.clone(), format!("`{key}` is in [cluster] and in [system.{table}]: leave out the first")));
            }
            accepts(kind, key, value)?;
        }
        let all = settings.system.entry(kind.table().to_owned()).or_insert(toml::Table::new().into());
        if let toml::Value::Table(all) = all {
            all.extend(given);
        }
    }
    Ok(())
}

/// Checks whether a setting of a system accepts a value.
///
/// # Errors
/// The key, and what is wrong with its value.
pub(super) fn accepts(kind: &dyn SystemKind, key: &str, value: &toml::Value) -> Result<(), (String, String)> {
    kind.accepts(key, value).map_err(|message| {
        let range = kind.keys().iter().find(|known| known.name == key).and_then(|known| known.whole);
        let what = ranges::out_of_known_range(range, Some(key), &message).unwrap_or_else(|| shorten_message(&message));
        (key.to_owned(), if what.contains(key) { what } else { format!("{key}: {what}") })
    })
}

/// Finds the line of a text that sets a key or names a table.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let gives = |line: &str| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| key.starts_with('[') || rest.trim_start().starts_with('='))
    };
    text.lines().position(gives).map(|at| at + 1)
}

/// Parses TOML text into settings of any type. `name` is the file's name, for messages.
///
/// # Errors
/// Describes the mistake, its position, and what would be valid.
pub fn read_toml<T: serde::de::DeserializeOwned>(text: &str, name: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|e| format_mistake(text, name, e.span().map_or(0, |s| s.start), e.message()))
}

/// Formats a mistake with its line, column and key.
fn format_mistake(text: &str, name: &str, at: usize, message: &str) -> String {
    let (line, column) = position(text, at);
    let key = ranges::key_at(text, at);
    let what = ranges::out_of_range(key, message).unwrap_or_else(|| shorten_message(message));
    // serde's message about a value may not mention the key.
    let key = key.filter(|key| !what.contains(*key)).map_or(String::new(), |key| format!("{key}: "));
    format!("{name}, line {line}, column {column}: {key}{what}")
}

fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
    (line, column)
}

/// Shortens serde's list of all fields to the one probably meant.
pub(super) fn shorten_message(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown field") && !message.starts_with("unknown variant") {
        return message.trim_end().to_owned();
    }
    let word = quoted.next().unwrap_or_default();
    let all: Vec<&str> = quoted.collect();
    let thing = if message.starts_with("unknown field") { "key" } else { "value" };
    format!("unknown {thing} `{word}`; {}", did_you_mean(word, &all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SYSTEMS;

    #[track_caller]
    fn refused(text: &str, parts: &[&str]) {
        let error = parse(&format!("schema = \"heckle.plan/1\"\n{text}"), "p.toml", SYSTEMS).expect_err("refused");
        for part in parts {
            assert!(error.contains(part), "`{error}` does not say `{part}`");
        }
    }

    #[test]
    fn mistakes_are_named_by_place_and_nearest_word() {
        refused("[load]\nratee = 4", &["line 3, column 1", "`ratee`", "did you mean `rate`"]);
        refused("[lod]\nrate = 4", &["line 2", "did you mean `load`"]);
        refused("[cluster]\nruonds = \"fast\"", &["line 3", "`ruonds`", "did you mean `rounds`"]);
        refused("[cluster]\nnods = 4", &["line 3", "did you mean `nodes`"]);
        refused("[system.paxos]\nleas = \"off\"", &["line 3", "did you mean `lease`"]);
        refused("[system.paxis]\nlease = \"off\"", &["line 2", "there is no table [system.paxis]; did you mean `paxos`"]);
        refused("[system.paxos]\nlease_time = \"20\"", &["line 3", "lease_time", "no unit"]);
        refused("[system.paxos]\nlease_ranges = 100000", &["line 3", "lease_ranges", "1 and 4096"]);
        refused("[system.etcd]\nserializable_reads = \"yes\"", &["line 3", "serializable_reads", "boolean"]);
        refused(
            "[cluster]\nlease = \"off\"\n[system.paxos]\nlease = \"read\"",
            &["line 3", "`lease` is in [cluster] and in [system.paxos]"],
        );
        refused("[load]\nduration = \"20\"", &["line 3", "no unit"]);
        refused("[load]\nduration = 20", &["line 3", "string"]);
        refused("[load]\nrate = \"fast\"", &["line 3", "fast"]);
        refused("expect = \"vlid\"", &["line 2", "did you mean `valid`"]);
        refused("[load\n", &["line 2"]);
        assert!(parse("", "p.toml", SYSTEMS).expect_err("refused").contains("schema"));
        assert!(parse("schema = \"heckle.plan/9\"", "p.toml", SYSTEMS).expect_err("refused").contains("heckle.plan/9"));
    }

    #[test]
    fn a_written_plan_is_read_back() {
        let text = "schema = \"heckle.plan/1\"\nname = \"x\"\n[load]\nrate = \"max\"\n[faults]\nkinds = [\"kill\"]\nfor = \"2s\"\n[[fault]]\nat = \"1s\"\ndo = \"kill\"\nfor = \"2s\"\n";
        let settings = parse(text, "p", SYSTEMS).expect("well-formed");
        let again = toml::to_string(&settings).expect("TOML");
        assert_eq!(parse(&again, "p", SYSTEMS), Ok(settings));
    }
}
