//! What a run was held to, and how it ended: the parts of a verdict that are not events, as its history carries them.
//!
//! A verdict is to be a function of the history alone, so that a run whose `results.json` is lost or damaged still comes to
//! what it came to. [`Terms`] stand in the header, since they are known when the run begins; [`Close`] stands in the end
//! record.

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

/// Where the close stands in an end record.
const IN_END: &str = "run";

/// What a run is held to. Fields are only ever added.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// Its plan, with the verdict that the plan expects.
    pub plan: PlanInfo,
    /// The tool.
    pub build: BuildInfo,
    /// The machine.
    pub env: EnvInfo,
    /// The rate that is asked for; absent in a closed loop.
    pub target_per_s: Option<f64>,
    /// Whether the load goes as fast as it can.
    pub max_rate: bool,
    /// What must have happened, and how often.
    pub coverage: Vec<Need>,
    /// Limits on its figures: `p99_ms<50`.
    pub gates: Vec<String>,
    /// Which engines judge: a value of `--checker`.
    pub checker: String,
    /// What is worth saying beside the verdict and was known before the run began.
    pub notes: Vec<String>,
}

/// A coverage rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Need {
    /// `ok_cas_during:partition` …
    pub id: String,
    /// How often at least.
    pub need: u64,
}

/// How a run ended, and what was counted beside its history. Fields are only ever added.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Close {
    /// How it ended.
    pub ending: EndingWord,
    /// Why, where it failed.
    pub why: String,
    /// When the live judge saw the first violation, counted from the start of the run.
    pub detected_ms: Option<f64>,
    /// What the nodes counted.
    #[serde(rename = "paxos")]
    pub system: SystemFigures,
    /// Arrivals that were due before the load ended and were never sent.
    pub unsent: u64,
    /// What machine and harness went through under load.
    pub strain: Option<Strain>,
    /// What is worth saying beside the verdict.
    pub warnings: Vec<String>,
}

impl Close {
    /// Takes the figures that a system tells of the whole run, by their names in the results. Those that do not fit are left out with a
    /// warning.
    pub fn of_system(&mut self, figures: serde_json::Map<String, serde_json::Value>) {
        match serde_json::from_value(serde_json::Value::Object(figures)) {
            Ok(figures) => self.system = figures,
            Err(e) => self.warnings.push(format!("the figures that the nodes counted cannot be read: {e}")),
        }
    }
}

/// The kinds of ending.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndingWord {
    /// As planned, or stopped at a violation.
    #[default]
    Done,
    /// By Ctrl-C or SIGTERM.
    Interrupted,
    /// The harness or the machine failed.
    Failed,
}

impl Terms {
    /// Puts them into the fields of a header.
    pub fn write(&self, header: &mut Header) {
        header.more.insert(IN_HEADER.to_owned(), json(self));
    }

    /// The terms in a header; `None` for a history that is no whole run's.
    ///
    /// # Errors
    /// If they are there and cannot be read, in words.
    pub fn of(header: &Header) -> Result<Option<Self>, String> {
        let why = |e| format!("line 1: the header's `{IN_HEADER}` cannot be read: {e}");
        header.more.get(IN_HEADER).map(read).transpose().map_err(why)
    }

    /// Its coverage rules.
    pub fn rules(&self) -> Vec<Rule> {
        self.coverage.iter().map(|n| Rule::new(n.id.clone(), n.need)).collect()
    }
}

impl Close {
    /// What an end record carries.
    pub fn in_end_record(&self) -> BTreeMap<String, Json> {
        [(IN_END.to_owned(), json(self))].into()
    }

    /// The close in a history's end record, if it has one.
    ///
    /// # Errors
    /// If it is there and cannot be read, in words.
    pub fn of(history: &History) -> Result<Option<Self>, String> {
        let why = |e| format!("the end record's `{IN_END}` cannot be read: {e}");
        history.end_record.as_ref().and_then(|end| end.more.get(IN_END)).map(read).transpose().map_err(why)
    }

    /// The ending.
    pub fn ending(&self) -> Ending {
        match self.ending {
            EndingWord::Done => Ending::Done,
            EndingWord::Interrupted => Ending::Interrupted,
            EndingWord::Failed => Ending::Failed(self.why.clone()),
        }
    }

    /// Its twin of an ending.
    #[must_use]
    pub fn with_ending(mut self, ending: &Ending) -> Self {
        (self.ending, self.why) = match ending {
            Ending::Done => (EndingWord::Done, String::new()),
            Ending::Interrupted => (EndingWord::Interrupted, String::new()),
            Ending::Failed(why) => (EndingWord::Failed, why.clone()),
        };
        self
    }
}

impl Results {
    /// Results of a run that is held to `terms`, before anything happened.
    pub fn held_to(terms: &Terms) -> Self {
        let mut results = Results { plan: terms.plan.clone(), build: terms.build.clone(), env: terms.env.clone(), ..Results::default() };
        results.load.target_per_s = terms.target_per_s;
        results.load.max_rate = terms.max_rate;
        results.warnings.clone_from(&terms.notes);
        results
    }

    /// Takes over what was counted beside the history.
    pub fn closed(&mut self, close: &Close) {
        self.linearizability.detected_ms = close.detected_ms;
        self.system = close.system.clone();
        self.load.unsent = close.unsent;
        self.strain.clone_from(&close.strain);
        self.warnings.extend(close.warnings.iter().cloned());
    }

    /// Takes over what the header says of the run's name, beginning and seed.
    pub fn named_by(&mut self, history: &History) {
        self.run_id = history.header.run_id.as_ref().map(|id| id.0.clone()).unwrap_or_default();
        self.started_utc = UnixSeconds::from_compact(&self.run_id).map_or_else(String::new, UnixSeconds::iso);
        self.seed = history.header.seed.clone().unwrap_or_default();
    }
}

impl HistoryInfo {
    /// What is known of whether `history` is whole.
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
    fn terms_and_close_travel_through_a_file() {
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
    fn terms_that_cannot_be_read_are_no_terms_that_are_met() {
        let mut header = Header::default();
        header.more.insert(IN_HEADER.into(), serde_json::json!({"coverage": 7}));
        assert!(Terms::of(&header).is_err_and(|e| e.contains("line 1") && e.contains("terms")));
    }
}
