//! The last step of a run: writes all files derived from its history into its folder.

use crate::charts::{self, Caption, Scene};
use crate::report::{self, NodeFiles, PageInput};
use crate::results_json::Results;
use crate::run_folder::{self, RunFolder};
use crate::{hlog, input, junit, measure, prometheus, series, summary};
use heckle_history::History;
use std::io;

/// Files that already exist once the history has been recorded, by their artifact names.
const RECORDED_FILES: [(&str, &str); 6] = [
    ("history", "history.jsonl.zst"),
    ("plan", "plan.resolved.toml"),
    ("env", "env.json"),
    ("rerun", "rerun.sh"),
    ("schedule", "schedule.jsonl"),
    ("log", "heckle.log"),
];

/// Maximum number of bytes to read from a node's log or samples, enough for a run of several days.
const MAX_NODE_FILE_BYTES: u64 = 64 << 20;

/// Writes charts, `timeseries.json`, `latency.hlog`, `metrics.prom`, `summary.md`, `junit.xml` and `report.html`, and finally the results, the
/// index line and the links. `results` must have been judged and [concluded](Results::conclude); this function fills in its
/// artifacts.
///
/// # Errors
/// If the file system reports an error.
pub fn write_all(folder: &RunFolder, history: &History, results: &mut Results, started_unix_s: u64) -> io::Result<()> {
    derive(folder, history, results, started_unix_s)?;
    folder.finish(results)
}

/// Writes the same files, but not the index line and the links, for a history that is checked again.
///
/// # Errors
/// If the file system reports an error.
pub fn derive(folder: &RunFolder, history: &History, results: &mut Results, started_unix_s: u64) -> io::Result<()> {
    let measured = measure::analyze(history);
    let series = series::of(history);
    let caption = Caption::of(results);
    let violations = charts::violations(history, results);
    let scene = Scene { history, measured: &measured, series: &series, caption: &caption, violations: &violations };
    let pictures = charts::draw(scene);
    let mut artifact = |name: &str, file: &str, bytes: &[u8]| -> io::Result<()> {
        results.artifacts.insert(name.to_owned(), file.to_owned());
        folder.write(file, bytes)
    };
    for picture in &pictures {
        artifact(picture.name, picture.file, &picture.png)?;
    }
    artifact("timeseries", "timeseries.json", series.to_json().as_bytes())?;
    artifact("latency_hlog", "latency.hlog", &hlog::log(history, started_unix_s))?;
    for (name, file) in RECORDED_FILES.iter().filter(|(_, file)| folder.path(file).is_file()) {
        results.artifacts.insert((*name).to_owned(), (*file).to_owned());
    }
    for (name, file) in [("summary", "summary.md"), ("junit", "junit.xml"), ("report", "report.html")] {
        results.artifacts.insert(name.into(), file.into());
    }
    folder.write("summary.md", summary::markdown(results, &folder.root().display().to_string()).as_bytes())?;
    folder.write("junit.xml", junit::xml(results).as_bytes())?;
    let rerun = format!("heckle rerun {}", crate::rerun::quote(&results.run_id));
    let nodes: Vec<NodeFiles> = history.names.nodes().map(|(_, name)| node_files(folder, name)).collect();
    let samples: Vec<_> = nodes.iter().filter_map(|n| Some((n.name.clone(), prometheus::last_sample(&n.metrics)?))).collect();
    results.artifacts.insert("prometheus".into(), prometheus::FILE.into());
    folder.write(prometheus::FILE, prometheus::of_run(results, Some(history), &samples).as_bytes())?;
    let subject = PageInput { history, measured: &measured, results, nodes: &nodes, pictures: &pictures, rerun: &rerun };
    folder.write("report.html", report::page(subject).as_bytes())?;
    folder.write_results(results)
}

/// Reads the files of a node. They are empty for a system without such files.
fn node_files(folder: &RunFolder, name: &str) -> NodeFiles {
    // An imported history may contain any node name, even `../..`. Such a name has no folder here.
    if run_folder::slug(name) != name {
        return NodeFiles { name: name.into(), ..NodeFiles::default() };
    }
    let read = |file: &str| {
        // Unreadable files are left out of the page. They remain in the folder.
        input::beginning(&folder.node(name).join(file), MAX_NODE_FILE_BYTES)
    };
    NodeFiles { name: name.into(), log: read("node.log"), metrics: read("metrics.jsonl") }
}
