//! Judges a whole history: selects the engine for each key and combines the two opinions.
//!
//! The chain checker judges keys in its fragment. Each of its verdicts carries a certificate that the verifier has
//! accepted. On small keys, the search gives a second opinion on `valid`. Brute force confirms an `invalid`, using the
//! few ops of its contradiction. If two engines disagree, the key is `unknown`: one of them has a bug.

use crate::explain::story;
use crate::linearizable::certificate::Certificate;
use crate::linearizable::facts::{Fates, KeyOps};
use crate::linearizable::paths;
use crate::linearizable::{chain, reason, search_request, verify};
use crate::search::{SearchAnswer, SearchReply, SearchRequest, SearchRunner, brute};
use crate::verdict::{Engine, Explanation, KeyReport, Linearizability, SecondOpinion, Verdict, Violation, ViolationKind};
use heckle_history::{History, KeyId, OpId};

/// The engines to use: `--checker`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checker {
    /// The chain checker where it applies, cross-checked by search on small keys; search elsewhere.
    Auto,
    /// The chain checker alone, without a search process; keys outside its fragment stay unknown.
    Chain,
    /// The search alone.
    Porcupine,
    /// Chain and search on every key, regardless of its size.
    Both,
}

impl Checker {
    /// Returns the name used in flags and files.
    pub fn name(self) -> &'static str {
        match self {
            Checker::Auto => "auto",
            Checker::Chain => "chain",
            Checker::Porcupine => "porcupine",
            Checker::Both => "both",
        }
    }
}

impl std::str::FromStr for Checker {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "auto" => Ok(Checker::Auto),
            "chain" => Ok(Checker::Chain),
            "porcupine" => Ok(Checker::Porcupine),
            "both" => Ok(Checker::Both),
            other => Err(format!("checker `{other}` is none of auto, chain, porcupine, both")),
        }
    }
}

/// Maximum number of ops in a key that gets a second opinion by default.
pub const CROSS_CHECK_UP_TO: usize = 2_000;

/// The reason given for a key that the chain checker cannot judge when no other engine is allowed.
pub(crate) const NO_OTHER_ENGINE: &str = "the chain checker does not apply, and no other was asked for";

/// Maximum number of steps for brute force to confirm a contradiction.
pub(crate) const CERTIFY_STEPS: u64 = 1_000_000;

/// The options of a check.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The engines to use.
    pub checker: Checker,
    /// Whether resolved fates constrain the verdict. The verdict without them is also reported.
    pub use_fates: bool,
    /// Maximum number of ops in a key that both engines judge under [`Checker::Auto`].
    pub cross_check_up_to: usize,
    /// Runs a search within limits.
    pub search: &'a dyn SearchRunner,
    /// Runs the search for a second opinion. Under [`Checker::Auto`] this search is optional, so its limits are
    /// tighter.
    pub second: &'a dyn SearchRunner,
}

impl<'a> Options<'a> {
    /// Returns the defaults of `heckle run` and `heckle check`.
    pub fn new(search: &'a dyn SearchRunner) -> Self {
        Options { checker: Checker::Auto, use_fates: true, cross_check_up_to: CROSS_CHECK_UP_TO, search, second: search }
    }
}

/// The outcome: the report, and a proof for each key that the chain checker judged.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The content of `linearizability` in `results.json`.
    pub linearizability: Linearizability,
    /// Verified proofs. A certificate that the verifier rejected is never included.
    pub certificates: Vec<(KeyId, Certificate)>,
}

/// Judges a history.
///
/// ```
/// use heckle_checker::{InProcess, Options, Verdict, judge};
/// let history = heckle_history::drawn::history(
///     "c1 |w 1-->                 |
///      c2 |       cas 1 2-->      |
///      c3 |                  r 1->|",
/// );
/// let judgement = judge(&history, &Options::new(&InProcess));
/// assert_eq!(judgement.linearizability.verdict, Verdict::Invalid);
/// assert_eq!(judgement.linearizability.violations[0].kind.word(), "stale_read");
/// ```
pub fn judge(history: &History, options: &Options<'_>) -> Judgement {
    let (mut keys, mut violations, mut certificates) = (vec![], vec![], vec![]);
    let mut without_fates = None;
    let places = history.by_key();
    for ops in KeyOps::split(history, if options.use_fates { Fates::Used } else { Fates::Ignored }) {
        let key = Judge { ops: &ops, places: &places[ops.key.0 as usize], options }.judge();
        // A key without fates has the same verdict either way and still counts in the merged verdict.
        let without = key.report.verdict_without_fates.unwrap_or(key.report.verdict);
        if without_fates.is_some() || key.report.verdict_without_fates.is_some() {
            let so_far = without_fates.unwrap_or_else(|| Verdict::merge_all(keys.iter().map(|k: &KeyReport| k.verdict)));
            without_fates = Some(so_far.merge(without));
        }
        if let Some(mut violation) = key.violation {
            violation.id = violations.len() as u32 + 1;
            violation.explanation.cause = paths::cause(&ops);
            violation.explanation.story = story::of(history, ops.key, &violation.ops);
            violations.push(violation);
        }
        certificates.extend(key.certificate.map(|c| (ops.key, c)));
        keys.push(key.report);
    }
    let searched = keys.iter().any(|k| k.engine == Engine::Search);
    let linearizability = Linearizability {
        // If no op was judged, nothing was proved.
        verdict: if keys.is_empty() { Verdict::Unknown } else { Verdict::merge_all(keys.iter().map(|k| k.verdict)) },
        checker: if searched { Engine::Search } else { Engine::Chain },
        check_ms: None,
        second_opinion_ms: None,
        detected_ms: None,
        verdict_without_fates: without_fates,
        keys,
        violations,
    };
    Judgement { linearizability, certificates }
}

