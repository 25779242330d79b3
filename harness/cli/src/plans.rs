//! The plans under `plans/`, embedded in the program so that `heckle suite quick` works in any folder, and the lookup of a plan
//! named on a command line.

mod without; // planted bugs without a plan

pub(crate) use without::{WITHOUT_PLAN, without_plan};

use crate::plan::file;
use crate::plan::settings::Settings;
use crate::systems;
use heckle_history::printable::printable;
use heckle_results::input;
use std::path::Path;

/// A plan embedded in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embedded {
    /// Its path below `plans/` without the extension: `quick`, `mutants/no-backoff`.
    pub name: &'static str,
    /// The text of the file.
    pub text: &'static str,
}

/// All embedded plans, sorted by name. `build.rs` writes the list, so a new file under `plans/` is included automatically.
pub const EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/plans.rs"));

/// Folder of the plans that each expose the planted bug of the same name.
const MUTANTS: &str = "mutants/";
/// Folder of the comparisons and sweeps behind `--preset`.
const PRESETS: &str = "presets/";

impl Embedded {
    /// Parses the plan.
    ///
    /// # Panics
    /// Never: a test parses every embedded plan.
    pub fn settings(&self) -> Settings {
        file::parse(self.text, self.name, systems::all()).expect("the embedded plans are tested")
    }

    /// Whether the plan is a sweep.
    fn is_sweep(&self) -> bool {
        self.text.lines().any(|line| line.trim() == "[sweep]")
    }

    /// Returns the text to show on a terminal, without the schema line, which is for editors.
    pub fn terminal_text(&self) -> &'static str {
        let text = self.text.trim_end();
        if text.starts_with("#:schema") { text.split_once('\n').map_or(text, |(_, rest)| rest) } else { text }
    }
}

/// Finds an embedded plan by name.
pub fn find(name: &str) -> Option<&'static Embedded> {
    EMBEDDED.iter().find(|plan| plan.name == name)
}

/// Finds the plan that exposes a planted bug.
pub fn exposing_plan(mutant: &str) -> Option<&'static Embedded> {
    mutants().find(|(name, _)| *name == mutant).map(|(_, plan)| plan)
}

/// Returns the planted bugs that have a plan, each with its plan.
pub fn mutants() -> impl Iterator<Item = (&'static str, &'static Embedded)> {
    EMBEDDED.iter().filter_map(|plan| Some((plan.name.strip_prefix(MUTANTS)?, plan)))
}

/// Returns the values of `heckle compare --preset`, each with its plan.
pub fn presets() -> impl Iterator<Item = (&'static str, &'static Embedded)> {
    all_presets().filter(|(_, plan)| !plan.is_sweep())
}

/// Returns the values of `heckle sweep --preset`, each with its plan.
pub fn sweep_presets() -> impl Iterator<Item = (&'static str, &'static Embedded)> {
    all_presets().filter(|(_, plan)| plan.is_sweep())
}

fn all_presets() -> impl Iterator<Item = (&'static str, &'static Embedded)> {
    EMBEDDED.iter().filter_map(|plan| Some((plan.name.strip_prefix(PRESETS)?, plan)))
}

/// Reads the plan named on a command line: a file or an embedded plan.
///
/// A word is a path if it ends in `.toml`, or if it contains a `/` and names an existing file. Otherwise it is the name of an
/// embedded plan if there is one, so a file called `quick` in the current folder does not replace the plan `quick`. To read that
/// file, write `./quick`.
///
/// # Errors
/// If the plan is invalid (the message states what is wrong and where), or there is no such plan (the message names the
/// most similar embedded plan).
pub fn read(asked: &Path) -> Result<Settings, String> {
    let word = asked.to_string_lossy();
    let looks_like_a_path = word.ends_with(".toml") || (word.contains('/') && asked.exists() && !asked.is_dir());
    match find(&word) {
        Some(plan) if !looks_like_a_path => Ok(plan.settings()),
        None if !looks_like_a_path && !asked.exists() => Err(unknown_plan_error(&word)),
        Some(_) | None => {
            let text = input::text(asked, input::PLAN)
                .map_err(|e| format!("cannot read the plan {}: {e}{}", asked.display(), similar_plan_hint(&word)))?;
            let mut settings = file::parse(&text, &asked.display().to_string(), systems::all())?;
            if let Some(folder) = asked.canonicalize().ok().as_deref().and_then(Path::parent) {
                settings.set_folder(folder);
            }
            if let Some(words) = moved_settings_notice(&settings) {
                errln!("{}: {words}", printable(&asked.display().to_string()));
            }
            Ok(settings)
        }
    }
}

