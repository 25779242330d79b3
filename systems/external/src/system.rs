//! A system described by a plan, as seen by the engine.

use crate::attach::{self, Deed};
use crate::command;
use crate::connection::DriverConnection;
use crate::driver::Driver;
use crate::nodes::{self, filled, program_at};
use crate::protocol;
use crate::ready;
use crate::spec::{At, AttachText, Leader, PlanText, Reads, SystemText, locate};
use crate::template::Layout;
use heckle_faults::{Role, Signal};
use heckle_history::{Nanos, NodeIx};
use heckle_system_api::System;
use heckle_system_api::attached::Attached;
use heckle_system_api::capability::{Links, NodeEvents, Roles, Watch};
use heckle_system_api::connection::Connection;
use heckle_system_api::identity::{Mistaken, Target};
use heckle_system_api::launch::{NodeSpec, NotReady, Process, Site};
use heckle_system_api::process::{Helpers, Output, ProcessSpec, StopRequest};
use heckle_system_api::system::{DescribedSystems, FinalReads, PlanMistake};
use heckle_system_api::value::ValueCodec;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// The role reported by a leader command or a driver.
const LEADER: Role = Role { name: "leader", about: "the node that leads" };
/// Time limit for commands that print a version or say which node leads.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);

/// Systems described by plans, as an entry in the CLI's list of systems.
#[derive(Debug, Clone, Copy)]
pub struct ExternalSystems;

impl DescribedSystems for ExternalSystems {
    fn check(&self, plan: &str) -> Result<(), PlanMistake> {
        let text: PlanText =
            toml::from_str(plan).map_err(|e| PlanMistake { at: e.span().map(|span| span.start), what: e.message().to_owned() })?;
        text.system.check().map_err(|at| PlanMistake { at: locate(plan, &at), what: at.what })
    }

    fn build(&self, system: &toml::Table) -> Result<Arc<dyn System>, String> {
        let text: SystemText = system.clone().try_into().map_err(|e: toml::de::Error| format!("[system]: {}", e.message()))?;
        text.check().map_err(|at: At| at.what)?;
        let folder = match &text.folder {
            Some(folder) => PathBuf::from(folder),
            None => std::env::current_dir().map_err(|e| format!("there is no current folder: {e}"))?,
        };
        let given = system.clone();
        Ok(Arc::new(External { given, folder, text, session: Mutex::default() }))
    }
}

/// A system described by a plan, with its templates.
struct External {
    given: toml::Table,
    text: SystemText,
    folder: PathBuf,
    session: Mutex<Option<Session>>,
}

/// The run in progress.
#[derive(Clone)]
struct Session {
    layout: Arc<Layout>,
    mistaken: Mistaken,
    helpers: Arc<dyn Helpers>,
    /// Owned by the run's watch, so that the driver ends with the run.
    driver: Weak<Driver>,
}

impl std::fmt::Debug for External {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("External").field("text", &self.text).finish_non_exhaustive()
    }
}

impl External {
    fn locked(&self) -> MutexGuard<'_, Option<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self) -> Result<Session, String> {
        self.locked().clone().ok_or_else(|| "no run of this system goes on".to_owned())
    }

    fn driver_spec(&self) -> Result<ProcessSpec, String> {
        let words = self.text.driver.list();
        let (program, args) = words.split_first().ok_or("driver is empty")?;
        Ok(ProcessSpec {
            name: "driver".into(),
            program: Some(program_at(program, &self.folder).map_err(|e| format!("driver: {e}"))?),
            args: args.iter().map(Into::into).collect(),
            env: vec![],
            folder: Some(self.folder.clone()),
            folders: vec![],
            files: vec![],
            output: Output::Log,
            stop: StopRequest::default(),
        })
    }

    fn start_driver(&self, session: &Session) -> Result<Arc<Driver>, String> {
        let nodes: Vec<(String, String)> =
            session.layout.nodes.iter().map(|place| (place.id.clone(), place.ports["client"].advertise.to_string())).collect();
        let options = serde_json::to_value(&self.text.options).map_err(|e| format!("options: {e}"))?;
        let first = protocol::first_line(&nodes, &options);
        Driver::start(&self.driver_spec()?, first, &*session.helpers, session.mistaken.clone())
    }

    /// Returns the index of a node in the layout.
    fn index(layout: &Layout, node: &NodeSpec) -> usize {
        layout.nodes.iter().position(|place| place.id == node.name).unwrap_or(0)
    }

    fn leads(&self, words: &[String], layout: &Layout, node: usize) -> Result<bool, String> {
        let ports = self.text.ports();
        let words = words.iter().map(|word| filled(word, &ports, layout, node)).collect::<Result<Vec<_>, _>>()?;
        command::run(&words, &self.folder, COMMAND_TIMEOUT).map(|ran| ran.status.success())
    }
}

