//! Targets of faults: nodes, links, or the node that holds a role when the fault starts.

use std::fmt;
use std::str::FromStr;

/// A node, identified by its number from 1: `n1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub u16);

/// One end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// A node.
    Node(Node),
    /// All clients together.
    Clients,
}

/// A directed link, which carries frames in one direction; written `n1>n2` or `clients>n1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The sender.
    pub from: End,
    /// The receiver.
    pub to: End,
}

/// A role that one node holds at a time, such as *coordinator*. The system under test defines its roles and reports
/// which node holds a role when a fault starts. This crate knows no role by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    /// Name used in plans, after the colon, as in `kill:coordinator`.
    pub name: &'static str,
    /// Short description of the node that holds the role: "the busiest coordinator".
    pub about: &'static str,
}

/// The target of one fault.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// These nodes. A link fault affects every node link that starts or ends at one of them.
    Nodes(Vec<Node>),
    /// The links between different groups; written `n1`, `n2|n3`.
    Groups(Vec<Vec<Node>>),
    /// Exactly these links.
    Links(Vec<Link>),
    /// The node that holds this role when the fault starts.
    Role(Box<str>),
    /// The node that reached the point at which the fault starts. Written `sender`.
    Sender,
}

/// The word for [`Target::Sender`].
pub const SENDER: &str = "sender";

/// The form of targets that a kind of fault accepts. It determines how the targets of a schedule file are parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetShape {
    /// One node.
    OneNode,
    /// One or more nodes.
    SomeNodes,
    /// Every node of the cluster, regardless of the targets in the file.
    EveryNode,
    /// Links, or all links of some nodes.
    Links,
    /// Links, or groups of nodes that are separated from one another.
    Cut,
}

/// Returns all nodes of a cluster of `nodes` nodes.
pub fn all_nodes(nodes: u16) -> Vec<Node> {
    (1..=nodes).map(Node).collect()
}

/// Returns all directed links between `nodes` nodes.
pub fn node_links(nodes: u16) -> Vec<Link> {
    let pairs = (1..=nodes).flat_map(|a| (1..=nodes).map(move |b| (a, b)));
    pairs.filter(|(a, b)| a != b).map(|(a, b)| Link::between(Node(a), Node(b))).collect()
}

/// The links between clients and `node`, both ways.
pub(crate) fn client_links(node: Node) -> [Link; 2] {
    let node = End::Node(node);
    [Link { from: End::Clients, to: node }, Link { from: node, to: End::Clients }]
}

/// The links on which the other nodes send to `node`.
pub fn links_to(node: Node, nodes: u16) -> Vec<Link> {
    node_links(nodes).into_iter().filter(|link| link.to == End::Node(node)).collect()
}

/// Returns the links on which `node` sends to the other nodes.
pub fn links_from(node: Node, nodes: u16) -> Vec<Link> {
    node_links(nodes).into_iter().filter(|link| link.from == End::Node(node)).collect()
}

impl Link {
    /// Returns the directed link from one node to another.
    pub fn between(from: Node, to: Node) -> Self {
        Link { from: End::Node(from), to: End::Node(to) }
    }
}

impl Target {
    /// Separates one node from all others.
    pub fn isolated(node: Node, nodes: u16) -> Self {
        Target::Groups(vec![vec![node], all_nodes(nodes).into_iter().filter(|other| *other != node).collect()])
    }

    /// Returns the directed links that a link fault affects in a cluster of `nodes` nodes.
    pub fn links(&self, nodes: u16) -> Vec<Link> {
        match self {
            Target::Links(links) => links.clone(),
            Target::Groups(groups) => between_groups(groups),
            Target::Nodes(hit) => {
                let touches = |end: End| matches!(end, End::Node(n) if hit.contains(&n));
                node_links(nodes).into_iter().filter(|l| touches(l.from) || touches(l.to)).collect()
            }
            Target::Role(_) | Target::Sender => vec![],
        }
    }

