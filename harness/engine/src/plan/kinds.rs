//! The kinds of faults of a plan: what its keywords stand for, and which kinds fit its system and settings.

use super::{DEFAULT_FAULTS, Net, Plan, faults_of, file, settings};
use heckle_faults::{Control, FaultKind, Model, Role, registry};
use heckle_system_api::System;
use heckle_system_api::capability::{Links, PointInfo, Points, Reached};
use std::collections::BTreeSet;

/// Keyword for every kind that a correct system survives and that fits the plan.
const ALL: &str = "all";
/// Keyword for every other kind that fits the plan.
const BEYOND: &str = "beyond";

impl Plan {
    /// Returns the kinds listed by a plan, and the kinds left out by `all` or `beyond`.
    ///
    /// # Errors
    /// Names the first word that is not a kind or conflicts with the others.
    pub(super) fn kinds(&self, faults: &settings::FaultSettings, listed: &[settings::InjectionSettings]) -> Result<Kinds, String> {
        let kind = |text: &str| kind(&*self.system, text);
        if !listed.is_empty() {
            if faults.kinds.is_some() {
                return Err("a plan has either [faults] kinds or [[fault]] entries, not both".into());
            }
            let kinds = listed.iter().map(|i| kind(&i.kind)).collect::<Result<BTreeSet<_>, _>>()?;
            return Ok(Kinds::listed(kinds.into_iter().collect()));
        }
        let Some(words) = &faults.kinds else {
            let default = DEFAULT_FAULTS.split(',').filter_map(|name| kind(name).ok());
            let fits = |kind: &FaultKind| missing_capability(&*self.system, kind).or_else(|| self.beyond_attached(kind)).is_none();
            return Ok(Kinds::listed(default.filter(fits).collect()));
        };
        if words == &["none"] {
            return Ok(Kinds::default());
        }
        let mut kinds = Kinds::default();
        for word in words {
            match word.trim() {
                ALL => kinds.add_model(self, Model::Inside),
                BEYOND => kinds.add_model(self, Model::Beyond),
                name => kinds.add(kind(name)?),
            }
        }
        // An empty list asks for no faults, as a resolved plan does.
        if kinds.listed.is_empty() && !words.is_empty() {
            let why = kinds.describe_left_out().unwrap_or_else(|| format!("{} can have none of them", self.system.name()));
            return Err(format!("no fault fits: {why}"));
        }
        Ok(kinds)
    }

    /// Checks that a kind can be injected under the settings of this plan.
    ///
    /// # Errors
    /// Why it cannot, and which kinds can.
    pub(super) fn check_kind(&self, kind: &FaultKind) -> Result<(), String> {
        let Some(why) = self.unsupported_reason(kind) else { return Ok(()) };
        let fitting = faults_of(&*self.system).into_iter().filter(|kind| self.unsupported_reason(kind).is_none());
        let fitting = fitting.map(|kind| kind.to_string()).collect::<Vec<_>>().join(", ");
        Err(format!("fault `{kind}` {why}; available: {fitting}"))
    }

    /// Returns why a kind does not fit the system and settings of this plan, as the predicate of a sentence.
    fn unsupported_reason(&self, kind: &FaultKind) -> Option<String> {
        let needs = kind.needs();
        if let Some(lack) = missing_capability(&*self.system, kind).or_else(|| self.beyond_attached(kind)) {
            return Some(format!("cannot be injected into {}, {lack}", self.system.name()));
        }
        if let (Some(clock), true) = (self.clock_offset, kind.needs_control(Control::Clocks)) {
            return Some(format!("would set right the clock of {} (clock_offset) when it heals: use one of them", clock.node));
        }
        if kind.needs_control(Control::Links) && self.net == Net::Direct {
            return Some("needs the relay: leave out --net direct".into());
        }
        (needs.nodes > self.nodes).then(|| format!("needs {} nodes or more, this plan has {}", needs.nodes, self.nodes))
    }

    /// Returns why no node can have the role that a kind targets.
    fn missing_role_reason(&self, kind: &FaultKind) -> Option<String> {
        let why = self.system.roles()?.vacant(kind.role()?)?;
        Some(format!("no target: {why}"))
    }
}

/// Returns the default order of the faults. With `all` or `beyond` there are more kinds than fit into a run,
/// so each run draws different ones.
pub(super) fn default_order(words: Option<&[String]>) -> Option<&'static str> {
    let draws_all = words?.iter().any(|word| [ALL, BEYOND].contains(&word.trim()));
    draws_all.then_some("shuffled")
}

/// The kinds of a plan.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    pub(super) listed: Vec<FaultKind>,
    /// Reasons why kinds do not fit, each with the kinds it applies to.
    left_out: Vec<(String, Vec<FaultKind>)>,
}

impl Kinds {
    fn listed(listed: Vec<FaultKind>) -> Self {
        Kinds { listed, left_out: vec![] }
    }

    /// Adds a kind unless it is already included.
    fn add(&mut self, kind: FaultKind) {
        if !self.listed.contains(&kind) {
            self.listed.push(kind);
        }
    }

