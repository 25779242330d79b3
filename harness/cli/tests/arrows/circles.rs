//! Finds import cycles among the modules of one crate from its sources. Modules in a cycle can only be understood,
//! changed and tested together.
//!
//! A module that is a folder counts as one unit with the modules in it: they may use its definitions, and it may use
//! theirs. Two modules, neither of which is inside the other, must not depend on each other, directly or indirectly.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The path of a module in its crate: `["storage", "wal"]`.
type Name = Vec<String>;

/// The sources of a crate, by path below `src/`.
pub(crate) type Sources = BTreeMap<String, String>;

/// Returns the sources below a folder, without tests and binaries.
pub(crate) fn sources(src: &Path) -> Sources {
    fn collect(folder: &Path, below: &str, found: &mut Sources) {
        for entry in std::fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path()) {
            let name = entry.file_name().expect("a name").to_string_lossy().into_owned();
            if name.contains("test") || name == "bin" {
                continue;
            }
            let path = format!("{below}{name}");
            if entry.is_dir() {
                collect(&entry, &format!("{path}/"), found);
            } else if let Some(path) = path.strip_suffix(".rs") {
                found.insert(path.to_owned(), std::fs::read_to_string(&entry).expect("readable"));
            }
        }
    }
    let mut found = Sources::new();
    collect(src, "", &mut found);
    found
}

/// Returns the cycles of a crate, each as the sorted names of its modules.
pub(crate) fn circles(sources: &Sources) -> BTreeSet<Vec<String>> {
    let uses = uses(sources);
    let is_in = |a: &Name, b: &Name| a.starts_with(b);
    let between =
        uses.iter().map(|(from, to)| (from.clone(), to.iter().filter(|to| !is_in(to, from) && !is_in(from, to)).cloned().collect()));
    let between: BTreeMap<Name, BTreeSet<Name>> = between.collect();
    let mut found = rings(&between);
    let folders = rings(&uses);
    found.extend(folders.into_iter().filter(|ring| {
        let shortest = ring.iter().min_by_key(|name| name.len()).expect("not empty");
        !ring.iter().all(|name| is_in(name, shortest))
    }));
    found.into_iter().map(|ring| ring.into_iter().map(|name| name.join("::")).collect()).collect()
}

/// Returns the groups of modules in which each module reaches all others.
fn rings(uses: &BTreeMap<Name, BTreeSet<Name>>) -> BTreeSet<Vec<Name>> {
    let reaches: BTreeMap<&Name, BTreeSet<&Name>> = uses.keys().map(|from| (from, reached(uses, from))).collect();
    let ring_of = |from: &Name| -> Vec<Name> {
        let back = |to: &&&Name| reaches.get(**to).is_some_and(|of_to| of_to.contains(from));
        reaches[from].iter().filter(back).map(|name| (*name).clone()).collect()
    };
    uses.keys().map(ring_of).filter(|ring| ring.len() > 1).collect()
}

fn reached<'a>(uses: &'a BTreeMap<Name, BTreeSet<Name>>, from: &Name) -> BTreeSet<&'a Name> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&Name> = uses[from].iter().collect();
    while let Some(name) = next.pop() {
        if seen.insert(name) {
            next.extend(uses.get(name).into_iter().flatten());
        }
    }
    seen
}

/// Returns the modules that each module uses. The root is left out, because it only lists modules.
fn uses(sources: &Sources) -> BTreeMap<Name, BTreeSet<Name>> {
    let texts: BTreeMap<Name, Vec<String>> = sources.iter().map(|(path, text)| (name_of(path), tokens(text))).collect();
    let names: BTreeSet<Name> = texts.keys().cloned().collect();
    let paths: BTreeMap<&Name, Vec<Mention>> = texts.iter().map(|(name, tokens)| (name, mentions(name, tokens, &names))).collect();
    let again = paths.iter().flat_map(|(name, mentions)| {
        let given = mentions.iter().filter(|mention| mention.re_exported);
        given.map(|mention| ([(*name).clone(), vec![mention.alias.clone()]].concat(), mention.path.clone()))
    });
    let again: BTreeMap<Name, Name> = again.collect();
    let of_module = |(name, mentions): (&&Name, &Vec<Mention>)| {
        // A folder re-exports items of its modules, which does not count as using them.
        let used = mentions.iter().filter(|mention| !(mention.re_exported && mention.path.starts_with(name)));
        let used = used.filter_map(|mention| module_of(&mention.path, &names, &again)).filter(|to| to != *name && !to.is_empty());
        ((*name).clone(), used.collect())
    };
    paths.iter().filter(|(name, _)| !name.is_empty()).map(of_module).collect()
}

