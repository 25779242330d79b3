//! Conversion of checker results to the types of `results.json`.

use crate::results_json::{Check, Coverage, CoverageRule, Crash, KeyVerdict, Linearizability, Results, Verdict, Violation};
use heckle_checker::checks::{CheckResult, crash};

impl From<heckle_checker::Verdict> for Verdict {
    fn from(verdict: heckle_checker::Verdict) -> Self {
        match verdict {
            heckle_checker::Verdict::Valid => Verdict::Valid,
            heckle_checker::Verdict::Unknown => Verdict::Unknown,
            heckle_checker::Verdict::Invalid => Verdict::Invalid,
        }
    }
}

impl From<&heckle_checker::Linearizability> for Linearizability {
    fn from(from: &heckle_checker::Linearizability) -> Self {
        let checker = match from.checker {
            heckle_checker::Engine::Chain => "chain",
            heckle_checker::Engine::Scan => "scan",
            heckle_checker::Engine::Search => "search",
            heckle_checker::Engine::Both => "both",
        };
        Linearizability {
            verdict: from.verdict.into(),
            checker: checker.into(),
            check_ms: from.check_ms.unwrap_or_default() as f64,
            second_opinion_ms: from.second_opinion_ms.map(|ms| ms as f64),
            detected_ms: from.detected_ms.map(|ms| ms as f64),
            verdict_without_fates: from.verdict_without_fates.map(Into::into),
            keys: from.keys.iter().map(key).collect(),
            violations: from.violations.iter().map(Into::into).collect(),
        }
    }
}

fn key(from: &heckle_checker::KeyReport) -> KeyVerdict {
    KeyVerdict {
        key: from.key.clone(),
        ops: from.ops,
        verdict: from.verdict.into(),
        verdict_without_fates: from.verdict_without_fates.map(Into::into),
        note: from.note.clone().or_else(|| from.outside.clone()),
        second_opinion: Some(from.second_opinion.words()),
        confirmed: from.second_opinion.confirms(),
    }
}

impl From<&heckle_checker::Violation> for Violation {
    fn from(from: &heckle_checker::Violation) -> Self {
        Violation {
            id: from.id,
            key: from.key.clone(),
            kind: from.kind.word().to_owned(),
            meaning: from.kind.meaning().to_owned(),
            ops: from.ops.iter().map(|op| op.0).collect(),
            words: from.explanation.summary.clone(),
            story: from.explanation.story.clone(),
            steps: from.explanation.steps.clone(),
            nearby: from.explanation.nearby.clone(),
            cause: from.explanation.cause.clone(),
            certified: from.certified,
            path: format!("violations/{}", from.id),
        }
    }
}

impl Results {
    /// Records the crashed nodes. Their violations are numbered after the linearizability violations.
    pub fn set_crashes(&mut self, crashes: &[crash::Crash]) {
        let first = self.linearizability.violations.iter().map(|v| v.id).max().unwrap_or(0) + 1;
        let of = |(id, from): (u32, &crash::Crash)| Crash {
            id,
            kind: crash::KIND.to_owned(),
            node: from.node.clone(),
            t_s: from.t.as_secs_f64(),
            how: from.how.clone(),
            said: from.said.clone(),
            log: from.log.clone(),
            words: crash::summary(from),
            path: format!("violations/{id}"),
        };
        self.crashes = (first..).zip(crashes).map(of).collect();
    }

    /// Records the results of the checkers. [`conclude`](Results::conclude) derives the verdict on the run from them.
    pub fn set_judgement(
        &mut self,
        linearizability: &heckle_checker::Linearizability,
        checks: &[CheckResult],
        coverage: &heckle_checker::Coverage,
    ) {
        self.linearizability = linearizability.into();
        let check = |c: &CheckResult| Check {
            name: c.name.to_owned(),
            verdict: c.verdict.into(),
            words: c.words.clone(),
            figure: c.figure.clone(),
        };
        self.checks = checks.iter().map(check).collect();
        let rule = |r: &heckle_checker::RuleResult| CoverageRule { id: r.id.clone(), need: r.need, got: r.got, passed: r.passed };
        self.coverage = Coverage { passed: coverage.passed, rules: coverage.rules.iter().map(rule).collect() };
    }
}
