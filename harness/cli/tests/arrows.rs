//! Which crates may use which. The arrows are the architecture: a checker that depended on the workloads, or a node
//! that depended on the checker, could share a mistake with the code it judges.

#[path = "arrows/circles.rs"]
mod circles;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Crate folders, and the workspace crates that each may use. `heckle` may use all of them.
const ARROWS: &[(&str, &[&str])] = &[
    ("history", &[]),
    ("nodes/paxos", &[]),
    ("nodes/sim", &["heckle-paxos"]),
    ("nodes/server", &["heckle-paxos", "heckle-loopback"]),
    ("systems/loopback", &[]),
    ("systems/api", &["heckle-faults", "heckle-history"]),
    ("systems/paxos", &["heckle-faults", "heckle-history", "heckle-loopback", "heckle-paxos", "heckle-server", "heckle-system-api"]),
    ("systems/etcd", &["heckle-faults", "heckle-history", "heckle-system-api"]),
    ("systems/zookeeper", &["heckle-faults", "heckle-history", "heckle-loopback", "heckle-system-api"]),
    ("systems/redis", &["heckle-faults", "heckle-history", "heckle-system-api"]),
    ("systems/external", &["heckle-faults", "heckle-history", "heckle-loopback", "heckle-system-api"]),
    ("faults", &["heckle-history"]),
    ("workloads", &["heckle-history"]),
    ("checker", &["heckle-history"]),
    ("results", &["heckle-history", "heckle-checker"]),
    (
        "harness/engine",
        &[
            "heckle-checker",
            "heckle-faults",
            "heckle-history",
            "heckle-loopback",
            "heckle-results",
            "heckle-system-api",
            "heckle-workloads",
        ],
    ),
];

/// Crates that the tests of a crate may additionally use: the engine is tested with real systems.
const ARROWS_OF_TESTS: &[(&str, &[&str])] = &[("harness/engine", &["heckle-server", "heckle-system-etcd", "heckle-system-paxos"])];

/// Returns all workspace crates that a manifest names.
fn used(manifest: &str) -> BTreeSet<String> {
    used_in(manifest, |_| true)
}

/// Returns all workspace crates that a manifest names in dependency tables of some kinds.
fn used_in(manifest: &str, kind: fn(&str) -> bool) -> BTreeSet<String> {
    let manifest: toml::Table = manifest.parse().expect("a manifest is TOML");
    let mut used = BTreeSet::new();
    collect(&toml::Value::Table(manifest), kind, &mut used);
    used
}

fn is_of_tests(kind: &str) -> bool {
    kind == "dev-dependencies"
}

fn collect(value: &toml::Value, kind: fn(&str) -> bool, used: &mut BTreeSet<String>) {
    let toml::Value::Table(table) = value else { return };
    for (name, inner) in table {
        if name.ends_with("dependencies")
            && kind(name)
            && let toml::Value::Table(dependencies) = inner
        {
            for (name, entry) in dependencies {
                let package = entry.get("package").and_then(|p| p.as_str()).unwrap_or(name);
                if package.starts_with("heckle") {
                    used.insert(package.to_owned());
                }
            }
        }
        collect(inner, kind, used);
    }
}

#[test]
fn no_crate_uses_what_it_must_not_know() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace");
    let members: toml::Table = std::fs::read_to_string(root.join("Cargo.toml")).expect("readable").parse().expect("TOML");
    let members: BTreeSet<&str> =
        members["workspace"]["members"].as_array().expect("a list").iter().map(|m| m.as_str().expect("a path")).collect();
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for member in members {
        if member == "harness/cli" {
            continue;
        }
        let allowed = arrows.get(member).unwrap_or_else(|| panic!("{member} is new: say here what it may use"));
        let manifest = std::fs::read_to_string(root.join(member).join("Cargo.toml")).expect("readable");
        let in_tests = ARROWS_OF_TESTS.iter().find(|(folder, _)| *folder == member).map_or(&[][..], |(_, more)| *more);
        for used in used_in(&manifest, |kind| !is_of_tests(kind)) {
            assert!(allowed.contains(&used.as_str()), "{member} uses {used}, which it must not know");
        }
        for used in used_in(&manifest, is_of_tests) {
            let may = allowed.contains(&used.as_str()) || in_tests.contains(&used.as_str());
            assert!(may, "the tests of {member} use {used}, which it must not know");
        }
    }
}