/// Returns a notice if system settings were found in `[cluster]`, where earlier releases expected them.
fn moved_settings_notice(settings: &Settings) -> Option<String> {
    let keys: Vec<&str> = settings.cluster.of_system.keys().map(String::as_str).collect();
    let table = keys.first().and_then(|key| systems::all().with_key(key))?.table();
    Some(format!("{} in [cluster]: read, but since this release the place for that is [system.{table}]", keys.join(", ")))
}

/// Guesses which embedded plan a word refers to: `plans/quick.toml` in a folder without that file, or `no-backoff`.
fn similar_plan(word: &str) -> Option<&'static str> {
    let bare = word.rsplit_once("plans/").map_or(word, |(_, below)| below);
    let bare = bare.strip_suffix(".toml").unwrap_or(bare);
    let mut names = EMBEDDED.iter().map(|plan| plan.name);
    names.clone().find(|name| *name == bare).or_else(|| names.find(|name| name.rsplit('/').next() == Some(bare)))
}

/// Returns the hint appended to the error for an unreadable file.
fn similar_plan_hint(word: &str) -> String {
    similar_plan(word).map_or(String::new(), |name| format!("; heckle carries a plan called `{name}`"))
}

fn unknown_plan_error(word: &str) -> String {
    if let Some(why) = word.strip_prefix(MUTANTS).and_then(without_plan) {
        return format!("there is no plan `{word}`, {why}");
    }
    let all: Vec<&str> = EMBEDDED.iter().map(|plan| plan.name).collect();
    let near = match similar_plan(word) {
        Some(name) => format!("did you mean `{name}`?"),
        None => file::did_you_mean(word, &all),
    };
    let near = if near.starts_with("did you") { format!("; {near}") } else { String::new() };
    format!("there is no file `{word}` and no embedded plan of that name{near}\n{}", list_embedded())
}

/// Lists all embedded plans, one folder per line.
pub fn list_embedded() -> String {
    let names = |of: &mut dyn Iterator<Item = &'static str>| of.collect::<Vec<_>>().join(", ");
    let top = names(&mut EMBEDDED.iter().map(|plan| plan.name).filter(|name| !name.contains('/')));
    let presets = names(&mut all_presets().map(|(name, _)| name));
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
    fn every_embedded_plan_resolves_and_documents_its_command() {
        for embedded in EMBEDDED {
            let mut settings = embedded.settings();
            let verb = match (settings.suite.is_some(), settings.arm.is_empty()) {
                _ if settings.sweep.is_some() => "sweep",
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
                Some(("presets", preset)) => format!("{verb}-{preset}"),
                Some(("systems", name)) => name.to_owned(),
                Some((folder, _)) => panic!("plans/{folder} is new: say here what its plans are called"),
            };
            assert_eq!(plan.name, expected);
            Matrix::of(&settings, &crate::verbs::mutants::matrix_context(), None, None)
                .unwrap_or_else(|e| panic!("{}: {e}", embedded.name));
        }
    }

    #[track_caller]
    fn refused(word: &str, parts: &[&str]) {
        let error = read(Path::new(word)).expect_err("refused");
        assert!(parts.iter().all(|part| error.contains(part)), "`{error}` lacks one of {parts:?}");
    }

    #[test]
    fn finds_a_plan_by_name_or_by_path() {
        assert_eq!(read(Path::new("quick")).expect("embedded").name.as_deref(), Some("quick"));
        assert_eq!(read(Path::new("mutants/no-backoff")).expect("embedded").cluster.mutant.as_deref(), Some("no-backoff"));
        // By path, relative to the crate's folder, where tests run.
        assert_eq!(read(Path::new("../../plans/quick.toml")), read(Path::new("quick")));
        refused(
            "quik",
            &["did you mean `quick`?", "embedded plans: all-faults, mixed, nightly, power-loss, quick", "presets/ backoff", "no-backoff"],
        );
        refused("no-backof", &["embedded plans:"]);
        refused("no-backoff", &["did you mean `mutants/no-backoff`?"]);
        refused("plans/quick", &["did you mean `quick`?"]);
        refused("nowhere/plans/nightly.toml", &["cannot read the plan nowhere/plans/nightly.toml", "carries a plan called `nightly`"]);
        refused("mutants/promise-not-synced", &["there is no plan", "a loss of power"]);
        refused("Cargo.toml", &["Cargo.toml, line"]);
    }

    #[test]
    fn a_file_takes_precedence_only_if_the_word_looks_like_a_path() {
        let folder = std::env::temp_dir().join(format!("heckle-plans-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("mutants")).expect("a folder");
        let path = folder.join("mutants/no-backoff");
        std::fs::write(&path, "schema = \"heckle.plan/1\"\nname = \"own\"\n").expect("writable");
        let named = read(&path).map(|settings| settings.name);
        std::fs::remove_dir_all(&folder).expect("removable");
        assert_eq!(named, Ok(Some("own".into())));
    }
}
