//! Parses the text between two braces.

use super::{Field, Half, Mistake, Part, RESERVED, Side, Subject, Template, node_number};

/// Maximum nesting depth of placeholders.
const MAX_DEPTH: usize = 4;

/// Returns the position at which the placeholder opened at `open` ends.
pub(super) fn closing(text: &str, open: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Parses the text between two braces.
pub(super) fn placeholder(inner: &str, ports: &[String], depth: usize) -> Result<Part, Mistake> {
    let (head, rest) = inner.split_once(':').map_or((inner, None), |(head, rest)| (head, Some(rest)));
    let (first, path) = head.split_once('.').map_or((head, None), |(first, path)| (first, Some(path)));
    let others = first == "peers";
    if !others && first != "nodes" {
        if rest.is_some() {
            return Err(Mistake { at: head.len(), what: format!("`{head}` is one value and takes no separator; only nodes and peers do") });
        }
        return of_one(head, ports).map(|(subject, field)| Part::Of(subject, field));
    }
    if depth >= MAX_DEPTH {
        return Err(Mistake { at: 0, what: format!("placeholders stand inside each other more than {MAX_DEPTH} deep") });
    }
    match (path, rest) {
        (Some(path), separator) => {
            let shifted = |m: Mistake| Mistake { at: m.at + first.len() + 1, ..m };
            let (subject, field) = of_one(path, ports).map_err(shifted)?;
            let item = Template { parts: vec![Part::Of(subject, field)] };
            Ok(Part::Each { others, separator: separator.unwrap_or(" ").to_owned(), item })
        }
        (None, Some(rest)) => {
            let Some((separator, item)) = rest.split_once(':') else {
                return Err(Mistake { at: 0, what: format!("write `{first}:SEPARATOR:ITEM`, or `{first}.PORT.listen:SEPARATOR`") });
            };
            let shift = head.len() + separator.len() + 2;
            let item = Template::at_depth(item, ports, depth + 1).map_err(|m| Mistake { at: m.at + shift, ..m })?;
            Ok(Part::Each { others, separator: separator.to_owned(), item })
        }
        (None, None) => Err(Mistake { at: 0, what: format!("`{first}` alone says nothing: `{first}.PORT.listen:,` or `{first}:,:ITEM`") }),
    }
}

/// Parses a field of one node. The node may be named explicitly.
fn of_one(path: &str, ports: &[String]) -> Result<(Subject, Field), Mistake> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    if let Some(number) = node_number(first) {
        let rest =
            rest.ok_or_else(|| Mistake { at: 0, what: format!("`{first}` is a node: write `{first}.id` or `{first}.PORT.listen`") })?;
        return match of_one(rest, ports) {
            Ok((Subject::This, field)) => Ok((Subject::Node(number), field)),
            Ok((Subject::Node(_), _)) => Err(Mistake { at: first.len() + 1, what: "a node of a node".into() }),
            Err(m) => Err(Mistake { at: m.at + first.len() + 1, ..m }),
        };
    }
    let simple = match first {
        "id" => Some(Field::Id),
        "number" => Some(Field::Number),
        "count" => Some(Field::Count),
        "data" => Some(Field::Data),
        "cluster" => Some(Field::Cluster),
        "plan" => Some(Field::Plan),
        _ => None,
    };
    match (simple, rest) {
        (Some(field), None) => Ok((Subject::This, field)),
        (Some(_), Some(_)) => Err(Mistake { at: first.len(), what: format!("`{first}` has no parts") }),
        (None, rest) => address(first, rest, ports).map(|field| (Subject::This, field)),
    }
}

fn address(port: &str, rest: Option<&str>, ports: &[String]) -> Result<Field, Mistake> {
    if !ports.iter().any(|known| known == port) {
        let known: Vec<&str> = RESERVED.iter().copied().chain(ports.iter().map(String::as_str)).collect();
        let near = heckle_system_api::settings::did_you_mean(port, &known);
        return Err(Mistake { at: 0, what: format!("there is no placeholder and no port `{port}`; {near}") });
    }
    let words: Vec<&str> = rest.map_or(vec![], |rest| rest.split('.').collect());
    let (side, half) = match words.first() {
        Some(&"advertise") => (Side::Advertise, words.get(1)),
        Some(&"listen") => (Side::Listen, words.get(1)),
        Some(&"dial") => (Side::Dial, words.get(1)),
        other => (Side::Listen, other),
    };
    let taken = usize::from(matches!(words.first(), Some(&("advertise" | "listen" | "dial"))));
    let half = match half {
        None => Half::Both,
        Some(&"host") => Half::Host,
        Some(&"port") => Half::Port,
        Some(other) => {
            let what = format!("an address has no `{other}`; available: listen, advertise, dial, host, port");
            return Err(Mistake { at: port.len() + 1, what });
        }
    };
    if words.len() > taken + usize::from(half != Half::Both) {
        return Err(Mistake { at: port.len() + 1, what: format!("`{}` has more parts than an address", words.join(".")) });
    }
    Ok(Field::Address { port: port.to_owned(), side, half })
}