/// The conclusion on one key.
struct KeyJudgement {
    report: KeyReport,
    violation: Option<Violation>,
    certificate: Option<Certificate>,
}

struct Judge<'a> {
    ops: &'a KeyOps<'a>,
    /// Indices of the key's ops, for the verifier. They come from the history, not from the checker.
    places: &'a [u32],
    options: &'a Options<'a>,
}

impl Judge<'_> {
    fn judge(&self) -> KeyJudgement {
        let mut key = match self.options.checker {
            Checker::Porcupine => self.by_search(None),
            Checker::Auto | Checker::Chain | Checker::Both => self.by_chain(),
        };
        if self.ops.fates == Fates::Used && self.ops.has_fates() {
            let without = self.without_fates();
            key.report.verdict_without_fates = Some(without);
            if without == Verdict::Valid
                && let Some(violation) = &mut key.violation
            {
                violation.kind = ViolationKind::FateContradicted;
            }
        }
        key
    }

    fn without_fates(&self) -> Verdict {
        let ops = self.ops.with(Fates::Ignored);
        // Only the verdict is needed here, not a second opinion on it.
        let options = Options { use_fates: false, cross_check_up_to: 0, ..*self.options };
        Judge { ops: &ops, places: self.places, options: &options }.judge().report.verdict
    }

    fn by_chain(&self) -> KeyJudgement {
        match chain::check(self.ops) {
            chain::Outcome::Valid(order) => self.certified(Verdict::Valid, Certificate::Valid(order)),
            chain::Outcome::Invalid(contradiction) => self.certified(Verdict::Invalid, Certificate::Invalid(contradiction)),
            chain::Outcome::Outside { op, why } => self.outside(format!("op {op}: {why}")),
            chain::Outcome::Undecided { op } => {
                self.outside(format!("op {op}: it was refused without telling by what, and fits nowhere in the order that was found"))
            }
        }
    }

    fn outside(&self, why: String) -> KeyJudgement {
        match self.options.checker {
            Checker::Chain => KeyJudgement {
                report: KeyReport {
                    outside: Some(why),
                    note: Some(NO_OTHER_ENGINE.to_owned()),
                    ..self.report(Verdict::Unknown, Engine::Chain)
                },
                violation: None,
                certificate: None,
            },
            Checker::Auto | Checker::Porcupine | Checker::Both => self.by_search(Some(why)),
        }
    }

    fn certified(&self, verdict: Verdict, certificate: Certificate) -> KeyJudgement {
        let history = self.ops.history;
        if let Err(refusal) = verify(history, self.ops.key, self.places, self.ops.fates == Fates::Used, &certificate) {
            let note = format!("a bug in this checker: it said {verdict}, and the verifier refused its certificate: {refusal}");
            return KeyJudgement {
                report: KeyReport { note: Some(note), ..self.report(Verdict::Unknown, Engine::Chain) },
                violation: None,
                certificate: None,
            };
        }
        let mut report = self.report(verdict, Engine::Chain);
        let violation = match &certificate {
            Certificate::Valid(_) => None,
            Certificate::Invalid(contradiction) => {
                let reason = reason::explain(history, contradiction);
                let certified =
                    matches!(brute::order(&search_request::of_contradiction(self.ops, contradiction), CERTIFY_STEPS), Some(None));
                Some(Violation {
                    id: 0,
                    key: history.names.key_name(self.ops.key).to_owned(),
                    kind: reason.kind,
                    ops: contradiction.support.clone(),
                    shown_at: reason.shown_at,
                    explanation: reason.explanation,
                    certified,
                    contradiction: Some(contradiction.clone()),
                })
            }
        };
        let (ops, up_to) = (self.ops.places.len(), self.options.cross_check_up_to);
        match (self.options.checker, verdict) {
            (Checker::Both, _) => self.second_opinion(&mut report),
            (_, Verdict::Invalid) => {
                let certified = violation.as_ref().is_some_and(|v| v.certified);
                report.second_opinion = if certified { SecondOpinion::Refuted } else { SecondOpinion::NotRefuted };
            }
            (Checker::Auto, _) if ops <= up_to => self.second_opinion(&mut report),
            (Checker::Auto, _) => report.second_opinion = SecondOpinion::TooLarge { up_to: up_to as u64 },
            (Checker::Chain | Checker::Porcupine, _) => {}
        }
        KeyJudgement { report, violation, certificate: Some(certificate) }
    }

    fn second_opinion(&self, report: &mut KeyReport) {
        let reply = self.options.second.run(&search_request::of_key(self.ops));
        match (verdict_of(&reply), report.verdict) {
            (Verdict::Unknown, _) => {
                report.note = Some(format!("no second opinion: {}", limit(&reply)));
                report.second_opinion = SecondOpinion::GaveUp(limit(&reply));
            }
            (theirs, ours) if theirs == ours => {
                report.engine = Engine::Both;
                report.second_opinion = SecondOpinion::Agreed;
            }
            (theirs, ours) => {
                report.second_opinion = SecondOpinion::Disagreed;
                report.note = Some(format!("a bug in one of the checkers: the chain checker says {ours}, the search says {theirs}"));
                report.verdict = Verdict::Unknown;
            }
        }
    }

    fn by_search(&self, outside: Option<String>) -> KeyJudgement {
        let mut request = search_request::of_key(self.ops);
        let reply = self.options.search.run(&request);
        let verdict = verdict_of(&reply);
        let note = (verdict == Verdict::Unknown).then(|| limit(&reply));
        let report = KeyReport { outside, note, ..self.report(verdict, Engine::Search) };
        let violation = (verdict == Verdict::Invalid).then(|| {
            // The verdict is already final. If this second run reaches a limit, the violation is simply not reduced.
            request.shrink = true;
            self.found_by_search(&self.options.search.run(&request))
        });
        KeyJudgement { report, violation, certificate: None }
    }

    fn found_by_search(&self, small: &SearchReply) -> Violation {
        let history = self.ops.history;
        let ops: Vec<OpId> = small.core.iter().map(|&id| OpId(id)).collect();
        let summary = if ops.is_empty() {
            "no order of the ops explains every answer; no smaller set of ops was found within the limits.".to_owned()
        } else {
            format!("no order of these {} ops explains every answer.", ops.len())
        };
        let shown_at = self.ops.places.iter().map(|&p| self.ops.op(p)).filter(|o| ops.contains(&o.op)).map(|o| o.effect_by());
        Violation {
            id: 0,
            key: history.names.key_name(self.ops.key).to_owned(),
            kind: ViolationKind::NotLinearizable,
            shown_at: shown_at.filter(|t| *t != heckle_history::Nanos::NEVER).max().unwrap_or(history.end),
            ops,
            explanation: Explanation { summary, ..Explanation::default() },
            certified: small.certified,
            contradiction: None,
        }
    }

    fn report(&self, verdict: Verdict, engine: Engine) -> KeyReport {
        let key = self.ops.history.names.key_name(self.ops.key).to_owned();
        KeyReport {
            key,
            ops: self.ops.places.len() as u64,
            verdict,
            engine,
            verdict_without_fates: None,
            outside: None,
            note: None,
            second_opinion: SecondOpinion::NotAsked,
        }
    }
}

