//! Who may use whom. The arrows are the architecture: a checker that knew the workloads, or a node that knew the
//! checker, could share a mistake with what it is to judge.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Crate folder, and what it may use of ours. `heckle` may use everything.
const ARROWS: &[(&str, &[&str])] = &[
    ("history", &[]),
    ("nodes/paxos", &[]),
    ("nodes/sim", &["heckle-paxos"]),
    ("nodes/server", &["heckle-paxos"]),
    ("workloads", &["heckle-history"]),
    ("checker", &["heckle-history"]),
    ("results", &["heckle-history", "heckle-checker"]),
];

/// Every crate of ours that a manifest names, for whatever purpose.
fn used(manifest: &str) -> BTreeSet<String> {
    let manifest: toml::Table = manifest.parse().expect("a manifest is TOML");
    let mut used = BTreeSet::new();
    collect(&toml::Value::Table(manifest), &mut used);
    used
}

fn collect(value: &toml::Value, used: &mut BTreeSet<String>) {
    let toml::Value::Table(table) = value else { return };
    for (name, inner) in table {
        if name.ends_with("dependencies")
            && let toml::Value::Table(dependencies) = inner
        {
            for (name, entry) in dependencies {
                let package = entry.get("package").and_then(|p| p.as_str()).unwrap_or(name);
                if package.starts_with("heckle") {
                    used.insert(package.to_owned());
                }
            }
        }
        collect(inner, used);
    }
}

#[test]
fn no_crate_uses_what_it_must_not_know() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let members: toml::Table = std::fs::read_to_string(root.join("Cargo.toml")).expect("readable").parse().expect("TOML");
    let members: BTreeSet<&str> =
        members["workspace"]["members"].as_array().expect("a list").iter().map(|m| m.as_str().expect("a path")).collect();
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for member in members {
        if member == "harness" {
            continue;
        }
        let allowed = arrows.get(member).unwrap_or_else(|| panic!("{member} is new: say here what it may use"));
        let manifest = std::fs::read_to_string(root.join(member).join("Cargo.toml")).expect("readable");
        for used in used(&manifest) {
            assert!(allowed.contains(&used.as_str()), "{member} uses {used}, which it must not know");
        }
    }
}

#[test]
fn a_forbidden_arrow_is_seen_however_it_is_written() {
    for manifest in [
        "[dependencies]\nheckle-checker.workspace = true",
        "[dev-dependencies]\nheckle-checker = { path = \"../checker\" }",
        "[target.'cfg(unix)'.dependencies]\njudge = { package = \"heckle-checker\", path = \"x\" }",
    ] {
        assert!(used(manifest).contains("heckle-checker"), "{manifest}");
    }
}
