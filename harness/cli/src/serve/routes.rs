//! The response for each address.
//!
//! | address | shows |
//! |---|---|
//! | `/` | the index, with filters as parameters |
//! | `/index.json` | the same as data |
//! | `/browse/PATH/` | a folder: for a run, its verdict, pictures and files |
//! | `/files/PATH` | a file |
//! | `/live` | a run in progress; `/live/events` has its state as events |
//! | `/metrics` | figures of the run in progress, or the latest, as Prometheus text |
//! | `/assets/NAME` | style sheet and icon of the pages |

use super::request::{NOT_FOUND, Refusal, Request};
use super::response::Response;
use super::tree::{self, Node};
use super::{Site, host, watching};
use heckle_history::printable::visible;
use heckle_results::catalogue::{Catalogue, Entry};
use heckle_results::filter::Kind;
use heckle_results::site::query::IndexQuery;
use heckle_results::site::{self, FolderView, IndexView, Item, url};
use heckle_results::utc::UnixSeconds;
use std::path::Component;
use std::time::{SystemTime, UNIX_EPOCH};

/// Maximum number of bytes of an explanation to show on a page.
const MAX_EXPLANATION: u64 = 64 * 1024;
/// Maximum number of violations to explain on a page.
const MAX_EXPLANATIONS: usize = 5;
/// Names of the links in the folder of all runs that lead to a run.
const LINKS: [&str; 2] = ["latest", "latest-failed"];

/// Responds to a request.
pub(super) fn respond(request: &Request, site: &Site) -> Response {
    if !host::is_well_formed(&request.host) {
        return Response::error(400, "The Host header is not a name or an address.");
    }
    if !site.options.any_host && !host::is_loopback(&request.host) {
        return Response::error(421, "This server answers only to localhost and loopback addresses: open it by one of those.");
    }
    route(request, site).unwrap_or_else(Response::from)
}

fn route(request: &Request, site: &Site) -> Result<Response, Refusal> {
    let parts: Vec<&str> = request.path.iter().map(String::as_str).collect();
    match parts[..] {
        [] => index(request, site),
        ["index.json"] => index_json(request, site),
        ["assets", name] => {
            let asset = site::ASSETS.iter().find(|asset| asset.name == name).ok_or(NOT_FOUND)?;
            Ok(Response::text(asset.content_type, asset.content))
        }
        ["live"] => watching::live(request, site),
        ["live", "events"] => Ok(Response::events()),
        ["metrics"] => watching::metrics(request, site),
        ["browse", ..] => browse(request, site),
        ["files", ..] => file(&request.path[1..], site),
        _ => Err(NOT_FOUND),
    }
}

fn now() -> UnixSeconds {
    UnixSeconds(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()))
}

fn catalogue(site: &Site) -> Result<std::sync::Arc<Catalogue>, Refusal> {
    site.catalogue().map_err(|_| Refusal(500, "the folder of all runs cannot be read"))
}

fn index(request: &Request, site: &Site) -> Result<Response, Refusal> {
    let query = match IndexQuery::parse(&request.query, now()) {
        Ok(query) => query,
        Err(why) => return Ok(Response::error(400, &why)),
    };
    // A form also sends its empty fields. Redirect to the address without them.
    if request.query.iter().any(|(_, value)| value.trim().is_empty()) {
        return Ok(Response::redirect(query.address()));
    }
    let folder = site.options.out.display().to_string();
    Ok(Response::page(site::index(IndexView { catalogue: &*catalogue(site)?, query: &query, folder: &folder })))
}

fn index_json(request: &Request, site: &Site) -> Result<Response, Refusal> {
    let query = match IndexQuery::parse(&request.query, now()) {
        Ok(query) => query,
        Err(why) => return Ok(Response::error(400, &why)),
    };
    let catalogue = catalogue(site)?;
    let shown: Vec<&Entry> = catalogue.shown(&query.filter).rev().collect();
    Ok(Response::text("application/json", serde_json::to_string(&shown).expect("plain data has a JSON form") + "\n"))
}