/// `harness/cli/build.rs` ignores the simulator's sources when it decides whether a build has changes on top of its
/// commit.
#[test]
fn the_simulator_is_no_part_of_the_program() {
    let manifest = |folder: &str| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace");
        std::fs::read_to_string(root.join(folder).join("Cargo.toml")).expect("readable")
    };
    let script = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs")).expect("readable");
    assert!(script.contains(":(top,exclude)nodes/sim"), "this test has lost its object");
    for user in ARROWS.iter().map(|(folder, _)| *folder).filter(|folder| *folder != "nodes/sim").chain(["harness/cli"]) {
        assert!(!used(&manifest(user)).contains("heckle-sim"), "{user} uses heckle-sim: let harness/cli/build.rs look at nodes/sim too");
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

/// Words specific to one system under test. A crate that must work with every system uses none of them, not even in
/// tests: roles such as *holder* are strings supplied by the system.
const WORDS_OF_A_SYSTEM: [&str; 3] = ["paxos", "lease", "ballot"];

/// Crates in which these words do not occur at all.
const KNOW_NO_SYSTEM: [&str; 2] = ["faults", "workloads"];

/// Crates in which these words occur only in the listed files, as names that a system registers or as file names.
const KNOW_SYSTEMS_AT: [(&str, &[(&str, &str)]); 3] = [
    (
        "checker",
        &[
            ("src/checks/lease_overlap.rs", "the check that systems with leases register"),
            ("src/checks/mod.rs", "its line in the registry"),
            ("tests/checks.rs", "its test"),
        ],
    ),
    ("history", &[("src/line/read.rs", "a value that `path` may have in a history")]),
    (
        "results",
        &[
            ("src/compare/measured/figures.rs", "names of figures in compare.json"),
            ("src/compare/sample.rs", "a made-up comparison of lease modes"),
            ("src/verdict/conclude.rs", "the check that systems with leases register"),
            ("src/text/diff.rs", "a field of results.json"),
            ("src/text/explain/advice.rs", "advice on that check"),
            ("src/figures/measure.rs", "a key of `latency_ms` in results.json"),
            ("src/records/results_json.rs", "a field of results.json"),
            ("src/samples/sample_results.rs", "made-up results of the bundled server"),
            ("src/records/schemas.rs", "a value that `path` may have in a history"),
            ("src/records/terms.rs", "a field of the end record"),
        ],
    ),
];

/// Returns the first of these words in a line, either as a whole word or as a part of a name with `_` or `-`.
fn word_of_a_system(line: &str) -> Option<&'static str> {
    // A plural counts as the same word, but `releases` is a different one.
    let is = |part: &str, word: &str| part.eq_ignore_ascii_case(word) || part.eq_ignore_ascii_case(&format!("{word}s"));
    let parts: Vec<&str> = line.split(|c: char| !c.is_alphanumeric()).flat_map(camel_parts).collect();
    WORDS_OF_A_SYSTEM.into_iter().find(|word| parts.iter().any(|part| is(part, word)))
}

/// Splits a name into its camel-case parts: `LeaseMode` counts as `Lease` and `Mode`.
fn camel_parts(name: &str) -> Vec<&str> {
    let begins = name.char_indices().zip(name.chars().skip(1)).filter(|((_, a), b)| a.is_lowercase() && b.is_uppercase());
    let ends = begins.map(|((at, a), _)| at + a.len_utf8()).chain([name.len()]);
    let mut from = 0;
    ends.map(|to| &name[std::mem::replace(&mut from, to)..to]).collect()
}

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("readable").map(|e| e.expect("readable").path()) {
        if entry.is_dir() { files(&entry, found) } else { found.push(entry) }
    }
}

/// Returns the first line of a file that contains a word of a system, and its number.
fn speaks_of_a_system(file: &Path) -> Option<(usize, String)> {
    let text = std::fs::read_to_string(file).expect("readable");
    (1..).zip(text.lines()).find(|(_, line)| word_of_a_system(line).is_some()).map(|(number, line)| (number, line.to_owned()))
}