    /// Names the kinds that do not fit.
    pub(super) fn describe_left_out(&self) -> Option<String> {
        let group = |(why, kinds): &(String, Vec<FaultKind>)| {
            let names: Vec<String> = kinds.iter().map(ToString::to_string).collect();
            format!("{} ({why})", names.join(", "))
        };
        let groups: Vec<String> = self.left_out.iter().map(group).collect();
        (!groups.is_empty()).then(|| format!("faults left out: {}", groups.join("; ")))
    }

    /// Adds all kinds of a model that fit.
    fn add_model(&mut self, plan: &Plan, model: Model) {
        let roles = roles_of(&*plan.system);
        let of_model = registry::all(roles).into_iter().filter(|kind| kind.kind().model == model);
        for kind in of_model.filter(|kind| missing_capability(&*plan.system, kind).is_none()) {
            match plan.unsupported_reason(&kind).or_else(|| plan.missing_role_reason(&kind)) {
                None => self.add(kind),
                Some(why) => match self.left_out.iter_mut().find(|(known, _)| *known == why) {
                    Some((_, kinds)) => kinds.push(kind),
                    None => self.left_out.push((why, vec![kind])),
                },
            }
        }
    }
}

/// Parses a kind of fault. A role that the system does not have is reported as a misspelt name.
pub(super) fn kind(system: &dyn System, text: &str) -> Result<FaultKind, String> {
    let roles = roles_of(system);
    let knows = |role: &str| roles.is_empty() || roles.iter().any(|known| known.name == role);
    let names: Vec<String> = registry::all(roles).iter().map(ToString::to_string).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let unknown = || format!("there is no fault `{text}`; {}", file::did_you_mean(text, &names));
    let kind = registry::find(text).ok().filter(|kind| kind.role().is_none_or(knows)).ok_or_else(unknown)?;
    match (kind.point(), system.points()) {
        (Some(point), Some(points)) => check_point(text, point, &points.all()).map(|()| kind),
        _ => Ok(kind),
    }
}

/// Checks that a fault can be triggered at this point.
fn check_point(text: &str, point: &str, all: &[PointInfo]) -> Result<(), String> {
    match all.iter().find(|known| known.name == point) {
        Some(known) if known.reached == Reached::AtStart => {
            Err(format!("there is no fault `{text}`: {point} is reached only while a node starts, when nothing can be armed"))
        }
        Some(_) => Ok(()),
        None => {
            let names: Vec<&str> = all.iter().filter(|known| known.reached != Reached::AtStart).map(|known| known.name).collect();
            Err(format!("there is no fault `{text}`: no point is called `{point}`; {}", file::did_you_mean(point, &names)))
        }
    }
}

/// Checks that a fault can begin at this point of a system.
///
/// # Errors
/// Why not, and the nearest point at which one can.
pub(super) fn check_awaited(system: &dyn System, point: &str) -> Result<(), String> {
    let Some(points) = system.points() else {
        return Err(format!("at_point = \"{point}\": {} has no named points; give a time instead, such as at = \"5s\"", system.name()));
    };
    let all = points.all();
    match all.iter().find(|known| known.name == point) {
        Some(known) if known.reached != Reached::AtStart => Ok(()),
        Some(_) => Err(format!("at_point = \"{point}\" is reached only while a node starts, when nothing can be armed")),
        None => {
            let names: Vec<&str> = all.iter().filter(|known| known.reached != Reached::AtStart).map(|known| known.name).collect();
            Err(format!("no point is called `{point}`; {} (`heckle doctor --points` lists them)", file::did_you_mean(point, &names)))
        }
    }
}

/// Returns the points that are drawn for faults that name none.
pub(super) fn drawn_points(system: &dyn System) -> Vec<&'static str> {
    let all = system.points().map_or_else(Vec::new, Points::all);
    all.into_iter().filter(|point| point.reached == Reached::Often).map(|point| point.name).collect()
}

/// Describes the capability that a system lacks for a kind of fault, if any.
pub(super) fn missing_capability(system: &dyn System, kind: &FaultKind) -> Option<&'static str> {
    let missing = |control: &Control| match control {
        Control::Processes(_) => None,
        Control::Links | Control::NodeLinks => matches!(system.links(), Links::None).then_some("whose links do not pass the relay"),
        Control::Messages => match system.links() {
            Links::Frames(_) => None,
            Links::Bytes => Some("whose links carry a byte stream, of which TCP loses, repeats and reorders nothing"),
            Links::None => Some("whose links do not pass the relay"),
        },
        Control::Clocks => system.clocks().is_none().then_some("whose clocks cannot be set"),
        Control::Disks => system.disks().is_none().then_some("whose disks cannot be made to fail without rights"),
        Control::UnsyncedData => system.disks().is_none().then_some("whose un-synced data cannot be kept apart without rights"),
        Control::Points => system.points().is_none().then_some("which has no named points"),
    };
    let unknown = |role: &str| !roles_of(system).iter().any(|known| known.name == role);
    let role = kind.role().filter(|role| unknown(role)).map(|_| "which has no such role");
    kind.needs().control.iter().find_map(missing).or(role)
}

/// Returns the roles of nodes at which faults can be aimed.
pub(super) fn roles_of(system: &dyn System) -> &'static [Role] {
    system.roles().map_or(&[], |roles| roles.all())
}