/// Returns the module that defines the item with this path.
fn module_of(path: &[String], names: &BTreeSet<Name>, again: &BTreeMap<Name, Name>) -> Option<Name> {
    let mut path = path.to_vec();
    // Longer chains of re-exports do not occur.
    for _ in 0..8 {
        let module = (0..=path.len()).rev().map(|len| &path[..len]).find(|part| names.contains(*part))?;
        let item = path.get(..=module.len()).and_then(|item| again.get(item));
        match item {
            Some(defined) => path = [defined.clone(), path[module.len() + 1..].to_vec()].concat(),
            None => return Some(module.to_vec()),
        }
    }
    None
}

fn name_of(path: &str) -> Name {
    let mut name: Name = path.split('/').map(str::to_owned).collect();
    if name.last().is_some_and(|last| last == "mod") || matches!(path, "lib" | "main") {
        name.pop();
    }
    name
}

/// A path mentioned by a module.
struct Mention {
    path: Name,
    /// The name of the path in this module.
    alias: String,
    /// Whether the path is re-exported by `pub use`.
    re_exported: bool,
}

fn mentions(name: &Name, tokens: &[String], names: &BTreeSet<Name>) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let before = at.checked_sub(1).map_or("", |before| tokens[before].as_str());
        let is_use = tokens[at] == "use" && before != "::";
        if is_use || (is_word(&tokens[at]) && before != "::" && tokens.get(at + 1).is_some_and(|next| next == "::")) {
            // Matches `pub use` and `pub(crate) use`.
            let re_exported = is_use && (before == "pub" || before == ")");
            let mut tree = Vec::new();
            at = use_tree(tokens, at + usize::from(is_use), &[], &mut tree).max(at + 1);
            let inside =
                tree.into_iter().filter_map(|(path, alias)| Some(Mention { path: from_root(name, &path, names)?, alias, re_exported }));
            found.extend(inside);
        } else {
            at += 1;
        }
    }
    found
}

/// Parses `a::b::{c, d as e}` from `at`. Returns the index after it.
fn use_tree(tokens: &[String], mut at: usize, prefix: &[String], found: &mut Vec<(Name, String)>) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        if token == "{" && (path.len() > prefix.len() || prefix.is_empty()) {
            at += 1;
            while tokens.get(at).is_some_and(|token| token != "}") {
                let next = use_tree(tokens, at, &path, found);
                at = if next == at || tokens.get(next).is_some_and(|token| token == ",") { next + 1 } else { next };
            }
            return at + 1;
        }
        if !is_word(token) {
            return at;
        }
        path.push(token.clone());
        at += 1;
        if tokens.get(at).is_some_and(|token| token == "::") {
            at += 1;
            continue;
        }
        let alias = if tokens.get(at).is_some_and(|token| token == "as") { tokens.get(at + 1) } else { None };
        let own = path.iter().rev().find(|part| *part != "self").cloned().unwrap_or_default();
        found.push((path, alias.cloned().unwrap_or(own)));
        return at + 2 * usize::from(alias.is_some());
    }
    at
}

/// Returns a path from the crate's root; `None` if it leads to another crate.
fn from_root(module: &Name, path: &[String], names: &BTreeSet<Name>) -> Option<Name> {
    let first = path.first()?;
    let mut rest = path;
    let mut base = match first.as_str() {
        "crate" => Name::new(),
        "self" | "super" => module.clone(),
        child if names.contains(&[module.clone(), vec![child.to_owned()]].concat()) => {
            return Some([module.clone(), path.to_vec()].concat());
        }
        _ => return None,
    };
    while let Some(part) = rest.first().filter(|part| ["crate", "self", "super"].contains(&part.as_str())) {
        if part == "super" {
            base.pop();
        }
        rest = &rest[1..];
    }
    base.extend(rest.iter().filter(|part| *part != "self").cloned());
    Some(base)
}

