//! The plans under `plans/`, embedded in the program, so that `heckle suite quick` works in any folder; and how the plan that a command
//! line names is found.

use crate::plan::file;
use crate::plan::settings::Settings;
use crate::systems;
use heckle_history::printable::printable;
use heckle_results::input;
use std::path::Path;

/// A plan that the program carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embedded {
    /// Its path below `plans/` without the ending: `quick`, `mutants/no-backoff`.
    pub name: &'static str,
    /// The text of the file.
    pub text: &'static str,
}

/// All of them, by name. `build.rs` writes the list, so a file under `plans/` needs no line here.
pub const EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/plans.rs"));

/// The folder of plans that each expose the planted bug they are named after.
const MUTANTS: &str = "mutants/";
/// The folder of comparisons that need no plan.
const PRESETS: &str = "presets/";

impl Embedded {
    /// Its settings.
    ///
    /// # Panics
    /// Never: a test reads all of them.
    pub fn settings(&self) -> Settings {
        file::parse(self.text, self.name, systems::all()).expect("the embedded plans are tested")
    }

    /// What is said of it on a terminal: all but the line that is for editors.
    pub fn for_people(&self) -> &'static str {
        let text = self.text.trim_end();
        if text.starts_with("#:schema") { text.split_once('\n').map_or(text, |(_, rest)| rest) } else { text }
    }
}

/// The embedded plan of that name.
pub fn find(name: &str) -> Option<&'static Embedded> {
    EMBEDDED.iter().find(|plan| plan.name == name)
}

/// The plan that exposes a planted bug.
pub fn of_mutant(mutant: &str) -> Option<&'static Embedded> {
    mutants().find(|(name, _)| *name == mutant).map(|(_, plan)| plan)
}

/// The planted bugs that have a plan, each with its plan.
pub fn mutants() -> impl Iterator<Item = (&'static str, &'static Embedded)> {
    EMBEDDED.iter().filter_map(|plan| Some((plan.name.strip_prefix(MUTANTS)?, plan)))
}

/// The comparisons that need no plan: what `--preset` takes, and the plan.
pub fn presets() -> impl Iterator<Item = (&'static str, &'static Embedded)> {
    EMBEDDED.iter().filter_map(|plan| Some((plan.name.strip_prefix(PRESETS)?, plan)))
}

/// Reads the plan that a command line names: a file, or an embedded plan.
///
/// A word that ends in `.toml`, or that has a `/` and is an existing file, is a file. Any other is the name of an embedded plan if there
/// is one, so a file called `quick` in the current folder does not replace the plan `quick`; `./quick` names that file.
///
/// # Errors
/// What is wrong with the plan, and where; or the nearest embedded plan.
pub fn read(asked: &Path) -> Result<Settings, String> {
    let word = asked.to_string_lossy();
    let looks_like_a_path = word.ends_with(".toml") || (word.contains('/') && asked.exists() && !asked.is_dir());
    match find(&word) {
        Some(plan) if !looks_like_a_path => Ok(plan.settings()),
        None if !looks_like_a_path && !asked.exists() => Err(no_plan(&word)),
        Some(_) | None => {
            let text =
                input::text(asked, input::PLAN).map_err(|e| format!("cannot read the plan {}: {e}{}", asked.display(), hint(&word)))?;
            let mut settings = file::parse(&text, &asked.display().to_string(), systems::all())?;
            if let Some(folder) = asked.canonicalize().ok().as_deref().and_then(Path::parent) {
                settings.set_folder(folder);
            }
            if let Some(words) = moved(&settings) {
                errln!("{}: {words}", printable(&asked.display().to_string()));
            }
            Ok(settings)
        }
    }
}

/// What is said of settings of a system that stand in `[cluster]`, as in plans of earlier releases.
fn moved(settings: &Settings) -> Option<String> {
    let keys: Vec<&str> = settings.cluster.of_system.keys().map(String::as_str).collect();
    let table = keys.first().and_then(|key| systems::all().with_key(key))?.table();
    Some(format!("{} in [cluster]: read, but since this release the place for that is [system.{table}]", keys.join(", ")))
}

/// The name of the embedded plan that a word most likely means: `plans/quick.toml` in a folder without it, or `no-backoff`.
fn meant(word: &str) -> Option<&'static str> {
    let bare = word.rsplit_once("plans/").map_or(word, |(_, below)| below);
    let bare = bare.strip_suffix(".toml").unwrap_or(bare);
    let mut names = EMBEDDED.iter().map(|plan| plan.name);
    names.clone().find(|name| *name == bare).or_else(|| names.find(|name| name.rsplit('/').next() == Some(bare)))
}

/// For the error of a file that cannot be read.
fn hint(word: &str) -> String {
    meant(word).map_or(String::new(), |name| format!("; heckle carries a plan called `{name}`"))
}

fn no_plan(word: &str) -> String {
    if let Some(why) = word.strip_prefix(MUTANTS).and_then(crate::verbs::mutants::without_plan) {
        return format!("there is no plan `{word}`, {why}");
    }
    let all: Vec<&str> = EMBEDDED.iter().map(|plan| plan.name).collect();
    let near = match meant(word) {
        Some(name) => format!("did you mean `{name}`?"),
        None => file::did_you_mean(word, &all),
    };
    let near = if near.starts_with("did you") { format!("; {near}") } else { String::new() };
    format!("there is no file `{word}` and no embedded plan of that name{near}\n{}", listed())
}

