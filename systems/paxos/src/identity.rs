//! The bundled server's own words for who a node is, and its control channel, which only that node may answer.

use heckle_server::client_protocol::{ExpectedNode, FolderId, Identity};
use heckle_server::control::{Client, ControlError};
use heckle_system_api::identity::NodeIdentity;
use std::net::SocketAddr;
use std::time::Duration;

/// Whom a hello must name, and a welcome come from.
pub(crate) fn expected(node: &NodeIdentity) -> ExpectedNode {
    ExpectedNode { cluster: Some(node.cluster().to_owned()), node: Some(node.name().to_owned()), folder: node.data().map(FolderId) }
}

/// Takes what the node's own process said of itself when it was ready.
///
/// # Errors
/// If it is another node, or another folder than before.
pub(crate) fn learn(node: &NodeIdentity, told: &Identity) -> Result<(), String> {
    let known = node.remember_data(told.folder.0);
    if expected(node).is(told) && known == told.folder.0 {
        return Ok(());
    }
    Err(format!("it says that it is {told} with data folder {}, not {}", told.folder, expected(node)))
}

/// The node's control channel, after making sure that it is the node's. Anything else there ends the run.
///
/// # Errors
/// Why there is none.
pub fn control(node: &NodeIdentity, addr: SocketAddr, within: Duration) -> Result<Client, String> {
    Client::connect_to(addr, within, &expected(node)).map_err(|error| match error {
        ControlError::Mistaken { found, .. } => node.stranger(addr, &found.to_string()),
        ControlError::Malformed { .. } => node.stranger(addr, &format!("something that does not speak the control protocol ({error})")),
        // The node itself refuses where too many ask at once.
        ControlError::Refused { .. } | ControlError::Io { .. } => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_system_api::identity::Mistaken;
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_node_is_known_by_cluster_name_and_the_folder_it_named_first() {
        let ended = Arc::new(Mutex::new(vec![]));
        let mistaken = {
            let ended = ended.clone();
            Mistaken::new(move |why| ended.lock().expect("no test panics here").push(why))
        };
        let node = NodeIdentity::new("c", "n1", mistaken);
        let told = |cluster: &str, node: &str, folder| Identity { cluster: cluster.into(), node: node.into(), folder: FolderId(folder) };
        assert!(expected(&node).is(&told("c", "n1", 7)), "any folder, before it has named one");
        assert!(learn(&node, &told("c", "n1", 7)).is_ok() && learn(&node, &told("c", "n1", 7)).is_ok());
        for other in [told("c", "n1", 8), told("c", "n2", 7), told("d", "n1", 7)] {
            assert!(!expected(&node).is(&other));
            assert!(learn(&node, &other).expect_err("another").contains("n1 of cluster c with data folder 0000000000000007"));
        }
        assert!(ended.lock().expect("no test panics here").is_empty());
        let said = node.stranger("127.3.7.1:12004".parse().expect("an address"), &told("X", "n1", 9).to_string());
        assert_eq!(said, "127.3.7.1:12004, where n1 should be, is answered by n1 of cluster X");
        assert_eq!(*ended.lock().expect("no test panics here"), [format!("{said}; nothing was sent to it")]);
    }
}