    /// Returns the target of a fault of links whose nodes are reached by clients alone: instead of all links of some nodes, those
    /// to clients.
    #[must_use]
    pub fn clients_only(self) -> Self {
        match self {
            Target::Nodes(nodes) => Target::Links(nodes.into_iter().flat_map(client_links).collect()),
            Target::Groups(_) | Target::Links(_) | Target::Role(_) | Target::Sender => self,
        }
    }

    /// Formats the target as in history and schedule files.
    pub fn words(&self) -> Vec<String> {
        match self {
            Target::Nodes(nodes) => nodes.iter().map(Node::to_string).collect(),
            Target::Groups(groups) => groups.iter().map(|g| g.iter().map(Node::to_string).collect::<Vec<_>>().join("|")).collect(),
            Target::Links(links) => links.iter().map(Link::to_string).collect(),
            Target::Role(role) => vec![role.to_string()],
            Target::Sender => vec![SENDER.to_owned()],
        }
    }
}

fn between_groups(groups: &[Vec<Node>]) -> Vec<Link> {
    let mut links = vec![];
    for (i, a) in groups.iter().enumerate() {
        for b in groups.iter().skip(i + 1) {
            for (&x, &y) in a.iter().flat_map(|x| b.iter().map(move |y| (x, y))) {
                links.extend([Link::between(x, y), Link::between(y, x)]);
            }
        }
    }
    links
}

impl TargetShape {
    /// Returns the target that hits this one node: the node, all links between it and the others, or a cut between them. `None` if
    /// every node is hit anyway.
    pub(crate) fn of_one(self, node: Node, nodes: u16) -> Option<Target> {
        match self {
            TargetShape::OneNode | TargetShape::SomeNodes | TargetShape::Links => Some(Target::Nodes(vec![node])),
            TargetShape::Cut => Some(Target::isolated(node, nodes)),
            TargetShape::EveryNode => None,
        }
    }

    /// Reads the targets of a fault of `kind` among `nodes` nodes.
    ///
    /// # Errors
    /// Describes the error and the expected form.
    pub fn read(self, kind: &str, words: &[String], nodes: u16) -> Result<Target, String> {
        let node = |s: &str| -> Result<Node, String> {
            let n: Node = s.parse()?;
            if n.0 > nodes { Err(format!("there is no {n} among {nodes} nodes")) } else { Ok(n) }
        };
        let link = |s: &str| -> Result<Link, String> {
            let link: Link = s.parse()?;
            let ends = [link.from, link.to].into_iter().filter(|end| *end != End::Clients);
            ends.map(|end| node(&end.to_string())).collect::<Result<Vec<_>, _>>().map(|_| link)
        };
        let some_nodes = || words.iter().map(|w| node(w)).collect::<Result<_, _>>().map(Target::Nodes);
        let links = words.iter().any(|w| w.contains('>'));
        match (self, words) {
            (TargetShape::OneNode, [one]) => Ok(Target::Nodes(vec![node(one)?])),
            (TargetShape::OneNode, other) => Err(format!("`{kind}` hits one node, not {}", other.len())),
            (TargetShape::EveryNode, _) => Ok(Target::Nodes(all_nodes(nodes))),
            (TargetShape::Links | TargetShape::Cut, _) if links => {
                words.iter().map(|w| link(w)).collect::<Result<_, _>>().map(Target::Links)
            }
            (TargetShape::SomeNodes | TargetShape::Links, _) => some_nodes(),
            (TargetShape::Cut, _) => {
                let groups = words.iter().map(|group| group.split('|').map(node).collect()).collect::<Result<_, String>>();
                groups_of(groups?, kind, nodes)
            }
        }
    }
}