impl System for External {
    fn name(&self) -> &str {
        &self.text.name
    }

    fn program(&self) -> Result<PathBuf, String> {
        if let Some(attach) = &self.text.attach {
            attach::check_programs(attach, &self.folder)?;
            let driver = self.driver_spec()?;
            return driver.program.ok_or_else(|| "driver is empty".to_owned());
        }
        let first = self.text.process.first().and_then(|process| process.start.first()).ok_or("the plan starts no process")?;
        program_at(first, &self.folder)
    }

    fn version(&self) -> Option<String> {
        let ran = command::run(&self.text.version.list(), &self.folder, COMMAND_TIMEOUT).ok()?;
        ran.output.lines().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned())
    }

    fn nodes(&self, site: &Site<'_>) -> Result<Vec<NodeSpec>, String> {
        // Report a missing driver before any process is started.
        self.driver_spec()?;
        let (layout, specs) = match &self.text.attach {
            Some(attach) => {
                let layout = Arc::new(attach::layout(attach, site, &self.folder)?);
                let specs = attach::specs(site, &layout);
                (layout, specs)
            }
            None => {
                let layout = Arc::new(nodes::layout(&self.text, site, &self.folder)?);
                let specs = nodes::specs(&self.text, site, &layout, &self.folder)?;
                (layout, specs)
            }
        };
        *self.locked() = Some(Session { layout, mistaken: site.mistaken.clone(), helpers: site.helpers.clone(), driver: Weak::new() });
        Ok(specs)
    }

    fn await_ready(&self, node: &NodeSpec, process: &mut dyn Process, within: Duration) -> Result<BTreeMap<String, Json>, NotReady> {
        let session = self.session()?;
        let index = Self::index(&session.layout, node);
        ready::wait(&self.text, &session.layout, index, &self.folder, process, within)?;
        Ok(BTreeMap::new())
    }

    fn is_ready(&self, node: &NodeSpec) -> bool {
        if let Some(attached) = self.attached() {
            return attached.check(node).is_ok();
        }
        self.session().is_ok_and(|session| ready::now(&self.text, &session.layout, Self::index(&session.layout, node), &self.folder))
    }

    fn connect(&self, target: &Target, _name: String, _codec: ValueCodec) -> Rc<dyn Connection> {
        let session = self.session().ok();
        let driver = session.as_ref().and_then(|session| session.driver.upgrade());
        // A cluster that was not started for this run may hold keys of an earlier one.
        let prefix = session.filter(|_| self.text.attach.is_some()).map(|session| format!("{}-", session.layout.cluster));
        Rc::new(DriverConnection::new(driver, target.node.name(), prefix.unwrap_or_default()))
    }

    fn settings(&self) -> toml::Table {
        self.given.clone()
    }

    fn takeover(&self) -> Nanos {
        self.text.failover.map_or(Nanos(0), heckle_system_api::units::Span::nanos)
    }

    fn final_reads(&self) -> FinalReads {
        match self.text.reads {
            Reads::Any => FinalReads::EveryNode,
            Reads::Primary => FinalReads::Role(LEADER.name),
            Reads::None => FinalReads::None,
        }
    }

    fn carries_payloads(&self) -> bool {
        false
    }

    fn links(&self) -> Links {
        Links::Bytes
    }

    fn attached(&self) -> Option<&dyn Attached> {
        self.text.attach.as_ref().map(|_| self as &dyn Attached)
    }

    fn roles(&self) -> Option<&dyn Roles> {
        (self.text.leader != Leader::Unknown).then_some(self)
    }

    fn watch(&self, _nodes: &[NodeSpec], events: &Arc<dyn NodeEvents>) -> Result<Option<Box<dyn Watch>>, String> {
        let session = self.session()?;
        let driver = self.start_driver(&session)?;
        if let Some(session) = self.locked().as_mut() {
            session.driver = Arc::downgrade(&driver);
        }
        Ok(Some(Box::new(DriverOfRun { driver, events: events.clone(), node: session.layout.nodes[0].id.clone() })))
    }
}

