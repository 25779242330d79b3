//! The requirements of a run and how it ended: the inputs to a verdict that are not events, as recorded in the history.
//!
//! A verdict must depend only on the history, so that a run whose `results.json` is lost or damaged still gets the same
//! verdict. The header contains the [`Terms`], which are known when the run begins. The end record contains the [`Close`].

use crate::conclude::Ending;
use crate::results_json::{BuildInfo, EnvInfo, HistoryInfo, PlanInfo, Results, Strain, SystemFigures};
use crate::utc::UnixSeconds;
use heckle_checker::coverage::Rule;
use heckle_history::event::TERMS as IN_HEADER;
use heckle_history::{Completeness, Header, History};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The field of an end record that contains the [`Close`].
const END_RECORD_FIELD: &str = "run";
/// The field of an end record for the time at which the load ended early.
const LOAD_ENDED_FIELD: &str = "load_ended_ns";

/// The requirements of a run. Fields are only ever added.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// The plan, with its expected verdict.
    pub plan: PlanInfo,
    /// The build of the tool.
    pub build: BuildInfo,
    /// The machine of the run.
    pub env: EnvInfo,
    /// The target rate; absent in a closed loop.
    pub target_per_s: Option<f64>,
    /// Whether the load is a closed loop at the maximum rate.
    pub max_rate: bool,
    /// The time that a client of the closed loop waits after an intent, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think_ms: Option<f64>,
    /// The coverage rules: which events must happen, and how often.
    pub coverage: Vec<Need>,
    /// Gates, such as `p99_ms<50`.
    pub gates: Vec<String>,
    /// The engines that check the history: a value of `--checker`.
    pub checker: String,
    /// Warnings that were known before the run began.
    pub notes: Vec<String>,
}

/// A coverage rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Need {
    /// Name of the rule, such as `ok_cas_during:partition`.
    pub id: String,
    /// The required count.
    pub need: u64,
}

/// How a run ended, and figures that its history does not contain. Fields are only ever added.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Close {
    /// How the run ended.
    pub ending: EndingKind,
    /// The reason, if the run failed.
    pub why: String,
    /// Time at which the online judge detected the first violation, in milliseconds since the start of the run.
    pub detected_ms: Option<f64>,
    /// Figures that the nodes reported.
    #[serde(rename = "paxos")]
    pub system: SystemFigures,
    /// The reason why a limit of the plan ended the load early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aborted: Option<String>,
    /// Time at which the load ended, if it ended early, in nanoseconds. It is stored in a separate field of the end record, which is
    /// part of the history format.
    #[serde(skip)]
    pub load_ended_ns: Option<u64>,
    /// Number of arrivals that were due before the load ended but were never sent.
    pub unsent: u64,
    /// Samples of the machine and the harness during the load.
    pub strain: Option<Strain>,
    /// Additional warnings.
    pub warnings: Vec<String>,
}

impl Close {
    /// Stores the figures that a system reports about the whole run, by their names in the results. If they do not match the
    /// type, they are dropped with a warning.
    pub fn set_system_figures(&mut self, figures: serde_json::Map<String, serde_json::Value>) {
        match serde_json::from_value(serde_json::Value::Object(figures)) {
            Ok(figures) => self.system = figures,
            Err(e) => self.warnings.push(format!("the figures that the nodes reported cannot be read: {e}")),
        }
    }
}

/// The ways in which a run can end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndingKind {
    /// As planned, or at a violation.
    #[default]
    Done,
    /// By Ctrl-C or SIGTERM.
    Interrupted,
    /// The harness or the machine failed.
    Failed,
}

impl Terms {
    /// Stores the terms in the header.
    pub fn write(&self, header: &mut Header) {
        header.more.insert(IN_HEADER.to_owned(), json(self));
    }

    /// Reads the terms in a header. Returns `None` for a history that was not written by a complete run.
    ///
    /// # Errors
    /// A message, if the terms exist but cannot be read.
    pub fn of(header: &Header) -> Result<Option<Self>, String> {
        let why = |e| format!("line 1: the header's `{IN_HEADER}` cannot be read: {e}");
        header.more.get(IN_HEADER).map(read).transpose().map_err(why)
    }

    /// Returns the coverage rules as the checker's type.
    pub fn rules(&self) -> Vec<Rule> {
        self.coverage.iter().map(|n| Rule::new(n.id.clone(), n.need)).collect()
    }
}

impl Close {
    /// Returns the fields to store in the end record.
    pub fn in_end_record(&self) -> BTreeMap<String, Json> {
        let ended = self.load_ended_ns.map(|ns| (LOAD_ENDED_FIELD.to_owned(), ns.into()));
        [(END_RECORD_FIELD.to_owned(), json(self))].into_iter().chain(ended).collect()
    }

    /// Reads the close in the end record of a history, if there is one.
    ///
    /// # Errors
    /// A message, if it exists but cannot be read.
    pub fn of(history: &History) -> Result<Option<Self>, String> {
        let why = |e| format!("the end record's `{END_RECORD_FIELD}` cannot be read: {e}");
        history.end_record.as_ref().and_then(|end| end.more.get(END_RECORD_FIELD)).map(read).transpose().map_err(why)
    }

    /// Returns the ending as the type used for conclusions.
    pub fn ending(&self) -> Ending {
        match self.ending {
            EndingKind::Done => self.aborted.clone().map_or(Ending::Done, Ending::Aborted),
            EndingKind::Interrupted => Ending::Interrupted,
            EndingKind::Failed => Ending::Failed(self.why.clone()),
        }
    }

