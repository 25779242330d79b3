//! The valid ranges of a plan's whole numbers, by key. They are used to check numbers, and to word the message for
//! a number that does not even fit its type, such as `keys = 1000000000000`.

/// Key, minimum and maximum.
const RANGES: [(&str, u64, u64); 8] = [
    ("nodes", 1, super::MAX_NODES as u64),
    ("clients", 1, super::MAX_CLIENTS as u64),
    ("keys", 1, super::MAX_KEYS as u64),
    ("value_bytes", 1, super::MAX_VALUE_BYTES as u64),
    ("max_in_flight", 1, super::MAX_IN_FLIGHT as u64),
    ("max_at_once", 1, super::MAX_AT_ONCE as u64),
    ("repeat", 1, 1_000),
    ("within_runs", 1, 1_000),
];

/// Returns the message for a whole number that is too large (or below zero) for its type, based on serde's message;
/// `None` for other messages.
pub(super) fn out_of_range(key: Option<&str>, message: &str) -> Option<String> {
    let range = key.and_then(|key| RANGES.iter().find(|(name, ..)| *name == key).map(|(_, least, most)| (*least, *most)));
    out_of_known_range(range, key, message)
}

/// Like [`out_of_range`], for a key whose range is known.
pub(super) fn out_of_known_range(range: Option<(u64, u64)>, key: Option<&str>, message: &str) -> Option<String> {
    let (number, kind) = message.strip_prefix("invalid value: integer `")?.split_once("`, expected ")?;
    let of_type = match kind.trim() {
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        "u64" | "usize" => i64::MAX as u64,
        _ => return None,
    };
    let key = key.unwrap_or("the number");
    let (least, most) = range.unwrap_or((0, of_type));
    Some(format!("{key} = {number} is not between {least} and {most}"))
}

/// Returns the key of the value at byte `at` of a TOML text, if it is on the same line.
pub(super) fn key_at(text: &str, at: usize) -> Option<&str> {
    let before = text.get(..at)?;
    let line = before.rsplit('\n').next()?.trim_end().strip_suffix('=')?.trim_end();
    let start = line.rfind(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))).map_or(0, |i| i + 1);
    Some(&line[start..]).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::{Plan, file};

    /// Checks that the text is rejected with a single short line that names the key and its range.
    #[track_caller]
    fn refused(text: &str, parts: &[&str]) {
        let text = format!("schema = \"heckle.plan/1\"\n{text}\n");
        let error = file::parse(&text, "p.toml", crate::testing::SYSTEMS)
            .and_then(|s| Plan::resolve(&s, crate::testing::SYSTEMS))
            .expect_err(&text[..text.len().min(200)]);
        for part in parts {
            assert!(error.contains(part), "`{error}` does not say `{part}`");
        }
        assert!(error.len() < 300 && !error.contains('\n'), "{error}");
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        refused("[load]\nkeys = 1000000000000", &["line 3", "keys = 1000000000000", "1 and 1000000"]);
        refused("load = { clients = 3, keys = 1000000000000 }", &["line 2", "keys = 1000000000000", "1 and 1000000"]);
        refused("[load]\nkeys = -1", &["keys = -1", "1 and 1000000"]);
        refused("[load]\nkeys = 99999999999999999999999999", &["line 3", "keys"]);
        refused("[load]\nclients = 1000000000", &["clients = 1000000000", "1 and 4096"]);
        refused("[cluster]\nnodes = 65535", &["nodes = 65535", "1 and 15"]);
        refused("[cluster]\nnodes = 65536", &["nodes = 65536", "1 and 15"]);
        refused("[load]\nduration = \"8760000h\"", &["duration", "8760000h", "0 and 7 days"]);
        refused("[load]\nduration = \"1000 years\"", &["duration", "not a unit of time"]);
        refused("[load]\nduration = \"infs\"", &["duration"]);
        refused("[load]\nrate = 1e300", &["rate 1e300", "at most 1000000"]);
        refused("[load]\nrate = inf", &["rate inf"]);
        refused("[load]\nrate = nan", &["rate NaN"]);
        refused("[load]\nvalue_bytes = 10000000000", &["value_bytes = 10000000000", "1048576"]);
        refused("[load]\nvalue_bytes = 1048576\nkeys = 1000000", &["keys", "value_bytes", "GiB"]);
        refused("[load]\nvalue_bytes = 1048576\nkeys = 2\nmax_in_flight = 65536", &["max_in_flight", "value_bytes", "GiB"]);
        refused("[faults]\nmax_at_once = 1000000000000", &["max_at_once", "1 and 1000"]);
        refused("[load]\nduration = \"100h\"\n[faults]\nfor = \"1ms\"\nevery = \"10ms\"", &["fault_every", "100000 faults"]);
        refused("[load]\nworkload = \"mutex\"\n[fairness]\nmin_jain = nan", &["min_jain = NaN", "0 and 1"]);
    }

    #[test]
    fn too_many_faults_are_refused_before_drawing() {
        let faults = "[[fault]]\nat=\"1s\"\ndo=\"kill\"\nfor=\"1s\"\n".repeat(100_000);
        refused(&faults, &["[[fault]]", "100000", "10000 are"]);
    }

    #[test]
    fn a_resolved_plan_with_listed_faults_resolves_again() {
        let text = "schema = \"heckle.plan/1\"\n[[fault]]\nat=\"1s\"\ndo=\"kill\"\nfor=\"1s\"\n";
        let plan = file::parse(text, "p", crate::testing::SYSTEMS).and_then(|s| Plan::resolve(&s, crate::testing::SYSTEMS)).expect("sound");
        let again = Plan::resolve(&plan.resolved, crate::testing::SYSTEMS).expect("what a run wrote down");
        assert_eq!((&again.injections, again.hash()), (&plan.injections, plan.hash()));
    }

    #[test]
    fn the_maximum_number_of_faults_is_drawn() {
        let faults = "[[fault]]\nat=\"1s\"\ndo=\"kill\"\nfor=\"1s\"\n".repeat(super::super::MAX_INJECTIONS);
        let text = format!("schema = \"heckle.plan/1\"\n{faults}");
        let plan =
            file::parse(&text, "p", crate::testing::SYSTEMS).and_then(|s| Plan::resolve(&s, crate::testing::SYSTEMS)).expect("allowed");
        assert_eq!(plan.injections.len(), super::super::MAX_INJECTIONS);
    }
}