fn verdict_of(reply: &SearchReply) -> Verdict {
    match reply.answer {
        SearchAnswer::Valid => Verdict::Valid,
        SearchAnswer::Invalid => Verdict::Invalid,
        SearchAnswer::GaveUp => Verdict::Unknown,
    }
}

fn limit(reply: &SearchReply) -> String {
    reply.limit.clone().unwrap_or_else(|| "the search gave up".to_owned())
}

/// Judges a history of any model by search. `heckle check --model` uses this for foreign files.
pub fn judge_model(key: &str, request: &SearchRequest, search: &dyn SearchRunner) -> (KeyReport, Option<Violation>) {
    let reply = search.run(request);
    let verdict = verdict_of(&reply);
    let note = (verdict == Verdict::Unknown).then(|| limit(&reply));
    let ops = request.ops.len() as u64;
    let report = KeyReport {
        key: key.to_owned(),
        ops,
        verdict,
        engine: Engine::Search,
        verdict_without_fates: None,
        outside: None,
        note,
        second_opinion: SecondOpinion::NotAsked,
    };
    let violation = (verdict == Verdict::Invalid).then(|| {
        let small = search.run(&SearchRequest { shrink: true, ..request.clone() });
        let ops: Vec<OpId> = small.core.iter().map(|&id| OpId(id)).collect();
        let completed = request.ops.iter().filter(|o| ops.contains(&OpId(o.id))).filter_map(|o| o.completed).max();
        Violation {
            id: 0,
            key: key.to_owned(),
            kind: ViolationKind::NotLinearizable,
            shown_at: heckle_history::Nanos(completed.unwrap_or(0)),
            explanation: Explanation {
                summary: format!("no order of these {} ops explains every answer.", ops.len()),
                ..Explanation::default()
            },
            ops,
            certified: small.certified,
            contradiction: None,
        }
    });
    (report, violation)
}
