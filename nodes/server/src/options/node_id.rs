//! Names of nodes.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Number of a node in its cluster, written `n1`, `n2`, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NodeId(u16);

/// Maximum number of nodes in a cluster. More voters only make Paxos slower.
pub const MAX_NODES: u16 = 64;

impl NodeId {
    /// Creates the id of the node with this number.
    ///
    /// # Errors
    /// Fails if the number is not within `1..=`[`MAX_NODES`].
    pub fn new(number: u16) -> Result<NodeId, NodeIdError> {
        if (1..=MAX_NODES).contains(&number) { Ok(NodeId(number)) } else { Err(NodeIdError::Number { number }) }
    }

    /// The number of the node.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl FromStr for NodeId {
    type Err = NodeIdError;

    fn from_str(text: &str) -> Result<NodeId, NodeIdError> {
        let number = text.strip_prefix('n').and_then(|digits| digits.parse::<u16>().ok());
        number.ok_or_else(|| NodeIdError::Name { text: text.to_owned() }).and_then(NodeId::new)
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> String {
        id.to_string()
    }
}

impl TryFrom<String> for NodeId {
    type Error = NodeIdError;

    fn try_from(text: String) -> Result<NodeId, NodeIdError> {
        text.parse()
    }
}

/// Why a number or a text is not a valid node id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeIdError {
    /// The node number is out of range.
    #[error("node number {number} is not within 1..={MAX_NODES}")]
    Number {
        /// The number given.
        number: u16,
    },
    /// The text is not a node name.
    #[error("{text:?} is not the name of a node: write n1, n2, ...")]
    Name {
        /// The text given.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_names_round_trip() {
        assert_eq!("n12".parse::<NodeId>().unwrap().to_string(), "n12");
        for bad in ["", "n", "n0", "n65", "12", "N1", "n-1", "n99999"] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad:?}");
        }
    }
}
