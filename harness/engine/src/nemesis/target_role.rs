//! Which node has a role now: asked of the system when a fault begins that is aimed at the role.

use crate::cluster::{Cluster, Evidence};
use heckle_faults::Node;
use heckle_history::NodeIx;

/// The node that has this role, and how it was chosen.
///
/// # Errors
/// If no node answers, or the system has no such role.
pub(super) fn find(cluster: &Cluster, role: &str) -> Result<(Node, Evidence), String> {
    let roles = cluster.system().roles().ok_or_else(|| format!("the nodes of {} have no roles", cluster.system().name()))?;
    let running: Vec<_> = (0..cluster.size()).filter_map(|i| Some((NodeIx(i), cluster.spec_if_free(Node(i + 1))?))).collect();
    let (node, how) = roles.find(role, &running)?;
    Ok((Node(node.0 + 1), [("aimed_at".to_owned(), how.into())].into()))
}
