//! Texts of a plan with placeholders: command lines, variables and files of a process.
//!
//! | placeholder | becomes |
//! |---|---|
//! | `{id}`, `{number}`, `{count}` | the node's name (`n1`), its number (1), how many nodes there are |
//! | `{data}`, `{cluster}`, `{plan}` | the node's data folder, the cluster's name, the folder of the plan |
//! | `{PORT}`, `{PORT.listen}` | the address at which the node listens for that port |
//! | `{PORT.advertise}` | the address at which others reach it, through the relay where there is one |
//! | `{PORT.dial}` | in an item: the node's own address, or what it dials to reach the other |
//! | `{….host}`, `{….port}` | one half of an address |
//! | `{n2.PORT…}` | the same of another node |
//! | `{nodes.PORT….:SEPARATOR}`, `{peers.…:SEPARATOR}` | of all nodes, or of all others, joined |
//! | `{nodes:SEPARATOR:ITEM}`, `{peers:SEPARATOR:ITEM}` | ITEM, a text with placeholders, for each of them |
//! | `{{`, `}}` | a brace |

mod parse; // a text to its parts
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A text that was read and whose placeholders all make sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// What is wrong with a text, and at which byte of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The byte.
    pub at: usize,
    /// What, and what would be right.
    pub what: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Of(Subject, Field),
    Each { others: bool, separator: String, item: Template },
}

/// Whose field it is.
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
    /// Where the node listens.
    pub listen: SocketAddr,
    /// Where others reach it.
    pub advertise: SocketAddr,
}

/// One node, as templates see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub id: String,
    /// Its data folder.
    pub data: String,
    /// Its ports, by their names in the plan.
    pub ports: BTreeMap<String, Port>,
}

/// All that templates are filled in from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The cluster's name.
    pub cluster: String,
    /// The folder of the plan.
    pub plan: String,
    /// The nodes, in order.
    pub nodes: Vec<Place>,
}

/// Words that no port can be called.
const RESERVED: [&str; 8] = ["id", "number", "count", "data", "cluster", "plan", "nodes", "peers"];

/// Whether a port can have this name, and not another meaning.
///
/// # Errors
/// What it would have to be.
pub fn check_port(name: &str) -> Result<(), String> {
    let fits =
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !fits || RESERVED.contains(&name) || node_number(name).is_some() {
        return Err(format!("`{name}` is no name of a port: use letters, digits, `_` and `-`, and none of {}", RESERVED.join(", ")));
    }
    Ok(())
}

/// `n2` is node 2.
fn node_number(word: &str) -> Option<usize> {
    word.strip_prefix('n')?.parse().ok().filter(|n| *n > 0)
}

impl Template {
    /// Reads a text. `ports` are the names that it may use.
    ///
    /// # Errors
    /// The first placeholder that makes no sense.
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

    /// The text for a node.
    ///
    /// # Errors
    /// If it speaks of a node that there is not.
    pub fn fill(&self, layout: &Layout, node: usize) -> Result<String, String> {
        self.filled(layout, node, node)
    }

    /// `of`: the node whose fields are meant. `by`: the node that the text is for.
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
