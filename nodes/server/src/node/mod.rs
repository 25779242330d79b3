//! Starting and stopping a node: as a separate process ([`run_node`]) or inside another program ([`Node::start`]).

mod error;
mod lifecycle;
mod process;
mod stop;

use std::net::SocketAddr;
use std::thread::JoinHandle;

use serde::Serialize;

use crate::client_protocol::FolderId;
use crate::control::ControlToken;
use crate::log::Logger;
use crate::options::NodeOptions;

pub use error::{EXIT_DATA, EXIT_DISK, EXIT_FAILED, EXIT_USAGE, NodeError};
#[cfg(test)]
pub(crate) use lifecycle::prepare;
pub use process::run_node;
pub(crate) use stop::Stopper;

/// Whether the node is alone in its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hosting {
    /// The node is alone: a failed disk ends the process immediately, and a crash failpoint kills it.
    Process,
    /// The node shares its process: a failed disk or a crash failpoint ends only the node's threads.
    Thread,
}

/// The line that a node prints when it is ready. Also available from a [`NodeHandle`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ready {
    /// Always true. Readers search for this field.
    pub ready: bool,
    /// Name of the node.
    pub node: String,
    /// Name of its cluster.
    pub cluster: String,
    /// Id of its data folder.
    pub folder: FolderId,
    /// Incarnation: sequence number of this process among the node's processes.
    pub incarnation: u32,
    /// Process id.
    pub pid: u32,
    /// Address for clients.
    pub client: SocketAddr,
    /// Address for other nodes.
    pub peer: SocketAddr,
    /// Address of the control channel.
    pub control: SocketAddr,
    /// The token of the control channel. It is not printed.
    #[serde(skip)]
    pub control_token: ControlToken,
    /// Address that answers `GET /metrics`, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
}

/// Entry point for a node inside another program.
#[derive(Debug)]
pub struct Node;

impl Node {
    /// Starts a node in its own threads and waits until it is ready.
    ///
    /// # Errors
    /// Returns any error that keeps the node from getting ready.
    pub fn start(options: NodeOptions) -> Result<NodeHandle, NodeError> {
        let stopper = Stopper::default();
        let log = Logger::to_memory(options.id);
        let (sender, receiver) = std::sync::mpsc::channel();
        let (theirs, their_log) = (stopper.clone(), log.clone());
        let run = move || {
            let on_ready = |ready: &Ready| drop(sender.send(ready.clone()));
            lifecycle::run(options, their_log, theirs, Hosting::Thread, on_ready)
        };
        let thread = std::thread::Builder::new().name("node".to_owned()).spawn(run);
        let thread = thread.map_err(|cause| NodeError::Io { what: "thread for a node", cause })?;
        match receiver.recv() {
            Ok(ready) => Ok(NodeHandle { ready, stopper, log, thread: Some(thread) }),
            // The node ended before it was ready, so its thread returned an error.
            Err(_) => match thread.join() {
                Ok(Err(error)) => Err(error),
                Ok(Ok(())) | Err(_) => Err(NodeError::Panicked),
            },
        }
    }
}

/// A node that runs inside this program. Dropping the handle ends the node as if it had been killed.
#[derive(Debug)]
pub struct NodeHandle {
    ready: Ready,
    stopper: Stopper,
    log: Logger,
    thread: Option<JoinHandle<Result<(), NodeError>>>,
}

impl NodeHandle {
    /// The node's addresses and incarnation.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Whether the node is still running.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// The newest lines of the node's log.
    pub fn log_lines(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Stops the node cleanly: open operations get time to finish, and everything is made durable.
    ///
    /// # Errors
    /// Fails if the node had already failed, or fails while stopping.
    pub fn stop(mut self) -> Result<(), NodeError> {
        self.stopper.stop();
        self.join()
    }

    /// Ends the node as a SIGKILL would: it writes and sends nothing more.
    pub fn kill(mut self) {
        self.kill_keeping_handle();
    }

    /// Like [`kill`](NodeHandle::kill), but keeps the handle with its log and addresses.
    pub fn kill_keeping_handle(&mut self) {
        self.stopper.kill();
        let _ = self.join();
    }

    /// Waits until the node ends of its own accord.
    ///
    /// # Errors
    /// Fails if the node failed.
    pub fn wait(mut self) -> Result<(), NodeError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), NodeError> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(NodeError::Panicked),
            None => Ok(()),
        }
    }
}

impl Drop for NodeHandle {
    fn drop(&mut self) {
        self.kill_keeping_handle();
    }
}
