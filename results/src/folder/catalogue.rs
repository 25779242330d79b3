//! The contents of a folder of runs: runs, suites, comparisons and sweeps. A run in the folder of a suite, comparison or sweep
//! is part of it.

use crate::alive;
use crate::atomic;
use crate::filter::{Facts, Filter, Kind};
use crate::index::{self, RunLine};
use crate::input;
use crate::results_json::{RunVerdict, Status};
use crate::suite::suite_json::Owner;
use crate::utc::UnixSeconds;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// The files that identify a folder of several runs.
const GROUPS: [(&str, Kind); 3] = [("suite.json", Kind::Suite), ("compare.json", Kind::Comparison), ("sweep.json", Kind::Sweep)];

/// Maximum length of a reason in the list, in characters.
const MAX_REASON: usize = 500;

/// A run, suite, comparison or sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// Run, suite, comparison or sweep.
    pub kind: Kind,
    /// Path of its folder, relative to the folder of all runs.
    pub path: String,
    /// Name of the plan, suite, comparison or sweep.
    pub name: String,
    /// Start time.
    pub started_utc: String,
    /// Whether it has ended.
    pub status: Status,
    /// Its verdict. For a suite, comparison or sweep, it follows from the exit code.
    pub verdict: RunVerdict,
    /// Its exit code.
    pub exit_code: i32,
    /// The first reason for the verdict.
    pub reason: String,
    /// Path of the suite, comparison or sweep to which it belongs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_of: Option<String>,
    /// The index line, for a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunLine>,
}

/// The contents of a folder of runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalogue {
    /// All entries, oldest first.
    pub entries: Vec<Entry>,
}

impl Entry {
    /// Returns the start time, if known.
    pub fn started(&self) -> Option<UnixSeconds> {
        let id = self.path.rsplit('/').next().unwrap_or_default();
        UnixSeconds::from_iso(&self.started_utc).or_else(|| UnixSeconds::from_compact(id))
    }

    /// Returns the facts that a filter examines.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            kind: self.kind,
            name: &self.name,
            status: self.status,
            verdict: self.verdict,
            exit_code: self.exit_code,
            started: self.started(),
            is_part: self.part_of.is_some(),
        }
    }

    fn of_run(line: RunLine, part_of: Option<&str>) -> Self {
        Entry {
            kind: Kind::Run,
            path: line.path.clone(),
            name: line.plan.clone(),
            started_utc: line.started_utc.clone(),
            status: line.status,
            verdict: line.verdict,
            exit_code: line.exit_code,
            reason: line.reason.clone(),
            part_of: part_of.map(str::to_owned),
            run: Some(line),
        }
    }
}

impl Catalogue {
    /// Reads everything below `out`. Does not follow links. If `out` does not exist, the catalogue is empty.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn read(out: &Path) -> io::Result<Self> {
        let mut walk = Walk { out, lines: BTreeMap::new(), entries: vec![] };
        walk.folder(out, 0, None)?;
        let mut entries = walk.entries;
        revive_groups(&mut entries);
        entries.sort_by(|a, b| (a.started(), &a.path).cmp(&(b.started(), &b.path)));
        Ok(Catalogue { entries })
    }

    /// Returns the entries shown by a filter, oldest first.
    pub fn shown<'a>(&'a self, filter: &'a Filter) -> impl DoubleEndedIterator<Item = &'a Entry> {
        self.entries.iter().filter(|e| filter.shows(e.facts()))
    }

    /// Returns the number of entries that a filter selects but does not show because they are parts of others.
    pub fn hidden(&self, filter: &Filter) -> usize {
        self.entries.iter().filter(|e| filter.selects(e.facts()) && !filter.shows(e.facts())).count()
    }

    /// Returns the names of all plans, suites, comparisons and sweeps, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.entries.iter().map(|e| e.name.as_str()).filter(|n| !n.is_empty()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Returns the entry at a path.
    pub fn at(&self, path: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.path == path)
    }

    /// Returns the runs in progress, newest first.
    pub fn running(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev().filter(|e| e.kind == Kind::Run && e.status == Status::Running && e.verdict != RunVerdict::Error)
    }
}

