//! `[[load.stage]]`: a load that changes over time, in stages by rate or by clients.

use super::MAX_CLIENTS;
use super::settings::{LoadSettings, StageSettings};
use super::units::{Rate, Span};
use heckle_history::Nanos;
use heckle_results::stages::{PlannedStage, StageUnit};
use heckle_system_api::PlanMistake;
use heckle_workloads::shape::{Shape, Stage};
use serde::Deserialize;
use toml::Spanned;

/// Maximum number of stages: more do not fit into a table.
const MAX_STAGES: usize = 100;
/// Minimum length of a stage: about the time that a timer of the load generator may be late.
const MIN_STAGE: Span = Span::ms(10);
/// Maximum total length of all stages, in seconds: the limit of every duration in a plan.
const MAX_TOTAL_S: u64 = 7 * 24 * 3_600;

/// The stages of a plan, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Stages {
    /// Whether the stages prescribe rates or numbers of clients.
    pub unit: StageUnit,
    list: Vec<Stage>,
}

impl Stages {
    /// Returns the total length of all stages.
    pub fn total(&self) -> Span {
        Span(std::time::Duration::from_nanos(self.list.iter().map(|s| s.lasts.0).sum()))
    }

    /// Returns the mean value over all stages.
    pub fn mean(&self) -> f64 {
        self.list.iter().map(|s| s.integral()).sum::<f64>() / self.total().0.as_secs_f64()
    }

    /// Returns the largest value.
    fn peak(&self) -> f64 {
        self.list.iter().flat_map(|s| [s.from, s.to]).fold(0.0, f64::max)
    }

    /// Returns the number of connections, if the stages prescribe clients.
    pub fn clients(&self) -> Option<u32> {
        (self.unit == StageUnit::Clients).then(|| self.peak() as u32)
    }

    /// Whether the number of clients changes, so that some clients are active for longer than others.
    pub fn changes_clients(&self) -> bool {
        self.unit == StageUnit::Clients && self.list.iter().any(|s| s.from != self.list[0].from || s.to != self.list[0].from)
    }

    /// Returns the load from the start of the run. The warm-up has the value of the first stage.
    pub fn shape(&self, warmup: Nanos) -> Shape {
        let before = (warmup.0 > 0).then(|| Stage::hold(warmup, self.list[0].from));
        Shape::new(before.into_iter().chain(self.list.iter().copied()))
    }

    /// Returns the stages in the form used by a history's header.
    pub fn planned(&self, warmup: Nanos) -> Vec<PlannedStage> {
        let mut start_ns = warmup.0;
        let mut place = |s: &Stage| {
            let placed = PlannedStage { start_ns, end_ns: start_ns + s.lasts.0, unit: self.unit, from: s.from, to: s.to };
            start_ns = placed.end_ns;
            placed
        };
        self.list.iter().map(&mut place).collect()
    }
}

/// A mistake, with the key or the stage in which it was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mistake {
    place: Place,
    pub(super) what: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Duration,
    Rate,
    Clients,
    Think,
    /// A stage, by index.
    Stage(usize),
}

/// Returns the stages of a load; `None` if it has none.
///
/// # Errors
/// If a stage is invalid, or contradicts another setting of the load.
pub(super) fn of(load: &LoadSettings) -> Result<Option<Stages>, Mistake> {
    let Some(first) = load.stages.first() else { return Ok(None) };
    let unit = if first.clients.is_some() { StageUnit::Clients } else { StageUnit::Rate };
    let key = |place, what: &str| Mistake { place, what: what.to_owned() };
    if load.duration.is_some() {
        return Err(key(Place::Duration, "the load has stages, and their sum is its duration: leave out duration (--duration)"));
    }
    if load.rate.is_some() {
        return Err(key(Place::Rate, "the load has stages, which set the rate: leave out rate (--rate) outside of them"));
    }
    if load.clients.is_some() && unit == StageUnit::Clients {
        return Err(key(Place::Clients, "the stages of the load set the clients: leave out clients (--clients) outside of them"));
    }
    if load.think.is_some() && unit == StageUnit::Rate {
        return Err(key(Place::Think, "clients think in the closed loop alone, and the stages set a rate: leave out think (--think)"));
    }
    let at = |i, what: String| Mistake { place: Place::Stage(i), what: format!("stage {} of the load {what}", i + 1) };
    if load.stages.len() > MAX_STAGES {
        return Err(at(MAX_STAGES, format!("is one too many: {MAX_STAGES} are the most")));
    }
    let mut list: Vec<Stage> = vec![];
    for (i, stage) in load.stages.iter().enumerate() {
        let to = value(stage, unit).map_err(|what| at(i, what))?;
        let from = match (stage.ramp, list.last()) {
            (false, _) => to,
            (true, Some(before)) => before.to,
            (true, None) => {
                return Err(at(i, "is a ramp, which begins at the value of the stage before: put a stage in front of it".into()));
            }
        };
        list.push(Stage { lasts: stage.lasts.nanos(), from, to });
    }
    let stages = Stages { unit, list };
    if stages.total().0.as_secs() > MAX_TOTAL_S {
        return Err(at(load.stages.len() - 1, "ends after more than 7 days".into()));
    }
    Ok(Some(stages))
}

/// Returns the value that a stage has or ramps to.
fn value(stage: &StageSettings, unit: StageUnit) -> Result<f64, String> {
    if stage.lasts < MIN_STAGE {
        return Err(format!("is {} long, and {MIN_STAGE} is the least", stage.lasts));
    }
    match (unit, stage.rate, stage.clients) {
        (_, Some(_), Some(_)) => Err("has both rate and clients: leave out one".into()),
        (_, None, None) => Err("has neither rate nor clients: add one".into()),
        (StageUnit::Rate, Some(Rate::PerSecond(rate)), None) => Ok(rate),
        (StageUnit::Rate, Some(Rate::Max), None) => Err("has rate = max: for a closed loop, give its clients instead".into()),
        (StageUnit::Clients, None, Some(n)) if (1..=MAX_CLIENTS).contains(&n) => Ok(f64::from(n)),
        (StageUnit::Clients, None, Some(n)) => Err(format!("has clients = {n}, which is not between 1 and {MAX_CLIENTS}")),
        (StageUnit::Rate, None, Some(_)) => Err("has clients, and the first stage has a rate: all stages have the same".into()),
        (StageUnit::Clients, Some(_), None) => Err("has a rate, and the first stage has clients: all stages have the same".into()),
    }
}

/// Positions in a plan's text that a mistake may refer to.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Places {
    load: LoadPlaces,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LoadPlaces {
    stage: Vec<Spanned<toml::Value>>,
    duration: Option<Spanned<toml::Value>>,
    rate: Option<Spanned<toml::Value>>,
    clients: Option<Spanned<toml::Value>>,
    think: Option<Spanned<toml::Value>>,
}

/// Checks the stages in the text of a plan whose load has these settings.
///
/// # Errors
/// The mistake, with its position.
pub(super) fn check_text(text: &str, load: &LoadSettings) -> Result<(), PlanMistake> {
    let Err(Mistake { place, what }) = of(load) else { return Ok(()) };
    let places: Places = toml::from_str(text).unwrap_or_default();
    let load = &places.load;
    let value = match place {
        Place::Duration => load.duration.as_ref(),
        Place::Rate => load.rate.as_ref(),
        Place::Clients => load.clients.as_ref(),
        Place::Think => load.think.as_ref(),
        Place::Stage(i) => load.stage.get(i),
    };
    Err(PlanMistake { at: value.map(|value| value.span().start), what })
}

#[cfg(test)]
mod tests;