fn is_word(token: &str) -> bool {
    token.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Returns the words, `::` and single punctuation marks of the code outside tests, without comments and strings.
fn tokens(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            raw.find("\"#").map_or(rest.len(), |end| end + 5)
        } else if first == '"' {
            text_len(rest)
        } else if first == '\'' {
            character_len(rest)
        } else if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let token = &rest[..len];
        if is_word(token) || token == "::" || (token.len() == 1 && !first.is_whitespace() && first != '\'') {
            found.push(token.to_owned());
        }
        rest = &rest[len..];
    }
    found
}

fn text_len(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    rest.len()
}

/// Returns the length of a character literal such as `'"'`, or of the apostrophe of a lifetime.
fn character_len(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    let Some((_, first)) = chars.next() else { return 1 };
    if first == '\\' {
        return rest[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 3);
    }
    match chars.next() {
        Some((at, '\'')) => at + 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &[&[&str]]) {
        let sources = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let expected: BTreeSet<Vec<String>> = expected.iter().map(|ring| ring.iter().map(|name| (*name).to_owned()).collect()).collect();
        assert_eq!(circles(&sources), expected, "{files:?}");
    }

    #[test]
    fn a_planted_circle_is_seen_however_it_is_written() {
        let ab: &[&[&str]] = &[&["a", "b"]];
        check(&[("lib", "mod a; mod b;"), ("a", "use crate::b::X;"), ("b", "use crate::a::Y;")], ab);
        check(&[("lib", ""), ("a", "use crate::{b::{self, X}, c};"), ("b", "fn f() { crate::a::y(); }"), ("c", "")], ab);
        check(&[("lib", ""), ("a", "use super::b as other;"), ("b", "impl X for super::a::Y {}")], ab);
        check(&[("lib", "pub use a::Y;"), ("a", "use crate::b::X;"), ("b", "use crate::Y;")], ab);
        check(&[("lib", ""), ("a", "use crate::b::X;"), ("b", "use crate::c::Z;"), ("c", "use crate::a::Y;")], &[&["a", "b", "c"]]);
        let siblings: &[&[&str]] = &[&["f::a", "f::b"]];
        check(&[("lib", ""), ("f/mod", "mod a; mod b;"), ("f/a", "use super::b::X;"), ("f/b", "use super::a::Y;")], siblings);
        // The cycle leads through the folder that another module uses.
        let over = [("lib", ""), ("f/mod", "mod a; fn g() { a::f(); }"), ("f/a", "use crate::c::Z;"), ("c", "use crate::f::g;")];
        check(&over, &[&["c", "f", "f::a"]]);
    }

    #[test]
    fn what_is_no_circle_is_not_taken_for_one() {
        check(&[("lib", "mod a; mod b;"), ("a", "use crate::b::X; // as crate::a"), ("b", "const T: &str = \"crate::a::Y\";")], &[]);
        check(&[("lib", ""), ("a", "use crate::b::X;"), ("b", "fn f() {}\n#[cfg(test)]\nmod tests {\n use crate::a::Y;\n}")], &[]);
        // A folder and its modules do not form a cycle.
        check(&[("lib", ""), ("f/mod", "mod a; fn g() { a::f(); }"), ("f/a", "use super::G;"), ("c", "use crate::f::G;")], &[]);
        // A name re-exported by the folder is defined in the file.
        check(&[("lib", ""), ("f/mod", "mod a; mod b; pub use a::X;"), ("f/a", ""), ("f/b", "use crate::f::X;")], &[]);
        check(&[("lib", ""), ("a", "fn g() { <T as X>::f(); Vec::<u8>::new(); }"), ("b", "use crate::a::g;")], &[]);
        check(&[("lib", ""), ("a", "fn f<'a>(x: &'a str) -> char { '\"' } use crate::b::X;"), ("b", "")], &[]);
    }
}