#[test]
fn crates_for_every_system_do_not_speak_of_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace");
    for member in KNOW_NO_SYSTEM {
        let mut found = vec![];
        files(&root.join(member), &mut found);
        assert!(found.len() > 10, "the sources of {member} are found");
        for file in found {
            assert_eq!(speaks_of_a_system(&file), None, "{}: `{member}` knows no system", file.display());
        }
    }
}

#[test]
fn other_crates_speak_of_a_system_only_where_it_registers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace");
    for (member, places) in KNOW_SYSTEMS_AT {
        let mut found = vec![];
        files(&root.join(member), &mut found);
        // Tests of pages and comparisons, and their golden files, contain figures of the bundled server.
        let is_source = |file: &&std::path::PathBuf| file.extension().is_some_and(|e| e == "rs") && !file.ends_with("tests.rs");
        let in_tests = |file: &Path| member == "results" && !file.starts_with(root.join(member).join("src"));
        for file in found.iter().filter(is_source).filter(|file| !in_tests(file)) {
            let name = file.strip_prefix(root.join(member)).expect("it is below").to_str().expect("a name").to_owned();
            let reason = places.iter().find(|(place, _)| *place == name).map(|(_, reason)| reason);
            match (speaks_of_a_system(file), reason) {
                (Some((number, line)), None) => panic!("{member}/{name}:{number} speaks of a system: {line}"),
                (None, Some(reason)) => panic!("{member}/{name} is listed ({reason}) and speaks of no system any more"),
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        for (place, reason) in places {
            assert!(root.join(member).join(place).is_file(), "{member}/{place} is listed ({reason}) and gone");
        }
    }
}

#[test]
fn a_word_of_a_system_is_seen_however_it_is_written() {
    for (line, found) in [
        ("// as in Paxos.", Some("paxos")),
        ("fn holder_of_lease() {}", Some("lease")),
        ("use x::LeaseMode;", Some("lease")),
        ("let leases = 3;", Some("lease")),
        ("a ballot-box", Some("ballot")),
        ("at least one earlier release was released", None),
        ("roles such as holder and coordinator", None),
    ] {
        assert_eq!(word_of_a_system(line), found, "{line}");
    }
}

/// Returns every line of the harness's sources outside tests, with its place.
fn lines_outside_tests() -> Vec<(String, String)> {
    fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("readable").map(|e| e.expect("readable").path()) {
            match entry {
                dir if dir.is_dir() && !dir.ends_with("tests") => files(&dir, found),
                file if file.extension().is_some_and(|e| e == "rs") && !file.ends_with("tests.rs") => found.push(file),
                _ => {}
            }
        }
    }
    let mut found = vec![];
    let harness = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder of engine and command");
    for part in ["engine/src", "cli/src"] {
        files(&harness.join(part), &mut found);
    }
    assert!(found.len() > 100, "the sources are found");
    let of_file = |file: std::path::PathBuf| {
        let text = std::fs::read_to_string(&file).expect("readable");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
        let name = file.display().to_string();
        code.lines().enumerate().map(|(i, line)| (format!("{name}:{}", i + 1), line.to_owned())).collect::<Vec<_>>()
    };
    found.into_iter().flat_map(of_file).collect()
}

/// Returns the first banned function that a line of code, other than a comment, calls.
fn calls<'a>(line: &str, banned: &[&'a str]) -> Option<&'a str> {
    let code = line.trim_start();
    let starts_word = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let called = |name: &&&str| code.match_indices(**name).any(|(at, _)| starts_word(at));
    if code.starts_with("//") { None } else { banned.iter().find(called).copied() }
}

/// Macros that panic if the reader is gone or the disk is full.
const PRINTS: [&str; 4] = ["println!(", "print!(", "eprintln!(", "eprint!("];

/// Functions that panic if no thread can be created.
const THREADS: [&str; 2] = ["thread::spawn(", "scope.spawn("];

