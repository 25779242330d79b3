//! `heckle driver check`: runs a driver against nodes that each misbehave in one known way. The driver must not claim more than it can
//! know: a `fail` for an operation that may have happened makes a correct system look wrong.

mod cases; // what each case requires of a driver
mod fake; // nodes that refuse, stay silent, or swallow answers

use crate::driver::Driver;
use crate::nodes::program_at;
use crate::protocol;
use heckle_history::{Call, OpId, Path as OpPath, ProcessId, Value};
use heckle_system_api::connection::{Op, Reply};
use heckle_system_api::identity::Mistaken;
use heckle_system_api::process::{Helpers, Output, ProcessSpec, StopRequest};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Timeout for the operations of a case.
const TIMEOUT: Duration = Duration::from_millis(600);

/// What to check.
#[derive(Debug, Clone)]
pub struct CheckJob {
    /// The driver's command.
    pub command: Vec<String>,
    /// The folder in which it runs.
    pub folder: PathBuf,
    /// Client address of a working node, for the cases that need one.
    pub node: Option<SocketAddr>,
}

/// Result of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// Name of the case.
    pub name: &'static str,
    /// `Ok` with the observation, or the reason why the driver was refused or the case was skipped.
    pub result: Result<String, CaseError>,
}

/// Why a case did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseError {
    /// The driver did something it must not do.
    Refused(String),
    /// The case could not be run.
    LeftOut(String),
}

fn refused<T>(what: impl Into<String>) -> Result<T, CaseError> {
    Err(CaseError::Refused(what.into()))
}

type Case = (&'static str, fn(&Bench<'_>) -> Result<String, CaseError>);

/// The cases, in order. A refused case does not prevent the others from running.
const CASES: &[Case] = &[
    ("introduces itself", cases::introduces_itself),
    ("node refuses connections", cases::refusing_node),
    ("node is silent", cases::silent_node),
    ("two clients at once", cases::two_clients),
    ("driver killed", cases::driver_killed),
    ("input ends", cases::input_ends),
    ("null key", cases::null_key),
    ("condition refused", cases::condition_refused),
    ("acknowledgement withheld after the write", cases::withheld),
];

/// Runs all cases.
pub fn check(job: &CheckJob, helpers: &dyn Helpers) -> Vec<CaseResult> {
    let bench = Bench { job, helpers };
    CASES.iter().map(|(name, case)| CaseResult { name, result: case(&bench) }).collect()
}

struct Bench<'a> {
    job: &'a CheckJob,
    helpers: &'a dyn Helpers,
}

/// A running driver, with nodes chosen by the check.
struct DriverUnderTest {
    driver: Arc<Driver>,
    runtime: tokio::runtime::Runtime,
    broke: Arc<Mutex<Option<String>>>,
}

impl Bench<'_> {
    fn start(&self, nodes: &[(&str, SocketAddr)]) -> Result<DriverUnderTest, CaseError> {
        let (program, args) = self.job.command.split_first().ok_or_else(|| CaseError::Refused("there is no command".into()))?;
        let program = program_at(program, &self.job.folder).map_err(CaseError::Refused)?;
        let spec = ProcessSpec {
            name: "driver".into(),
            program: Some(program),
            args: args.iter().map(Into::into).collect(),
            env: vec![],
            folder: Some(self.job.folder.clone()),
            folders: vec![],
            files: vec![],
            output: Output::Log,
            stop: StopRequest::default(),
        };
        let broke = Arc::<Mutex<Option<String>>>::default();
        let noted = broke.clone();
        let mistaken = Mistaken::new(move |why| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        });
        let nodes: Vec<(String, String)> = nodes.iter().map(|(name, addr)| ((*name).to_owned(), addr.to_string())).collect();
        let first = protocol::first_line(&nodes, &serde_json::json!({}));
        let driver = Driver::start(&spec, first, self.helpers, mistaken).map_err(CaseError::Refused)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| CaseError::LeftOut(format!("cannot start a runtime: {e}")))?;
        Ok(DriverUnderTest { driver, runtime, broke })
    }

    fn node(&self) -> Result<SocketAddr, CaseError> {
        self.job.node.ok_or_else(|| CaseError::LeftOut("needs a node that works: --node ADDRESS".into()))
    }
}

impl DriverUnderTest {
    fn call(&self, client: u64, node: &str, call: Call, timeout: Duration) -> Reply {
        self.runtime.block_on(self.driver.call(client, node, &op(call, timeout)))
    }

    /// Returns the calls that the driver supports, one of each.
    fn calls(&self) -> Vec<Call> {
        let all = [Call::Read, Call::Write { new: Value(1) }, Call::Cas { expected: None, new: Value(2) }];
        all.into_iter().filter(|call| self.driver.has(protocol::call_name(*call))).collect()
    }

    /// Returns `seen`, or refuses the driver if it broke the protocol.
    fn whole(&self, seen: String) -> Result<String, CaseError> {
        match self.broke.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(why) => refused(why),
            None => Ok(seen),
        }
    }
}

fn op(call: Call, timeout: Duration) -> Op {
    Op {
        id: OpId(0),
        process: ProcessId(0),
        key: Arc::from(key()),
        call,
        path: OpPath::Consensus,
        payload: None,
        expected_payload: None,
        timeout,
    }
}

/// Returns a key that no other check on this machine has used.
fn key() -> String {
    format!("heckle-check-{}", std::process::id())
}
