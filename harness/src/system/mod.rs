//! How the harness talks to a system under test. To add one: a launcher in `cluster`, and an adapter here that
//! sends each op once, never retries by itself, and tells apart what is proved from what is not; then its line in
//! [`System`], whose matches lead to the rest.

pub mod bundled;
#[cfg(feature = "etcd")]
pub mod etcd;
pub mod target; // where a node is reached, and who must answer there
pub mod value; // a value's bytes

use heckle_faults::{Control, FaultKind, Role, registry};
use heckle_history::{Call, Diagnostics, Fate, OpId, Path, ProcessId, Seen};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use target::Target;
use value::ValueCodec;

/// A system that can be tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// The Paxos server of this workspace.
    Bundled,
    /// etcd, of the system's own package.
    #[cfg(feature = "etcd")]
    Etcd,
}

/// Why etcd is not there, and what to do.
pub const NO_ETCD: &str = "this heckle was built without etcd: build it with `cargo build --release --features etcd` \
    (which needs protoc; Debian and Ubuntu: apt-get install etcd-server protobuf-compiler libprotobuf-dev)";

impl System {
    /// Names, the default first.
    pub const NAMES: &[&str] = &["bundled", "etcd"];

    /// The system of that name, one of [`System::NAMES`].
    ///
    /// # Errors
    /// How to build it in.
    pub fn named(name: &str) -> Result<System, String> {
        match name {
            #[cfg(feature = "etcd")]
            "etcd" => Ok(System::Etcd),
            #[cfg(not(feature = "etcd"))]
            "etcd" => Err(format!("system = `etcd`: {NO_ETCD}")),
            _ => Ok(System::Bundled),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            System::Bundled => "bundled",
            #[cfg(feature = "etcd")]
            System::Etcd => "etcd",
        }
    }

    /// A connection to one of its nodes, opened when it is first needed.
    pub fn connect(self, target: &Target, name: String, codec: ValueCodec) -> Rc<dyn Connection> {
        match self {
            System::Bundled => Rc::new(bundled::BundledConnection::new(target.clone(), name, codec)),
            #[cfg(feature = "etcd")]
            System::Etcd => Rc::new(etcd::EtcdConnection::new(target.addr, codec)),
        }
    }

    /// Whether it has a way past Paxos for reads and writes.
    pub fn has_cheap_path(self) -> bool {
        match self {
            System::Bundled => true,
            #[cfg(feature = "etcd")]
            System::Etcd => false,
        }
    }

    /// Whether its links can pass the relay, which works on whole frames of the bundled server's protocol.
    pub fn can_be_relayed(self) -> bool {
        match self {
            System::Bundled => true,
            #[cfg(feature = "etcd")]
            System::Etcd => false,
        }
    }

    /// The roles of nodes at which faults can be aimed.
    pub fn roles(self) -> &'static [Role] {
        match self {
            System::Bundled => &[bundled::HOLDER, bundled::COORDINATOR],
            #[cfg(feature = "etcd")]
            System::Etcd => &[],
        }
    }

    /// Whether faults of a kind can be injected: what the kind needs is in the harness's hand, and its role is one of the system's.
    pub fn suffers(self, kind: &FaultKind) -> bool {
        let controls = |control: &Control| match control {
            Control::Processes => true,
            Control::Links => self.can_be_relayed(),
            Control::Clocks => self == System::Bundled,
        };
        let has = |role| self.roles().iter().any(|known| known.name == role);
        kind.needs().control.iter().all(controls) && kind.role().is_none_or(has)
    }

    /// Every kind of fault that can be injected.
    pub fn fault_kinds(self) -> Vec<FaultKind> {
        registry::all(self.roles()).into_iter().filter(|kind| self.suffers(kind)).collect()
    }
}

/// One op, as an adapter is asked to send it.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Its id in the history.
    pub op: OpId,
    /// Who asks; never has two ops open.
    pub process: ProcessId,
    /// The key's name.
    pub key: std::sync::Arc<str>,
    /// What is asked.
    pub call: Call,
    /// Which way it takes, in a system that has two.
    pub path: Path,
    /// What rides beside the value it writes.
    pub payload: Option<i64>,
    /// What rides beside the value a CAS expects.
    pub expected_payload: Option<i64>,
    /// When the client gives up.
    pub timeout: Duration,
}

/// A question about an op of unknown outcome, sent through any connection.
#[derive(Debug, Clone)]
pub struct Question {
    /// What the system calls the op: the `op_id` that its answer's diagnostics told.
    pub id: Box<str>,
    /// The key's name.
    pub key: std::sync::Arc<str>,
    /// No other question or process of the run has this number.
    pub number: u64,
    /// When the asker gives up.
    pub timeout: Duration,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What is known.
    pub known: Known,
    /// What came beside the value that was seen.
    pub payload: Option<i64>,
    /// Why, where it is not an ok.
    pub reason: Option<Box<str>>,
    /// What the coordinator told of its way.
    pub diagnostics: Option<Box<Diagnostics>>,
}

/// What an adapter may claim. When in doubt: unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Known {
    /// It happened, and saw this.
    Ok(Seen),
    /// It is proved not to have happened.
    NotApplied,
    /// It may have happened, or may still.
    Unknown,
}

/// One client connection.
pub trait Connection {
    /// Sends one op and waits for its answer or its timeout.
    fn call(&self, ask: Ask) -> Pin<Box<dyn Future<Output = Answer> + '_>>;

    /// Asks what became of an op; none without an answer in time. A system that cannot tell gives its ops no id, and
    /// is not asked.
    fn fate(&self, question: Question) -> Pin<Box<dyn Future<Output = Option<Fate>> + '_>> {
        let _ = question;
        Box::pin(std::future::ready(None))
    }
}
