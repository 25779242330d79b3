//! A single setting identified only by its key: the axes of a suite and the arms of a comparison consist of such
//! settings. The plan table that contains the key is found automatically, so `keys = 8` needs no preceding `[load]`,
//! and a system's setting does not need the system's table.

use super::file::{self, did_you_mean, shorten_message};
use super::ranges::out_of_range;
use super::settings::Settings;
use crate::systems::Systems;
use serde::Deserialize;
use toml::{Table, Value};

/// The tables of a plan that hold settings, by name.
const TABLES: [&str; 3] = ["cluster", "load", "faults"];

/// Returns settings that contain only `key = value`.
///
/// # Errors
/// If no table has the key (the message names the nearest one), or the value is not valid for it.
pub fn one(key: &str, value: &Value, systems: Systems) -> Result<Settings, String> {
    let mut known = vec![];
    for table in TABLES {
        let inner = Table::from_iter([(key.to_owned(), value.clone())]);
        let outer = Table::from_iter([(table.to_owned(), Value::Table(inner))]);
        match Settings::deserialize(Value::Table(outer)) {
            // A key that `[cluster]` accepts as a system's setting may belong to another table.
            Ok(settings) if !settings.cluster.of_system.is_empty() => {
                if let Some(kind) = systems.with_key(key) {
                    file::accepts(kind, key, value).map_err(|(_, what)| what)?;
                    return Ok(settings);
                }
                known.extend(file::CLUSTER_KEYS.into_iter().chain(systems.keys()).map(str::to_owned));
            }
            Ok(settings) => return Ok(settings),
            Err(e) if e.message().starts_with("unknown field") => {
                known.extend(e.message().split('`').skip(3).step_by(2).map(str::to_owned));
            }
            Err(e) => {
                return Err(
                    out_of_range(Some(key), e.message()).unwrap_or_else(|| format!("{key} = {value}: {}", shorten_message(e.message())))
                );
            }
        }
    }
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    Err(format!("there is no setting `{key}`; {}", did_you_mean(key, &known)))
}

/// Like [`one`], but for text from a command line, where `8` may be a number and `kill,pause` a list.
///
/// # Errors
/// Same as for [`one`].
pub fn one_of_text(key: &str, text: &str, systems: Systems) -> Result<Settings, String> {
    let key = key.trim().replace('-', "_");
    let text = text.trim();
    let list = || Value::Array(text.split(',').map(|word| Value::String(word.trim().to_owned())).collect());
    let number = text.parse().map(Value::Integer).or_else(|_| text.parse().map(Value::Float));
    let words = one(&key, &Value::String(text.to_owned()), systems);
    let candidates = [number.ok(), Some(list())];
    let fits = words.clone().or_else(|e| candidates.into_iter().flatten().find_map(|v| one(&key, &v, systems).ok()).ok_or(e));
    fits.or(words)
}

/// Parses `key=value` from a command line.
///
/// # Errors
/// Same as for [`one`], and if there is no `=`.
pub fn assignment(text: &str, systems: Systems) -> Result<Settings, String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not of the form key=value"))?;
    one_of_text(key, value, systems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::units::{Rate, Span};
    use crate::testing::SYSTEMS;

    #[test]
    fn a_key_is_assigned_to_its_table() {
        let set = |text: &str| assignment(text, SYSTEMS).expect("known");
        assert_eq!(set("rounds=classic").cluster.of_system["rounds"].as_str(), Some("classic"));
        assert_eq!(set("lease-ranges=8").cluster.of_system["lease_ranges"].as_integer(), Some(8));
        assert_eq!(set("nodes=5").cluster.nodes, Some(5));
        assert_eq!(set("rate=max").load.rate, Some(Rate::Max));
        assert_eq!(set("rate=250").load.rate, Some(Rate::PerSecond(250.0)));
        assert_eq!(set("op-timeout=2s").load.op_timeout, Some(Span::ms(2_000)));
        assert_eq!(set("kinds=kill,pause").faults.kinds, Some(vec!["kill".to_owned(), "pause".to_owned()]));
        assert_eq!(one("hot", &Value::Float(0.5), SYSTEMS).expect("known").load.hot, Some(0.5));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(assignment("ruonds=classic", SYSTEMS).unwrap_err().contains("did you mean `rounds`"));
        assert!(assignment("rounds", SYSTEMS).unwrap_err().contains("key=value"));
        assert!(assignment("duration=20", SYSTEMS).unwrap_err().contains("no unit"));
        assert!(one("nodes", &Value::String("many".into()), SYSTEMS).unwrap_err().contains("nodes"));
    }
}