#[test]
fn no_thread_is_started_in_a_way_that_panics() {
    for (place, line) in lines_outside_tests() {
        let found = THREADS.iter().find(|name| line.contains(**name) && !line.trim_start().starts_with("//"));
        assert_eq!(found, None, "{place}: use `limits::thread` or `Builder::spawn_scoped`");
    }
}

#[test]
fn only_the_output_module_prints() {
    for (place, line) in lines_outside_tests() {
        assert_eq!(calls(&line, &PRINTS), None, "{place}: use `outln!`, `out!`, `errln!` or `err!` (harness/engine/src/output.rs)");
    }
    assert_eq!(calls("    println!(\"x\");", &PRINTS), Some("println!("));
    assert_eq!(calls("    /// as `println!(` does", &PRINTS), None);
}

/// Returns whether a workspace with this manifest strips debug information from release builds, but keeps the names
/// shown in backtraces.
fn strips_debug_info(manifest: &str) -> bool {
    let manifest: toml::Table = manifest.parse().expect("a manifest is TOML");
    let release = manifest.get("profile").and_then(|p| p.get("release"));
    release.is_some_and(|r| r.get("strip").and_then(toml::Value::as_str) == Some("debuginfo") && r.get("debug").is_none())
}

#[test]
fn release_binaries_are_small_and_their_backtraces_have_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a workspace");
    assert!(strips_debug_info(&std::fs::read_to_string(root.join("Cargo.toml")).expect("a manifest")));
    for bad in ["", "[profile.release]\nstrip = true\n", "[profile.release]\nstrip = \"debuginfo\"\ndebug = \"line-tables-only\"\n"] {
        assert!(!strips_debug_info(bad), "{bad}");
    }
}

/// Crates that may contain `unsafe` code, because they make system calls. All others forbid it, so a memory error can
/// only originate in these crates.
const SYSTEM_CALLS: &[&str] = &["nodes/server", "harness/engine", "harness/cli"];

fn forbids_unsafe_code(lib: &str) -> bool {
    lib.lines().any(|line| line.trim() == "#![forbid(unsafe_code)]")
}

#[test]
fn crates_without_system_calls_forbid_unsafe_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace");
    for (member, _) in ARROWS.iter().filter(|(member, _)| !SYSTEM_CALLS.contains(member)) {
        let lib = std::fs::read_to_string(root.join(member).join("src/lib.rs")).expect("readable");
        assert!(forbids_unsafe_code(&lib), "{member}/src/lib.rs lacks #![forbid(unsafe_code)]");
    }
    assert!(!forbids_unsafe_code("// #![forbid(unsafe_code)]\n#![deny(unsafe_code)]"), "a comment or a weaker lint forbids nothing");
}

/// porcupine-rs depends on criterion without using it, so an empty crate replaces it. If the patch were lost, or did
/// not apply to a newer porcupine-rs, every build would silently build criterion again.
#[test]
fn criterion_is_never_built() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace");
    let lock: toml::Table = std::fs::read_to_string(root.join("Cargo.lock")).expect("readable").parse().expect("TOML");
    let packages = lock["package"].as_array().expect("a list");
    let criterion: Vec<_> = packages.iter().filter(|p| p["name"].as_str().is_some_and(|name| name.starts_with("criterion"))).collect();
    assert_eq!(criterion.len(), 1, "{criterion:?}");
    assert!(criterion[0].get("source").is_none(), "criterion comes from a registry: {criterion:?}");
}

/// Returns whether a workspace with this manifest checks arithmetic for overflow in release builds of every package.
fn checks_overflow(manifest: &str) -> bool {
    let manifest: toml::Table = manifest.parse().expect("a manifest is TOML");
    let on = |profile: &toml::Value| profile.get("overflow-checks").and_then(toml::Value::as_bool);
    let Some(release) = manifest.get("profile").and_then(|p| p.get("release")) else { return false };
    let packages = release.get("package").and_then(toml::Value::as_table);
    on(release) == Some(true) && packages.into_iter().flat_map(|p| p.values()).all(|p| on(p) != Some(false))
}