    /// Sets the ending and its reason.
    #[must_use]
    pub fn with_ending(mut self, ending: &Ending) -> Self {
        (self.ending, self.why) = match ending {
            // Versions from before `--abort-on` do not support any other kind.
            Ending::Done | Ending::Aborted(_) => (EndingKind::Done, String::new()),
            Ending::Interrupted => (EndingKind::Interrupted, String::new()),
            Ending::Failed(why) => (EndingKind::Failed, why.clone()),
        };
        self.aborted = if let Ending::Aborted(why) = ending { Some(why.clone()) } else { None };
        self
    }
}

impl Results {
    /// Returns the initial results of a run under `terms`.
    pub fn for_terms(terms: &Terms) -> Self {
        let mut results = Results { plan: terms.plan.clone(), build: terms.build.clone(), env: terms.env.clone(), ..Results::default() };
        results.load.target_per_s = terms.target_per_s;
        results.load.max_rate = terms.max_rate;
        results.load.think_ms = terms.think_ms;
        results.warnings.clone_from(&terms.notes);
        results
    }

    /// Copies the figures that the history does not contain.
    pub fn set_close(&mut self, close: &Close) {
        self.linearizability.detected_ms = close.detected_ms;
        self.system = close.system.clone();
        self.load.unsent = close.unsent;
        self.load.aborted.clone_from(&close.aborted);
        self.strain.clone_from(&close.strain);
        self.warnings.extend(close.warnings.iter().cloned());
    }

    /// Copies the run id, start time and seed from the header.
    pub fn set_identity(&mut self, history: &History) {
        self.run_id = history.header.run_id.as_ref().map(|id| id.0.clone()).unwrap_or_default();
        self.started_utc = UnixSeconds::from_compact(&self.run_id).map_or_else(String::new, UnixSeconds::iso);
        self.seed = history.header.seed.clone().unwrap_or_default();
    }
}

impl HistoryInfo {
    /// Returns the end record of `history` and whether the history is complete.
    pub fn of(history: &History) -> Self {
        let end = history.end_record.as_ref();
        HistoryInfo {
            events: end.map_or(0, |e| e.events),
            xxh3: end.map_or_else(String::new, |e| e.xxh3.clone()),
            whole: history.completeness == Completeness::Whole,
            problem: history.completeness.problem(),
        }
    }
}

fn json(value: &impl Serialize) -> Json {
    serde_json::to_value(value).expect("texts, numbers and lists have a JSON form")
}

fn read<T: DeserializeOwned>(value: &Json) -> Result<T, serde_json::Error> {
    T::deserialize(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_and_close_round_trip_through_a_file() {
        let terms = Terms {
            plan: PlanInfo { name: "p".into(), expect: crate::results_json::Expect::Invalid, ..PlanInfo::default() },
            target_per_s: Some(400.0),
            coverage: vec![Need { id: "ok_cas".into(), need: 10 }],
            gates: vec!["p99_ms<50".into()],
            checker: "chain".into(),
            ..Terms::default()
        };
        let why = "n2 died; see nodes/n2/node.log";
        let close = Close { warnings: vec!["n1 ignored SIGTERM".into()], detected_ms: Some(1.5), unsent: 7, ..Close::default() };
        let close = Close { strain: Some(Strain { steal_ratio: Some(0.25), ..Strain::default() }), ..close };
        let close = close.with_ending(&Ending::Failed(why.into()));
        let mut header = Header::default();
        terms.write(&mut header);
        let writer = heckle_history::writer::Writer::new(vec![], &header).expect("a Vec takes everything");
        let (file, _) = writer.finish(close.in_end_record()).expect("a Vec takes everything");
        let read = History::read(&file[..], heckle_history::operation::Keep::OpsOnly).expect("just written");
        assert_eq!(Terms::of(&read.header), Ok(Some(terms)));
        assert_eq!(Close::of(&read), Ok(Some(close.clone())));
        assert_eq!(close.ending(), Ending::Failed(why.into()));
        assert_eq!((Terms::of(&Header::default()), Close::of(&History::default())), (Ok(None), Ok(None)));
    }

    #[test]
    fn an_end_record_says_when_an_aborted_load_ended() {
        let header = Header { load_window: Some((1_000, 9_000)), ..Header::default() };
        let close = Close { load_ended_ns: Some(4_000), ..Close::default() }.with_ending(&Ending::Aborted("too slow".into()));
        let writer = heckle_history::writer::Writer::new(vec![], &header).expect("a Vec takes everything");
        let (file, _) = writer.finish(close.in_end_record()).expect("a Vec takes everything");
        let read = History::read(&file[..], heckle_history::operation::Keep::OpsOnly).expect("just written");
        assert_eq!(read.header.load_window, Some((1_000, 4_000)), "the window ends with the load");
        let again = Close::of(&read).expect("readable").expect("present");
        assert_eq!((again.ending(), again.ending), (Ending::Aborted("too slow".into()), EndingKind::Done), "an older program reads it");
    }

    #[test]
    fn unreadable_terms_are_an_error() {
        let mut header = Header::default();
        header.more.insert(IN_HEADER.into(), serde_json::json!({"coverage": 7}));
        assert!(Terms::of(&header).is_err_and(|e| e.contains("line 1") && e.contains("terms")));
    }
}
