//! Adds up the evidence from several nodes and steps, and decides whether it shows the effect of a fault.

use crate::cluster::Evidence;
use heckle_faults::Evidence as Needed;
use serde_json::Value as Json;

/// Adds `more` to `sum`. Counts are added. Of two times, the longer one is kept (the name of a time ends with its
/// unit). For any other kind of value, the later one replaces the earlier one.
pub(super) fn add(sum: &mut Evidence, more: Evidence) {
    for (name, value) in more {
        let is_time = name.ends_with("_us") || name.ends_with("_ms");
        let whole = match (sum.get(&name), &value) {
            (Some(Json::Object(before)), Json::Object(after)) => {
                let mut parts: Evidence = before.clone().into_iter().collect();
                add(&mut parts, after.clone().into_iter().collect());
                Json::Object(parts.into_iter().collect())
            }
            (Some(before), after) => match (before.as_u64(), after.as_u64()) {
                (Some(a), Some(b)) if is_time => a.max(b).into(),
                (Some(a), Some(b)) => (a + b).into(),
                _ => value,
            },
            (None, _) => value,
        };
        sum.insert(name, whole);
    }
}

/// Whether the evidence contains a figure above zero, which the checker takes for an effect, but not the one that this kind of fault needs.
pub(super) fn lacks_needed_effect(all: &Evidence, needed: Needed, nodes_hit: usize) -> bool {
    let figure = |value: &Json| value.as_f64().or_else(|| value.as_bool().map(f64::from));
    let figures = all.iter().filter_map(|(name, value)| Some((name.clone(), figure(value)?))).collect();
    !needed.is_shown(&figures, nodes_hit) && figures.values().any(|figure| *figure > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn evidence(json: Json) -> Evidence {
        serde_json::from_value(json).expect("an object")
    }

    #[test]
    fn counts_add_up_and_the_longest_time_is_kept() {
        let mut sum = evidence(json!({"killed": 1, "pid_n1": 7, "delay_p99_us": 300, "links": {"n1>n2": 2}, "aimed_at": "n1"}));
        add(&mut sum, evidence(json!({"killed": 1, "pid_n2": 8, "delay_p99_us": 200, "links": {"n1>n2": 1, "n2>n1": 4}})));
        let want = json!({"killed": 2, "pid_n1": 7, "pid_n2": 8, "delay_p99_us": 300, "links": {"n1>n2": 3, "n2>n1": 4}, "aimed_at": "n1"});
        assert_eq!(sum, evidence(want));
    }

    /// A node that ignores SIGTERM is killed and restarted: there are figures above zero, but no termination.
    #[test]
    fn other_figures_do_not_count_as_the_effect() {
        let needed = Needed::EachNode(&["terminated", "restarted"]);
        for (figures, nodes, withheld) in [
            (json!({"terminated": 1, "pid_n1": 7, "restarted": 1}), 1, false),
            (json!({"terminated": 2, "pid_n1": 7, "restarted": 2}), 3, true),
            (json!({"killed_after_sigterm": 1, "pid_n1": 7, "restarted": 1}), 1, true),
            (json!({"was_down": "n1"}), 1, false),
        ] {
            assert_eq!(lacks_needed_effect(&evidence(figures.clone()), needed, nodes), withheld, "{figures}");
        }
    }
}
