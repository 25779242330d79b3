//! The identity of a node in terms of the bundled server, and its control channel, on which only that node may
//! answer.

use heckle_server::client_protocol::{ExpectedNode, FolderId, Identity};
use heckle_server::control::{Client, ControlError};
use heckle_system_api::identity::NodeIdentity;
use heckle_system_api::launch::NodeSpec;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// The identity named in a hello and required in a welcome.
pub(crate) fn expected(node: &NodeIdentity) -> ExpectedNode {
    ExpectedNode { cluster: Some(node.cluster().to_owned()), node: Some(node.name().to_owned()), folder: node.data().map(FolderId) }
}

/// Checks and stores the identity that the node's own process reported on becoming ready.
///
/// # Errors
/// Fails if it belongs to another node, or names a different folder than before.
pub(crate) fn record_identity(node: &NodeIdentity, reported: &Identity) -> Result<(), String> {
    let known = node.remember_data(reported.folder.0);
    if expected(node).is(reported) && known == reported.folder.0 {
        return Ok(());
    }
    Err(format!("it says that it is {reported} with data folder {}, not {}", reported.folder, expected(node)))
}

/// Opens the node's control channel and checks that the node answers. If another program does, the run ends.
///
/// # Errors
/// Says why it could not be opened.
pub fn control(node: &NodeIdentity, addr: SocketAddr, within: Duration) -> Result<Client, String> {
    Client::connect_to(addr, within, &expected(node)).map_err(|error| match error {
        ControlError::Mistaken { found, .. } => node.report_stranger(addr, &found.to_string()),
        ControlError::Malformed { .. } => {
            node.report_stranger(addr, &format!("something that does not speak the control protocol ({error})"))
        }
        // The node itself may refuse, if there are too many clients.
        ControlError::Refused { .. } | ControlError::Io { .. } | ControlError::Token { .. } => error.to_string(),
    })
}

/// The same, but also authorizes the connection to change and follow the node, with the token in the node's data
/// folder.
///
/// # Errors
/// Says why it could not be opened, or why the token could not be read.
pub(crate) fn control_with_token(node: &NodeSpec, within: Duration) -> Result<Client, String> {
    let mut client = control(&node.node, node.ask, within)?;
    let data = data_folder(node).ok_or("the command of the node names no data folder")?;
    client.authorize_from(data).map_err(|e| e.to_string())?;
    Ok(client)
}

/// The data folder named in a node's command line.
fn data_folder(node: &NodeSpec) -> Option<&Path> {
    let args = &node.processes.first()?.args;
    args.iter().position(|arg| arg == "--data").and_then(|at| args.get(at + 1)).map(Path::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_system_api::identity::Mistaken;
    use std::sync::{Arc, Mutex};

    #[test]
    fn identity_is_cluster_name_and_first_folder() {
        let ended = Arc::new(Mutex::new(vec![]));
        let mistaken = {
            let ended = ended.clone();
            Mistaken::new(move |why| ended.lock().expect("no test panics here").push(why))
        };
        let node = NodeIdentity::new("c", "n1", mistaken);
        let reported =
            |cluster: &str, node: &str, folder| Identity { cluster: cluster.into(), node: node.into(), folder: FolderId(folder) };
        assert!(expected(&node).is(&reported("c", "n1", 7)), "any folder, before it has named one");
        assert!(record_identity(&node, &reported("c", "n1", 7)).is_ok() && record_identity(&node, &reported("c", "n1", 7)).is_ok());
        for other in [reported("c", "n1", 8), reported("c", "n2", 7), reported("d", "n1", 7)] {
            assert!(!expected(&node).is(&other));
            assert!(record_identity(&node, &other).expect_err("another").contains("n1 of cluster c with data folder 0000000000000007"));
        }
        assert!(ended.lock().expect("no test panics here").is_empty());
        let said = node.report_stranger("127.3.7.1:12004".parse().expect("an address"), &reported("X", "n1", 9).to_string());
        assert_eq!(said, "127.3.7.1:12004, where n1 should be, is answered by n1 of cluster X");
        assert_eq!(*ended.lock().expect("no test panics here"), [format!("{said}; nothing was sent to it")]);
    }
}
