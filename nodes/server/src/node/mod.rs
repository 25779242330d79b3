//! Starting and ending a node: as a process of its own ([`run_node`]) or inside another program ([`Node::start`]).

mod error;
mod life;
mod process;
mod stop;

use std::net::SocketAddr;
use std::thread::JoinHandle;

use serde::Serialize;

use crate::client_protocol::FolderId;
use crate::log::Logger;
use crate::options::NodeOptions;

pub use error::{EXIT_DATA, EXIT_DISK, EXIT_FAILED, EXIT_USAGE, NodeError};
#[cfg(test)]
pub(crate) use life::prepare;
pub use process::run_node;
pub(crate) use stop::Stopper;

/// Whether the node has the process for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hosting {
    /// A failed disk ends the process at once, and a crash failpoint kills it.
    Process,
    /// Both end the node's threads only.
    Thread,
}

/// What a node prints when it is ready, and what a [`NodeHandle`] knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ready {
    /// Always true; a reader looks for it.
    pub ready: bool,
    /// Name of the node.
    pub node: String,
    /// Name of its cluster.
    pub cluster: String,
    /// Its data folder.
    pub folder: FolderId,
    /// Number of this process among those of the node.
    pub incarnation: u32,
    /// Process id.
    pub pid: u32,
    /// Where clients connect.
    pub client: SocketAddr,
    /// Where other nodes connect.
    pub peer: SocketAddr,
    /// The control channel.
    pub control: SocketAddr,
    /// Where `GET /metrics` is answered, if anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
}

/// Entry point for a node inside another program.
#[derive(Debug)]
pub struct Node;

impl Node {
    /// Starts a node in threads of its own and waits until it is ready.
    ///
    /// # Errors
    /// Whatever keeps it from being ready.
    pub fn start(options: NodeOptions) -> Result<NodeHandle, NodeError> {
        let stopper = Stopper::default();
        let log = Logger::to_memory(options.id);
        let (sender, receiver) = std::sync::mpsc::channel();
        let (theirs, their_log) = (stopper.clone(), log.clone());
        let run = move || {
            let on_ready = |ready: &Ready| drop(sender.send(ready.clone()));
            life::live(options, their_log, theirs, Hosting::Thread, on_ready)
        };
        let thread = std::thread::Builder::new().name("node".to_owned()).spawn(run);
        let thread = thread.map_err(|cause| NodeError::Io { what: "thread for a node", cause })?;
        match receiver.recv() {
            Ok(ready) => Ok(NodeHandle { ready, stopper, log, thread: Some(thread) }),
            // It ended before it was ready, so it has an error to tell.
            Err(_) => match thread.join() {
                Ok(Err(error)) => Err(error),
                Ok(Ok(())) | Err(_) => Err(NodeError::Panicked),
            },
        }
    }
}

/// A node that runs inside this program. Dropping it ends the node as if it was killed.
#[derive(Debug)]
pub struct NodeHandle {
    ready: Ready,
    stopper: Stopper,
    log: Logger,
    thread: Option<JoinHandle<Result<(), NodeError>>>,
}

impl NodeHandle {
    /// Its addresses and incarnation.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// The newest lines of its log.
    pub fn log_lines(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Stops it cleanly: open operations may end, everything is made durable.
    ///
    /// # Errors
    /// If it had failed before, or fails while stopping.
    pub fn stop(mut self) -> Result<(), NodeError> {
        self.stopper.stop();
        self.join()
    }

    /// Ends it as a SIGKILL would: nothing more is written or sent.
    pub fn kill(mut self) {
        self.end_as_killed();
    }

    /// As [`kill`](NodeHandle::kill), but leaves the handle with its log and addresses.
    pub fn end_as_killed(&mut self) {
        self.stopper.kill();
        let _ = self.join();
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// If it failed.
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
        self.end_as_killed();
    }
}
