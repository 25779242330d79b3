//! A run in progress: its state, its page, and its figures for Prometheus.

use super::Site;
use super::request::{NOT_FOUND, Refusal, Request, is_plain};
use super::response::Response;
use super::tree::{self, Node};
use heckle_results::catalogue::{Catalogue, Entry};
use heckle_results::filter::Kind;
use heckle_results::live_json::{self, LiveRun};
use heckle_results::prometheus::{self, NodeSample};
use heckle_results::results_json::{Results, RunVerdict, Status};
use heckle_results::site::{self, LiveView};

/// Maximum size of a `results.json` to read for a page, in bytes. A larger one can be downloaded.
const MAX_RESULTS: u64 = 16 << 20;
/// Maximum size of a file of figures, in bytes.
const MAX_FIGURES: u64 = 8 << 20;
/// Number of bytes to read from the end of a node's samples to find the last one.
const MAX_SAMPLE: u64 = 64 << 10;

fn parts_of(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

/// Returns the live state of the run at a path, if the run is in progress and writes one.
pub(super) fn live_run(site: &Site, path: &str) -> Option<LiveRun> {
    let text = tree::text(&site.options.out, &parts_of(path), &[live_json::FILE], live_json::MAX_BYTES)?;
    LiveRun::from_json(&text)
}

/// Returns the results of a run, with its current status.
pub(super) fn results(site: &Site, path: &str) -> Option<Results> {
    let mut results = Results::from_json(&tree::text(&site.options.out, &parts_of(path), &["results.json"], MAX_RESULTS)?).ok()?;
    heckle_results::alive::update_status(&mut results, &site.options.out.join(path));
    Some(results)
}

fn is_running(entry: &Entry) -> bool {
    entry.kind == Kind::Run && entry.status == Status::Running && entry.verdict != RunVerdict::Error
}

/// Returns the requested run.
fn asked<'a>(request: &'a Request, catalogue: &'a Catalogue) -> Result<Option<&'a Entry>, Refusal> {
    let run = request.query.iter().find(|(key, path)| key == "run" && !path.is_empty());
    let found = run.map(|(_, path)| catalogue.at(path).filter(|e| e.kind == Kind::Run).ok_or(Refusal(404, "there is no such run")));
    found.transpose()
}

fn catalogue(site: &Site) -> Result<std::sync::Arc<Catalogue>, Refusal> {
    site.catalogue().map_err(|_| Refusal(500, "the folder of all runs cannot be read"))
}

/// Returns the live page.
pub(super) fn live(request: &Request, site: &Site) -> Result<Response, Refusal> {
    let catalogue = catalogue(site)?;
    let entry = asked(request, &catalogue)?.or_else(|| catalogue.running().next());
    let live = entry.filter(|e| is_running(e)).and_then(|e| live_run(site, &e.path));
    let others: Vec<&Entry> = catalogue.running().filter(|e| entry.is_none_or(|shown| shown.path != e.path)).collect();
    Ok(Response::page(site::live(LiveView { entry, live: live.as_ref(), others: &others })))
}

/// Returns the figures of the requested run, or else of the newest one in progress, or else of the latest.
pub(super) fn metrics(request: &Request, site: &Site) -> Result<Response, Refusal> {
    let catalogue = catalogue(site)?;
    let latest = || catalogue.entries.iter().rev().find(|e| e.kind == Kind::Run && e.verdict != RunVerdict::Error);
    let entry = asked(request, &catalogue)?.or_else(|| catalogue.running().next()).or_else(latest);
    let text = match entry {
        Some(entry) => figures(entry, site).ok_or(NOT_FOUND)?,
        None => "# There is no run yet.\n".to_owned(),
    };
    Ok(Response::text(prometheus::CONTENT_TYPE, text))
}

fn figures(entry: &Entry, site: &Site) -> Option<String> {
    let results = results(site, &entry.path)?;
    match live_run(site, &entry.path).filter(|_| is_running(entry)) {
        Some(live) => Some(prometheus::of_live(&results, &live, &last_samples(&entry.path, site))),
        None => {
            let written = tree::text(&site.options.out, &parts_of(&entry.path), &[prometheus::FILE], MAX_FIGURES);
            // Counts are still available for a run of an older version, or one whose files were removed.
            Some(written.unwrap_or_else(|| prometheus::of_run(&results, None, &[])))
        }
    }
}

/// Returns the last sample of every node of a run.
fn last_samples(path: &str, site: &Site) -> Vec<NodeSample> {
    let (out, parts) = (&site.options.out, parts_of(path));
    let below: Vec<String> = parts.iter().cloned().chain(["nodes".to_owned()]).collect();
    let Ok(Node::Folder(folder)) = tree::open(out, &below) else { return vec![] };
    let names = folder.names().0.into_iter().map(|n| n.name).filter(|name| is_plain(name));
    let sample = |name: String| {
        let text = tree::end(out, &parts, &["nodes", &name, "metrics.jsonl"], MAX_SAMPLE)?;
        prometheus::last_sample(&text).map(|sample| (name, sample))
    };
    names.filter_map(sample).collect()
}
