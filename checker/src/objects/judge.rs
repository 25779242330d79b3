//! Judges a key: the scan with a verified certificate, a second opinion, and the search if the scan leaves the key open.

use super::words::{Reason, explain};
use super::{Answer, Certificate, Question, narrow, scan, verify};
use crate::judge::{CERTIFY_STEPS, Checker, NO_OTHER_ENGINE, Options, judge_model};
use crate::search::{SearchAnswer, SearchRunner, brute};
use crate::verdict::{Engine, KeyReport, SecondOpinion, Verdict, Violation};
use heckle_history::{Nanos, OpId};

/// Judges one key of a model other than a register. `search` handles a key that the scan leaves open, within its limits.
pub fn judge_key(key: &str, question: &Question, options: &Options<'_>, search: &dyn SearchRunner) -> (KeyReport, Option<Violation>) {
    if options.checker == Checker::Porcupine {
        return judge_model(key, &question.request, search);
    }
    match scan(question) {
        Answer::Decided(certificate) => decided(key, question, &certificate, options),
        Answer::Undecided(why) if options.checker == Checker::Chain => {
            let note = Some(NO_OTHER_ENGINE.to_owned());
            (KeyReport { outside: Some(why), note, ..report(key, question, Verdict::Unknown) }, None)
        }
        Answer::Undecided(why) => {
            let (report, violation) = judge_model(key, &question.request, search);
            (KeyReport { outside: Some(why), ..report }, violation)
        }
    }
}

fn report(key: &str, question: &Question, verdict: Verdict) -> KeyReport {
    KeyReport {
        key: key.to_owned(),
        ops: question.request.ops.len() as u64,
        verdict,
        engine: Engine::Scan,
        verdict_without_fates: None,
        outside: None,
        note: None,
        second_opinion: SecondOpinion::NotAsked,
    }
}

fn decided(key: &str, question: &Question, certificate: &Certificate, options: &Options<'_>) -> (KeyReport, Option<Violation>) {
    let verdict = if matches!(certificate, Certificate::Valid(_)) { Verdict::Valid } else { Verdict::Invalid };
    let mut report = report(key, question, verdict);
    if let Err(refusal) = verify(question, certificate) {
        report.note = Some(format!("a bug in this checker: it said {verdict}, and the verifier refused its certificate: {refusal}"));
        report.verdict = Verdict::Unknown;
        return (report, None);
    }
    let ops = question.request.ops.len();
    let violation = match certificate {
        Certificate::Valid(_) => None,
        Certificate::Invalid(rule) => {
            let Reason { kind, explanation, support } = explain(question, rule);
            let narrowed = narrow::narrow(question, rule, &support);
            let certified = narrowed.is_some_and(|request| matches!(brute::order(&request, CERTIFY_STEPS), Some(None)));
            let support: Vec<_> = support.iter().map(|&p| &question.request.ops[p as usize]).collect();
            let shown_at = support.iter().filter_map(|op| op.completed).max().unwrap_or(0);
            report.second_opinion = if certified { SecondOpinion::Refuted } else { SecondOpinion::NotRefuted };
            Some(Violation {
                id: 0,
                key: key.to_owned(),
                kind,
                ops: support.iter().map(|op| OpId(op.id)).collect(),
                // Times in a question are greater by one than times in the history.
                shown_at: Nanos(shown_at.saturating_sub(1)),
                explanation,
                certified,
                contradiction: None,
            })
        }
    };
    match (options.checker, verdict) {
        (Checker::Both, _) => second_opinion(&mut report, question, options),
        (Checker::Auto, Verdict::Valid) if ops <= options.cross_check_up_to => second_opinion(&mut report, question, options),
        (Checker::Auto, Verdict::Valid) => report.second_opinion = SecondOpinion::TooLarge { up_to: options.cross_check_up_to as u64 },
        _ => {}
    }
    let violation = violation.filter(|_| report.verdict == Verdict::Invalid);
    (report, violation)
}

fn second_opinion(report: &mut KeyReport, question: &Question, options: &Options<'_>) {
    let reply = options.second.run(&question.request);
    let theirs = match reply.answer {
        SearchAnswer::Valid => Verdict::Valid,
        SearchAnswer::Invalid => Verdict::Invalid,
        SearchAnswer::GaveUp => {
            let limit = reply.limit.unwrap_or_else(|| "the search gave up".to_owned());
            // If brute force has confirmed the contradiction, keep that opinion.
            if !report.second_opinion.confirms() {
                report.second_opinion = SecondOpinion::GaveUp(limit);
            }
            return;
        }
    };
    if theirs == report.verdict {
        report.engine = Engine::Both;
        report.second_opinion = SecondOpinion::Agreed;
    } else {
        report.second_opinion = SecondOpinion::Disagreed;
        report.note = Some(format!("a bug in one of the checkers: the scan says {}, the search says {theirs}", report.verdict));
        report.verdict = Verdict::Unknown;
    }
}