/// The groups that a cut separates. A single group is separated from all other nodes.
fn groups_of(mut groups: Vec<Vec<Node>>, kind: &str, nodes: u16) -> Result<Target, String> {
    let named = groups.concat();
    if let Some(twice) = (0..named.len()).find(|&i| named[..i].contains(&named[i])) {
        return Err(format!("`{kind}` names {} twice; each node is in one group", named[twice]));
    }
    if groups.len() == 1 {
        groups.push(all_nodes(nodes).into_iter().filter(|node| !named.contains(node)).collect());
    }
    match groups.iter().any(Vec::is_empty) {
        true => {
            Err(format!("`{kind}` has nothing to separate: name fewer than all {nodes} nodes, or two groups such as [\"n1\", \"n2|n3\"]"))
        }
        false => Ok(Target::Groups(groups)),
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl FromStr for Node {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        s.strip_prefix('n')
            .and_then(|n| n.parse().ok())
            .filter(|n| *n > 0)
            .map(Node)
            .ok_or_else(|| format!("`{s}` is no node; nodes are called n1, n2 …"))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Node(n) => n.fmt(f),
            End::Clients => f.write_str("clients"),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.from, self.to)
    }
}

impl FromStr for Link {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let end = |s: &str| if s == "clients" { Ok(End::Clients) } else { s.parse().map(End::Node) };
        let (from, to) = s.split_once('>').ok_or_else(|| format!("`{s}` is no link; links are written n1>n2"))?;
        let link = Link { from: end(from)?, to: end(to)? };
        if link.from == link.to {
            return Err(format!("link `{s}` leads nowhere"));
        }
        Ok(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_cut_both_ways_and_only_between_groups() {
        let n = |i| Node(i);
        let cut = Target::Groups(vec![vec![n(1)], vec![n(2), n(3)]]).links(3);
        let text: Vec<String> = cut.iter().map(Link::to_string).collect();
        assert_eq!(text, ["n1>n2", "n2>n1", "n1>n3", "n3>n1"]);
        assert_eq!(Target::Nodes(vec![n(3)]).links(3).len(), 4);
        assert_eq!(node_links(5).len(), 20);
    }

    #[test]
    fn links_are_checked() {
        assert_eq!("clients>n2".parse(), Ok(Link { from: End::Clients, to: End::Node(Node(2)) }));
        for bad in ["n1", "n1>n1", "n0>n2", "x>n1", ""] {
            assert!(bad.parse::<Link>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cut_separates_something() {
        let read = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            TargetShape::Cut.read("partition", &words, 3)
        };
        let n = |i| Node(i);
        assert_eq!(read(&["n2"]), Ok(Target::Groups(vec![vec![n(2)], vec![n(1), n(3)]])), "a group is separated from all others");
        assert_eq!(read(&["n2|n3"]), Ok(Target::Groups(vec![vec![n(2), n(3)], vec![n(1)]])));
        assert_eq!(read(&["n1", "n2"]), Ok(Target::Groups(vec![vec![n(1)], vec![n(2)]])));
        for nothing in [&["n1|n2|n3"][..], &["n2|n1|n3"]] {
            assert!(read(nothing).is_err_and(|e| e.contains("nothing to separate")), "{nothing:?}");
        }
        assert!(read(&["n1", "n2|n1"]).is_err_and(|e| e.contains("names n1 twice")));
    }

    #[test]
    fn a_target_reads_as_it_is_written() {
        let n = |i| Node(i);
        for (shape, target) in [
            (TargetShape::OneNode, Target::Nodes(vec![n(2)])),
            (TargetShape::EveryNode, Target::Nodes(vec![n(1), n(2), n(3)])),
            (TargetShape::SomeNodes, Target::Nodes(vec![n(1), n(3)])),
            (TargetShape::Links, Target::Nodes(vec![n(1), n(3)])),
            (TargetShape::Links, Target::Links(links_to(n(1), 3))),
            (TargetShape::Cut, Target::isolated(n(3), 3)),
            (TargetShape::Cut, Target::Links(links_from(n(1), 3))),
        ] {
            assert_eq!(shape.read("x", &target.words(), 3), Ok(target));
        }
    }
}
