//! Finds the node that currently has a role, by querying the system when a fault aimed at that role begins.

use crate::cluster::{Cluster, Evidence};
use heckle_faults::Node;

/// Returns the node that has this role, and how it was chosen.
///
/// # Errors
/// If no node answers, or the system has no such role.
pub(super) fn find(cluster: &Cluster, role: &str) -> Result<(Node, Evidence), String> {
    let (node, how) = cluster.find_role(role)?;
    Ok((node, [("aimed_at".to_owned(), how.into())].into()))
}