/// All embedded plans, a folder a line.
pub fn listed() -> String {
    let names = |of: &mut dyn Iterator<Item = &'static str>| of.collect::<Vec<_>>().join(", ");
    let top = names(&mut EMBEDDED.iter().map(|plan| plan.name).filter(|name| !name.contains('/')));
    let presets = names(&mut presets().map(|(name, _)| name));
    let mutants = names(&mut mutants().map(|(name, _)| name));
    format!("embedded plans: {top}\n  presets/ {presets}\n  mutants/ {mutants}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::suite::matrix::Matrix;
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for path in std::fs::read_dir(folder).expect("readable").map(|e| e.expect("readable").path()) {
            if path.is_dir() { files(&path, found) } else { found.push(path) }
        }
    }

    #[test]
    fn every_file_under_plans_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a workspace").join("plans");
        let mut found = vec![];
        files(&root, &mut found);
        let on_disk: BTreeSet<String> = found
            .iter()
            .map(|path| {
                let name = path.strip_prefix(&root).expect("below").to_string_lossy().into_owned();
                let text = std::fs::read_to_string(path).expect("readable");
                let name = name.strip_suffix(".toml").unwrap_or_else(|| panic!("plans/{name} is no plan")).to_owned();
                assert_eq!(find(&name).map(|plan| plan.text), Some(text.as_str()), "{name}");
                name
            })
            .collect();
        assert_eq!(on_disk, EMBEDDED.iter().map(|plan| plan.name.to_owned()).collect());
        assert!(on_disk.contains("quick") && on_disk.contains("mutants/no-backoff") && on_disk.contains("presets/lease"));
    }

    #[test]
    fn every_embedded_plan_resolves_and_says_how_it_is_run() {
        for embedded in EMBEDDED {
            let mut settings = embedded.settings();
            let verb = match (settings.suite.is_some(), settings.arm.is_empty()) {
                (true, _) => "suite",
                (false, true) => "run",
                (false, false) => "compare",
            };
            let command = format!("\n#   heckle {verb} {}", embedded.name);
            assert!(embedded.text.contains(&command), "{} does not say `{}`", embedded.name, command.trim_start());
            settings.arm.clear();
            let plan = Plan::resolve(&settings, crate::systems::all()).unwrap_or_else(|e| panic!("{}: {e}", embedded.name));
            let expected = match embedded.name.split_once('/') {
                None => embedded.name.to_owned(),
                Some(("mutants", mutant)) => format!("mutant-{mutant}"),
                Some(("presets", preset)) => format!("compare-{preset}"),
                Some(("systems", name)) => name.to_owned(),
                Some((folder, _)) => panic!("plans/{folder} is new: say here what its plans are called"),
            };
            assert_eq!(plan.name, expected);
            Matrix::of(&settings, &crate::verbs::mutants::of_matrix(), None, None).unwrap_or_else(|e| panic!("{}: {e}", embedded.name));
        }
    }

    #[track_caller]
    fn refused(word: &str, parts: &[&str]) {
        let error = read(Path::new(word)).expect_err("refused");
        assert!(parts.iter().all(|part| error.contains(part)), "`{error}` lacks one of {parts:?}");
    }

    #[test]
    fn a_plan_is_found_by_name_or_by_path() {
        assert_eq!(read(Path::new("quick")).expect("embedded").name.as_deref(), Some("quick"));
        assert_eq!(read(Path::new("mutants/no-backoff")).expect("embedded").cluster.mutant.as_deref(), Some("no-backoff"));
        // The old way, by path: tests run in the crate's folder.
        assert_eq!(read(Path::new("../../plans/quick.toml")), read(Path::new("quick")));
        refused("quik", &["did you mean `quick`?", "embedded plans: mixed, nightly, quick", "presets/ backoff", "no-backoff"]);
        refused("no-backof", &["embedded plans:"]);
        refused("no-backoff", &["did you mean `mutants/no-backoff`?"]);
        refused("plans/quick", &["did you mean `quick`?"]);
        refused("nowhere/plans/nightly.toml", &["cannot read the plan nowhere/plans/nightly.toml", "carries a plan called `nightly`"]);
        refused("mutants/promise-not-synced", &["there is no plan", "loss of power"]);
        refused("Cargo.toml", &["Cargo.toml, line"]);
    }

    #[test]
    fn a_file_wins_only_where_the_word_looks_like_a_path() {
        let folder = std::env::temp_dir().join(format!("heckle-plans-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("mutants")).expect("a folder");
        let path = folder.join("mutants/no-backoff");
        std::fs::write(&path, "schema = \"heckle.plan/1\"\nname = \"own\"\n").expect("writable");
        let named = read(&path).map(|settings| settings.name);
        std::fs::remove_dir_all(&folder).expect("removable");
        assert_eq!(named, Ok(Some("own".into())));
    }
}
