//! Results for the synthetic history: a valid run, and a run with a violation and with names that try to break out of a page's markup.

use crate::env_json::fingerprint;
use crate::gates::Expression;
use crate::results_json::{BuildInfo, Check, Coverage, CoverageRule, EnvInfo, KeyVerdict, Linearizability, Results, Verdict, Violation};
use crate::{conclude::Ending, measure};
use heckle_history::History;
use serde_json::json;

/// Returns the results of a valid run.
pub fn valid(history: &History) -> Results {
    let mut results = Results { run_id: "20260131T120000Z-5a3e".into(), started_utc: "2026-01-31T12:00:00Z".into(), ..Results::default() };
    results.plan.name = "cas-register".into();
    results.plan.hash = fingerprint("cas-register");
    results.plan.labels = [("lease", "off"), ("rounds", "classic")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    results.seed = history.header.seed.clone().unwrap_or_default();
    results.build = BuildInfo { git: "0123abc".into(), dirty: false };
    results.env = EnvInfo { fingerprint: fingerprint("machine"), cores: 2, fsync_p99_us: Some(410.0), system_version: None };
    results.load.target_per_s = Some(400.0);
    results.wall_s = 36.4;
    results.set_measured(&measure::analyze(history), history);
    let key = |(id, name): (heckle_history::KeyId, &str)| KeyVerdict {
        key: name.to_owned(),
        ops: history.ops.iter().filter(|op| op.key == id).count() as u64,
        verdict: Verdict::Valid,
        second_opinion: Some("none: more than 2000 ops".into()),
        ..KeyVerdict::default()
    };
    results.linearizability = Linearizability {
        verdict: Verdict::Valid,
        checker: "chain".into(),
        check_ms: 12.0,
        keys: history.names.keys().map(key).collect(),
        ..Linearizability::default()
    };
    let check = |name: &str, words: &str, figure| Check { name: name.into(), verdict: Verdict::Valid, words: words.into(), figure };
    let figure = json!({"longest_gap_ms": 131.0}).as_object().cloned().unwrap_or_default();
    results.checks = vec![
        check("availability", "no key was without an ok for longer than 131 ms", figure),
        check("durability", "every acknowledged update is in the final reads", Default::default()),
    ];
    let rule = |id: &str, need, got| CoverageRule { id: id.into(), need, got, passed: got >= need };
    results.coverage = Coverage { passed: true, rules: vec![rule("ok_cas", 500, 8_100), rule("ok_cas_during:partition", 20, 341)] };
    results.system.fsyncs_per_op = Some(1.3);
    for gate in ["p99_ms<2000", "unknown_ratio<0.1"] {
        let gate: Expression = gate.parse().expect("a gate");
        results.gates.push(gate.evaluate(&results));
    }
    results.conclude(&Ending::Done);
    results
}

/// Returns the results of an invalid run, with markup in every external name.
pub fn violated(history: &History) -> Results {
    const MARKUP: &str = "<script>alert(1)</script>\"'&\u{1b}[2J|`";
    let mut results = valid(history);
    results.plan.name = format!("plan {MARKUP}");
    results.seed = format!("0x7{MARKUP}");
    results.plan.labels.insert(MARKUP.into(), MARKUP.into());
    results.warnings.push(MARKUP.into());
    results.linearizability.verdict = Verdict::Invalid;
    results.linearizability.keys[0].verdict = Verdict::Invalid;
    results.linearizability.keys[0].note = Some(MARKUP.into());
    results.linearizability.violations = vec![Violation {
        id: 1,
        key: MARKUP.into(),
        kind: "stale_read".into(),
        meaning: format!("an old state was seen after a newer one was certain {MARKUP}"),
        ops: vec![812, 901],
        words: format!(
            "op 812 set 17 and was acknowledged at 21.402000 s; op 901 was invoked at 22.113000 s, after that, and still read 16 {MARKUP}"
        ),
        story: Some(format!("client c1 wrote 17 to key k1 (op 812) {MARKUP}")),
        steps: vec!["op 812 wrote 17 on 16".into(), MARKUP.into()],
        nearby: vec!["fault 2 (pause n2) was on".into(), MARKUP.into()],
        cause: Some(MARKUP.into()),
        certified: true,
        path: "violations/1".into(),
    }];
    results.checks[1] = Check { name: MARKUP.into(), verdict: Verdict::Unknown, words: MARKUP.into(), ..Check::default() };
    results.coverage.rules.push(CoverageRule { id: format!("ok_cas_during:{MARKUP}"), need: 20, got: 3, passed: false });
    results.coverage.passed = false;
    results.faults[0].kind = MARKUP.into();
    results.faults[0].targets = vec![MARKUP.into()];
    results.faults[1].effective = false;
    results.faults[1].recovery_ms = None;
    results.artifacts.insert(MARKUP.into(), MARKUP.into());
    results.conclude(&Ending::Done);
    results
}