fn file(parts: &[String], site: &Site) -> Result<Response, Refusal> {
    if let Some(address) = through_link(parts, site, "/files/") {
        return Ok(Response::redirect(address));
    }
    match tree::open(&site.options.out, parts)? {
        Node::File(file, bytes) => Ok(Response::file(parts.last().map_or("", String::as_str), file, bytes)),
        Node::Folder(_) => Ok(Response::redirect(folder_address(parts))),
    }
}

fn folder_address(parts: &[String]) -> String {
    let address = url("/browse/", &parts.join("/"));
    if address.ends_with('/') { address } else { address + "/" }
}

/// Returns the address behind `latest` or `latest-failed`. Only these links are followed, and only to a run below the folder of all runs.
fn through_link(parts: &[String], site: &Site, prefix: &str) -> Option<String> {
    let (first, rest) = parts.split_first()?;
    if !LINKS.contains(&first.as_str()) {
        return None;
    }
    let target = std::fs::read_link(site.options.out.join(first)).ok()?;
    let below = target.components().all(|part| matches!(part, Component::Normal(_)));
    let target = target.to_str().filter(|_| below)?;
    Some(url(prefix, &[&[target.to_owned()], rest].concat().join("/")))
}

fn browse(request: &Request, site: &Site) -> Result<Response, Refusal> {
    let parts = &request.path[1..];
    if let Some(address) = through_link(parts, site, "/browse/") {
        return Ok(Response::redirect(address + "/"));
    }
    let folder = match tree::open(&site.options.out, parts) {
        Ok(Node::Folder(folder)) => folder,
        Ok(Node::File(..)) => return Ok(Response::redirect(url("/files/", &parts.join("/")))),
        // Before the first run there is no folder yet.
        Err(refusal) if !parts.is_empty() => return Err(refusal),
        Err(_) => return Ok(Response::redirect("/".into())),
    };
    // Addresses in the page are absolute, but each folder must have only one address.
    if !request.is_folder {
        return Ok(Response::redirect(folder_address(parts)));
    }
    let (names, cut) = folder.names();
    let mut items: Vec<Item> = names.into_iter().map(|n| Item { name: n.name, bytes: n.bytes }).collect();
    items.sort_by(|a, b| (a.bytes.is_none(), &a.name).cmp(&(b.bytes.is_none(), &b.name)));
    let path = parts.join("/");
    let catalogue = catalogue(site)?;
    let entry = catalogue.at(&path);
    let results = entry.filter(|e| e.kind == Kind::Run).and_then(|_| watching::results(site, &path));
    let belongs = |e: &&Entry| e.part_of.as_deref().is_some_and(|p| !path.is_empty() && p == path);
    let belonging: Vec<&Entry> = catalogue.entries.iter().filter(belongs).collect();
    let pictures = if entry.is_some() { pictures(parts, site) } else { vec![] };
    let explanations = if entry.is_some() { explanations(parts, site) } else { vec![] };
    let (pictures, explanations) = (&pictures, &explanations);
    let view = FolderView { path: &path, entry, results: results.as_ref(), parts: &belonging, items: &items, pictures, explanations, cut };
    Ok(Response::page(site::folder(view)))
}

fn names(parts: &[String], more: &str, site: &Site) -> Vec<String> {
    let parts: Vec<String> = parts.iter().cloned().chain([more.to_owned()]).collect();
    match tree::open(&site.options.out, &parts) {
        Ok(Node::Folder(folder)) => folder.names().0.into_iter().map(|n| n.name).collect(),
        Ok(Node::File(..)) | Err(_) => vec![],
    }
}

fn pictures(parts: &[String], site: &Site) -> Vec<String> {
    let is_picture = |name: &String| name.ends_with(".png");
    names(parts, "plots", site).into_iter().filter(is_picture).map(|name| format!("plots/{name}")).collect()
}

fn explanations(parts: &[String], site: &Site) -> Vec<(String, String)> {
    let one = |id: String| {
        let words = tree::text(&site.options.out, parts, &["violations", &id, "explain.txt"], MAX_EXPLANATION)?;
        Some((format!("violations/{id}/explain.txt"), visible(&words).into_owned()))
    };
    names(parts, "violations", site).into_iter().filter_map(one).take(MAX_EXPLANATIONS).collect()
}
