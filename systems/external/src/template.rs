//! Templates in a plan: command lines, environment variables and files of a process, with placeholders.
//!
//! | placeholder | becomes |
//! |---|---|
//! | `{id}`, `{number}`, `{count}` | the node's name (`n1`), its number (1), the number of nodes |
//! | `{data}`, `{cluster}`, `{plan}` | the node's data folder, the cluster's name, the plan's folder |
//! | `{PORT}`, `{PORT.listen}` | the address on which the node listens for that port |
//! | `{PORT.advertise}` | the address at which others reach it, through the relay if there is one |
//! | `{PORT.dial}` | in an item: the node's own address for itself, or the address it dials to reach another node |
//! | `{….host}`, `{….port}` | the host or the port of an address |
//! | `{n2.PORT…}` | the same for another node |
//! | `{nodes.PORT….:SEPARATOR}`, `{peers.…:SEPARATOR}` | the same for all nodes, or for all other nodes, joined |
//! | `{nodes:SEPARATOR:ITEM}`, `{peers:SEPARATOR:ITEM}` | ITEM, itself a template, for each of them |
//! | `{{`, `}}` | a literal brace |

mod parse; // parses a text into its parts
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A parsed template whose placeholders are all valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Byte offset in the text.
    pub at: usize,
    /// What is wrong, and how to fix it.
    pub what: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Of(Subject, Field),
    Each { others: bool, separator: String, item: Template },
}

/// The node to which a field belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    This,
    Node(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Id,
    Number,
    Count,
    Data,
    Cluster,
    Plan,
    Address { port: String, side: Side, half: Half },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Listen,
    Advertise,
    Dial,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Both,
    Host,
    Port,
}

/// The addresses of one port of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Address on which the node listens.
    pub listen: SocketAddr,
    /// Address at which others reach the node.
    pub advertise: SocketAddr,
}

/// A node, as seen by templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub id: String,
    /// Path of its data folder.
    pub data: String,
    /// Its ports, by name in the plan.
    pub ports: BTreeMap<String, Port>,
}

/// Everything that templates can refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The cluster's name.
    pub cluster: String,
    /// The plan's folder.
    pub plan: String,
    /// The nodes, in order.
    pub nodes: Vec<Place>,
}

/// Words that cannot be used as port names.
const RESERVED: [&str; 8] = ["id", "number", "count", "data", "cluster", "plan", "nodes", "peers"];

/// Checks that a port can have this name and that the name has no other meaning.
///
/// # Errors
/// Fails if not. The message says which names are allowed.
pub fn check_port(name: &str) -> Result<(), String> {
    let fits =
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !fits || RESERVED.contains(&name) || node_number(name).is_some() {
        return Err(format!("`{name}` is no name of a port: use letters, digits, `_` and `-`, and none of {}", RESERVED.join(", ")));
    }
    Ok(())
}

/// Returns the number of a node, such as 2 for `n2`.
fn node_number(word: &str) -> Option<usize> {
    word.strip_prefix('n')?.parse().ok().filter(|n| *n > 0)
}

impl Template {
    /// Parses a template. `ports` lists the port names that it may use.
    ///
    /// # Errors
    /// Fails if a placeholder is invalid. The first such placeholder is returned.
    pub fn parse(text: &str, ports: &[String]) -> Result<Self, Mistake> {
        Self::at_depth(text, ports, 0)
    }

    fn at_depth(text: &str, ports: &[String], depth: usize) -> Result<Self, Mistake> {
        let (mut parts, mut plain, mut at) = (vec![], String::new(), 0);
        while let Some(next) = text[at..].chars().next() {
            let doubled = text[at + next.len_utf8()..].starts_with(next);
            match next {
                '{' | '}' if doubled => {
                    plain.push(next);
                    at += 2;
                }
                '}' => return Err(Mistake { at, what: "`}` without `{`; a brace itself is written `}}`".into() }),
                '{' => {
                    let end =
                        parse::closing(text, at).ok_or(Mistake { at, what: "`{` without `}`; a brace itself is written `{{`".into() })?;
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    let shifted = |m: Mistake| Mistake { at: m.at + at + 1, ..m };
                    parts.push(parse::placeholder(&text[at + 1..end], ports, depth).map_err(shifted)?);
                    at = end + 1;
                }
                other => {
                    plain.push(other);
                    at += other.len_utf8();
                }
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Template { parts })
    }

    /// Whether it contains the path of a data folder.
    pub(crate) fn uses_data(&self) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Text(_) => false,
            Part::Of(_, field) => *field == Field::Data,
            Part::Each { item, .. } => item.uses_data(),
        })
    }

    /// Fills in the template for a node.
    ///
    /// # Errors
    /// Fails if the template names a node that does not exist.
    pub fn fill(&self, layout: &Layout, node: usize) -> Result<String, String> {
        self.filled(layout, node, node)
    }

    /// `of` is the node whose fields are used. `by` is the node for which the text is filled in.
    fn filled(&self, layout: &Layout, of: usize, by: usize) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text += plain,
                Part::Of(subject, field) => {
                    let of = match subject {
                        Subject::This => of,
                        Subject::Node(number) => number - 1,
                    };
                    let place =
                        layout.nodes.get(of).ok_or_else(|| format!("there is no node n{}, the plan has {}", of + 1, layout.nodes.len()))?;
                    text += &field.of(layout, place, of, by);
                }
                Part::Each { others, separator, item } => {
                    let all = (0..layout.nodes.len()).filter(|i| !others || *i != by);
                    let items = all.map(|i| item.filled(layout, i, by)).collect::<Result<Vec<_>, _>>()?;
                    text += &items.join(separator);
                }
            }
        }
        Ok(text)
    }
}

impl Field {
    fn of(&self, layout: &Layout, place: &Place, of: usize, by: usize) -> String {
        match self {
            Field::Id => place.id.clone(),
            Field::Number => (of + 1).to_string(),
            Field::Count => layout.nodes.len().to_string(),
            Field::Data => place.data.clone(),
            Field::Cluster => layout.cluster.clone(),
            Field::Plan => layout.plan.clone(),
            Field::Address { port, side, half } => {
                let port = &place.ports[port];
                let addr = match side {
                    Side::Listen => port.listen,
                    Side::Advertise => port.advertise,
                    Side::Dial if of == by => port.listen,
                    Side::Dial => port.advertise,
                };
                match half {
                    Half::Both => addr.to_string(),
                    Half::Host => addr.ip().to_string(),
                    Half::Port => addr.port().to_string(),
                }
            }
        }
    }
}