struct Walk<'a> {
    out: &'a Path,
    /// Lines of all indexes, by path below `out`. Each suite has its own index.
    lines: BTreeMap<String, RunLine>,
    entries: Vec<Entry>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, depth: usize, part_of: Option<&str>) -> io::Result<()> {
        let path = index::relative(self.out, folder);
        if depth > 0 && folder.join("results.json").is_file() {
            let line = self.lines.remove(&path).unwrap_or_else(|| index::line_of_folder(folder, &path));
            self.entries.push(Entry::of_run(line, part_of));
            return Ok(());
        }
        self.add_lines(folder, &path)?;
        let found = GROUPS.iter().find(|(file, _)| depth > 0 && folder.join(file).is_file());
        if let Some((file, kind)) = found {
            self.entries.push(group(folder, &path, file, *kind, part_of));
        }
        let inner = if found.is_some() { Some(path.as_str()) } else { part_of };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            // Another process may delete folders at the same time.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(atomic::at(folder, e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| atomic::at(folder, e))?;
            if depth < index::MAX_DEPTH && entry.file_type().is_ok_and(|t| t.is_dir()) {
                self.folder(&entry.path(), depth + 1, inner)?;
            }
        }
        Ok(())
    }

    fn add_lines(&mut self, folder: &Path, path: &str) -> io::Result<()> {
        if !folder.join(index::FILE).is_file() {
            return Ok(());
        }
        for (below, mut line) in index::stored_lines(folder)? {
            line.path = if path.is_empty() { below } else { format!("{path}/{below}") };
            self.lines.insert(line.path.clone(), line);
        }
        Ok(())
    }
}

/// The fields that the files of suites, comparisons and sweeps have in common. Each is parsed separately, so that a field of
/// an unexpected type does not make the others unreadable.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Head {
    name: Json,
    status: Json,
    exit_code: Json,
    reasons: Json,
    verdict: Json,
    started_utc: Json,
    owner: Json,
}

fn group(folder: &Path, path: &str, file: &str, kind: Kind, part_of: Option<&str>) -> Entry {
    let text = input::text(&folder.join(file), input::SUITE).map_err(|e| e.to_string());
    let head = text.and_then(|text| serde_json::from_str::<Head>(&text).map_err(|e| e.to_string()));
    let mut parts = path.rsplit('/').skip(1);
    let of_folder = parts.next().unwrap_or(path).to_owned();
    let entry = Entry {
        kind,
        path: path.to_owned(),
        name: of_folder,
        started_utc: String::new(),
        status: Status::Done,
        verdict: RunVerdict::Error,
        exit_code: 4,
        reason: String::new(),
        part_of: part_of.map(str::to_owned),
        run: None,
    };
    let head = match head {
        Ok(head) => head,
        Err(why) => return Entry { reason: format!("{file} cannot be read: {why}"), ..entry },
    };
    let exit_code = head.exit_code.as_i64().and_then(|c| i32::try_from(c).ok()).unwrap_or(2);
    let owner: Option<Owner> = serde_json::from_value(head.owner).ok().filter(|o: &Owner| o.pid != 0);
    let status = match serde_json::from_value(head.status).unwrap_or(Status::Done) {
        Status::Running if !is_worked_on(folder, file, owner) => Status::Killed,
        status => status,
    };
    Entry {
        name: head.name.as_str().map_or(entry.name, str::to_owned),
        started_utc: head.started_utc.as_str().unwrap_or_default().to_owned(),
        status,
        verdict: verdict_of(exit_code),
        exit_code,
        reason: first_words(&head.reasons).or_else(|| first_words(&head.verdict)).unwrap_or_default(),
        ..entry
    }
}

/// Returns the first of a list of sentences, or the only one.
fn first_words(words: &Json) -> Option<String> {
    let first = words.as_str().or_else(|| words.get(0).and_then(Json::as_str))?;
    Some(crate::terminal::shorten(first, MAX_REASON))
}

fn is_worked_on(folder: &Path, file: &str, owner: Option<Owner>) -> bool {
    match owner {
        Some(owner) => alive::process_exists(owner.pid, owner.start_time),
        None => alive::any_changed_recently(folder, &[file, index::FILE]),
    }
}

fn verdict_of(exit_code: i32) -> RunVerdict {
    match exit_code {
        0 => RunVerdict::Valid,
        1 => RunVerdict::Invalid,
        3 => RunVerdict::GateMissed,
        4 => RunVerdict::Error,
        _ => RunVerdict::Unknown,
    }
}

/// Marks a group as in progress if one of its runs is, even if its own files have not changed for a long time.
fn revive_groups(entries: &mut [Entry]) {
    let is_running = |e: &&Entry| e.kind == Kind::Run && e.status == Status::Running && e.verdict != RunVerdict::Error;
    let busy: Vec<String> = entries.iter().filter(is_running).filter_map(|e| e.part_of.clone()).collect();
    for entry in entries.iter_mut().filter(|e| e.status == Status::Killed && busy.contains(&e.path)) {
        entry.status = Status::Running;
    }
}

#[cfg(test)]
mod tests;