#[test]
fn release_builds_check_arithmetic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a workspace");
    assert!(checks_overflow(&std::fs::read_to_string(root.join("Cargo.toml")).expect("a manifest")));
    for off in
        ["", "[profile.release]\n", "[profile.release]\noverflow-checks = true\n[profile.release.package.x]\noverflow-checks = false\n"]
    {
        assert!(!checks_overflow(off), "{off}");
    }
}

/// The folder of the engine, which runs any system and depends on none.
const ENGINE: &str = "/harness/engine/src/";

/// Prefixes of the crates that belong to single systems.
const OF_A_SYSTEM: &[&str] = &[
    "heckle_paxos",
    "heckle_server",
    "heckle_sim",
    "heckle_system_paxos",
    "heckle_system_etcd",
    "heckle_system_external",
    "heckle_system_redis",
];

/// The file that names systems for the engine's own tests. It is not compiled into the engine.
const SYSTEMS_OF_TESTS: &str = "harness/engine/src/testing.rs";

fn is_of_engine(place: &str) -> bool {
    place.contains(ENGINE) && !place.contains(SYSTEMS_OF_TESTS)
}

/// Returns the system crate that a line of code names, if any.
fn names_a_system<'a>(place: &str, line: &str, crates: &[&'a str]) -> Option<&'a str> {
    let code = line.trim_start();
    if !is_of_engine(place) || code.starts_with("//") { None } else { crates.iter().find(|name| code.contains(**name)).copied() }
}

#[test]
fn the_engine_names_no_system() {
    let lines = lines_outside_tests();
    assert!(lines.iter().filter(|(place, _)| is_of_engine(place)).count() > 5_000, "the engine's sources are found");
    for (place, line) in lines {
        let found = names_a_system(&place, &line, OF_A_SYSTEM);
        assert_eq!(found, None, "{place}: ask the system through the traits of systems/api");
        let word = word_of_a_system(&line).filter(|_| is_of_engine(&place));
        assert_eq!(word, None, "{place}: the engine speaks of no system: {line}");
    }
    let planted = |place: &str, line: &str| names_a_system(place, line, OF_A_SYSTEM);
    assert_eq!(planted("x/harness/engine/src/load/mod.rs:7", "    use heckle_paxos::lease::RangeId;"), Some("heckle_paxos"));
    assert_eq!(
        planted("x/harness/engine/src/cluster/mod.rs:7", "    let c = heckle_server::control::Client::new();"),
        Some("heckle_server")
    );
    assert!(is_of_engine("x/harness/engine/src/plan/mod.rs:7") && word_of_a_system("    pub lease: LeaseSettings,") == Some("lease"));
    assert_eq!(planted("x/harness/cli/src/verbs/node.rs:7", "use heckle_server::run_node;"), None, "the command may");
    assert_eq!(planted("x/harness/engine/src/load/mod.rs:7", "// as heckle_server does"), None);
}

/// The remaining import cycles, by crate folder. No new ones may be added.
const CIRCLES: &[(&str, &[&str])] = &[
    ("faults", &["fault", "kind"]),
    (
        "results",
        &["figures::bottleneck", "figures::faults", "figures::measure", "records::fairness", "records::results_json", "text::terminal"],
    ),
];

#[test]
fn no_modules_of_a_crate_import_each_other_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace");
    let members = ARROWS.iter().map(|(member, _)| *member).chain(["harness/engine", "harness/cli"]).collect::<BTreeSet<_>>();
    let mut found = BTreeSet::new();
    for member in members {
        let sources = circles::sources(&root.join(member).join("src"));
        assert!(!sources.is_empty(), "the sources of {member} are found");
        found.extend(circles::circles(&sources).into_iter().map(|circle| (member.to_owned(), circle)));
    }
    let known: BTreeSet<(String, Vec<String>)> =
        CIRCLES.iter().map(|(member, circle)| ((*member).to_owned(), circle.iter().map(|name| (*name).to_owned()).collect())).collect();
    let new: Vec<_> = found.difference(&known).collect();
    assert!(new.is_empty(), "these modules import each other in a circle: {new:#?}");
    let opened: Vec<_> = known.difference(&found).collect();
    assert!(opened.is_empty(), "these circles are open now: take them off the list: {opened:#?}");
}