impl External {
    fn attach_text(&self) -> Result<&AttachText, String> {
        self.text.attach.as_ref().ok_or_else(|| format!("{} is not attached to", self.text.name))
    }

    fn run_for(&self, node: &NodeSpec, signal: Signal, deed: Deed) -> Result<(), String> {
        let session = self.session()?;
        attach::run(self.attach_text()?, signal, deed, &session.layout, Self::index(&session.layout, node), &self.folder)
    }
}

impl Attached for External {
    fn nodes(&self) -> u16 {
        self.text.attach.as_ref().map_or(0, |attach| u16::try_from(attach.nodes.len()).unwrap_or(u16::MAX))
    }

    fn lacks(&self, signal: Signal) -> Option<&'static str> {
        self.text.attach.as_ref().and_then(|attach| attach::lacks(attach, signal))
    }

    fn inflict(&self, signal: Signal, node: &NodeSpec) -> Result<(), String> {
        self.run_for(node, signal, Deed::Inflict)
    }

    fn undo(&self, signal: Signal, node: &NodeSpec) -> Result<(), String> {
        self.run_for(node, signal, Deed::Undo)
    }

    fn check(&self, node: &NodeSpec) -> Result<(), String> {
        let session = self.session()?;
        attach::check(self.attach_text()?, &session.layout, Self::index(&session.layout, node), &self.folder)
    }
}

impl Roles for External {
    fn all(&self) -> &'static [Role] {
        &[LEADER]
    }

    fn find(&self, role: &str, running: &[(NodeIx, NodeSpec)]) -> Result<(NodeIx, String), String> {
        if role != LEADER.name {
            return Err(format!("no node of {} is a `{role}`; there is: leader", self.text.name));
        }
        let session = self.session()?;
        let found = match &self.text.leader {
            Leader::Unknown => return Err(format!("nothing says who leads {}", self.text.name)),
            Leader::Driver(_) => {
                let name = session.driver.upgrade().ok_or("the driver does not run")?.leader()?;
                running
                    .iter()
                    .find(|(_, node)| node.name == name)
                    .ok_or_else(|| format!("the driver says that {name} leads, which does not run"))?
            }
            Leader::Command(words) => {
                let mut leader = None;
                for node in running {
                    if self.leads(words, &session.layout, Self::index(&session.layout, &node.1))? {
                        leader = Some(node);
                        break;
                    }
                }
                leader.ok_or("the leader command says of no node that it leads")?
            }
        };
        Ok((found.0, LEADER.about.to_owned()))
    }
}

/// Keeps the driver alive for the duration of a run.
struct DriverOfRun {
    driver: Arc<Driver>,
    events: Arc<dyn NodeEvents>,
    node: String,
}

impl Watch for DriverOfRun {
    fn group_of(&self, _key: &str) -> u16 {
        0
    }

    fn holder_of(&self, _group: u16, _now: Nanos) -> Option<NodeIx> {
        None
    }

    fn finish(&self) {
        let counts = self.driver.counts();
        let figures = [("late_answers", counts.late), ("malformed_answers", counts.malformed), ("unanswered", counts.silent)];
        let mut detail: BTreeMap<String, Json> = figures.into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
        detail.insert("driver".into(), self.driver.name().into());
        self.events.record(&self.node, "driver", detail);
        self.driver.finish();
    }
}
