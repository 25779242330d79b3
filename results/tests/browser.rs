//! The page in a real browser: it runs without errors, and zoom, filters, keys and links work. Needs Chromium on PATH.
//! Without it, the tests print a notice and check nothing.

use base64::Engine;
use heckle_history::{History, Names};
use heckle_results::report::{self, NodeFiles, PageInput};
use heckle_results::results_json::Results;
use heckle_results::sample::{self, Sample};
use heckle_results::{measure, sample_results};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
const SELF_CHECK: &str = include_str!("browser/self_check.js");

/// Returns the first browser on PATH.
fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).flat_map(|dir| BROWSERS.map(|name| dir.join(name))).find(|file| file.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: no Chromium on the path, so the page was not tried in a browser (apt-get install chromium)");
    }
    found
}

/// A folder that is removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("heckle-browser-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Returns the document that the browser builds from a page, and its console messages. The browser's virtual clock
/// advances while it is idle.
fn open(browser: &Path, folder: &Folder, page: &str, fragment: &str) -> (String, Vec<String>) {
    open_with(browser, folder, page, fragment, &["--virtual-time-budget=20000", "--timeout=60000"])
}

/// Like [`open`], but in wall-clock time, until the page has loaded.
fn open_in_real_time(browser: &Path, folder: &Folder, page: &str) -> (String, Vec<String>) {
    open_with(browser, folder, page, "", &[])
}

fn open_with(browser: &Path, folder: &Folder, page: &str, fragment: &str, clock: &[&str]) -> (String, Vec<String>) {
    let file = folder.0.join("report.html");
    std::fs::write(&file, page).unwrap();
    let out = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--window-size=1180,900"])
        .args(clock)
        .arg("--dump-dom")
        .arg(format!("--user-data-dir={}", folder.0.join("profile").display()))
        .arg(format!("file://{}{fragment}", file.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    let complaints = said.lines().filter(|l| l.contains("CONSOLE")).map(str::to_owned).collect();
    (String::from_utf8_lossy(&out.stdout).into_owned(), complaints)
}

/// Returns the page with an additional script, which is allowed by the page's policy.
fn with_script(page: &str, script: &str) -> String {
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(script));
    let named = page.replacen("script-src ", &format!("script-src &#39;sha256-{hash}&#39; "), 1);
    assert_ne!(named, page);
    named.replacen("</body>", &format!("<script>{script}</script></body>"), 1)
}

fn page_of(history: &History, results: &Results) -> String {
    let measured = measure::analyze(history);
    let metrics = |bytes: u64| {
        let line = |s: u64| {
            format!(
                "{{\"mono_ns\":{},\"state_bytes\":{{\"data\":{}}},\"sync_latency\":{{\"p99_us\":900}}}}\n",
                s * 1_000_000_000,
                s * bytes
            )
        };
        (1..30).map(line).collect::<String>()
    };
    let node =
        |(i, (_, name)): (usize, (_, &str))| NodeFiles { name: name.to_owned(), log: String::new(), metrics: metrics(40 + i as u64) };
    let nodes: Vec<NodeFiles> = history.names.nodes().enumerate().map(node).collect();
    report::page(PageInput { history, measured: &measured, results, nodes: &nodes, pictures: &[], rerun: "heckle rerun x" })
}

/// Opens the page with and without the checks of `self_check.js`, and expects no errors in either case.
#[track_caller]
fn holds(name: &str, history: &History, results: &Results) {
    let Some(browser) = browser() else { return };
    let folder = Folder::new(name);
    let page = page_of(history, results);
    let (_, complaints) = open(&browser, &folder, &page, "");
    assert_eq!(complaints, Vec::<String>::new(), "the console is silent");
    let op = history.ops[history.ops.len() / 2].op;
    let (dom, complaints) = open(&browser, &folder, &with_script(&page, SELF_CHECK), &format!("#op={op}"));
    assert_eq!(complaints, Vec::<String>::new(), "the console is silent");
    let checked =
        dom.split_once("data-checked=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(checked, _)| checked.replace("&quot;", "\""));
    let checked = checked.unwrap_or_else(|| panic!("the checks did not end: {}", &dom[..dom.len().min(2_000)]));
    let checked: serde_json::Value =
        serde_json::from_str(&checked.replace("&amp;", "&").replace("&gt;", ">").replace("&lt;", "<")).unwrap();
    assert_eq!(checked["failed"], serde_json::json!([]), "{checked:#}");
    assert!(checked["passed"].as_array().unwrap().len() >= 15, "{checked:#}");
}

#[test]
fn a_run_can_be_explored() {
    let history = sample::history(Sample::default());
    holds("run", &history, &sample_results::valid(&history));
}

#[test]
fn a_sampled_run_can_be_explored() {
    let history = sample::history(Sample { rate_per_s: 1_500, ..Sample::default() });
    holds("sampled", &history, &sample_results::valid(&history));
}

#[test]
fn names_from_outside_stay_text() {
    let hostile = "</script><img src=x onerror=\"window.broken=1\"><script>window.broken=1</script>";
    let from = sample::history(Sample { seconds: 4, faults: 1, ..Sample::default() });
    let mut names = Names::default();
    for (_, name) in from.names.keys() {
        names.key(&format!("{name}{hostile}"));
    }
    for (_, name) in from.names.nodes() {
        names.node(&format!("{name}{hostile}"));
    }
    names.declare_figures(from.header.figures.as_deref().unwrap_or_default()).expect("they were declared before");
    let mut history = History { names, ..from };
    history.details.iter_mut().for_each(|d| d.reason = d.reason.take().map(|r| format!("{r}{hostile}").into()));
    history.faults.iter_mut().for_each(|f| f.targets = vec![hostile.to_owned()]);
    history.node_events.iter_mut().for_each(|e| e.what = hostile.into());
    let mut results = sample_results::valid(&history);
    results.plan.name = hostile.into();
    results.reasons.push(hostile.into());
    results.artifacts.insert(hostile.into(), format!("javascript:{hostile}"));
    holds("hostile", &history, &results);
}

#[test]
fn a_counterexample_can_be_explored() {
    let drawing = "c1  |w 1-->n1      cas 1 2-->n1        w 9--->n3  |
                   c2  |                    r 2->n3 r 1---->n2       |
                   c3  |    r 1->n2   cas 1 5-------?                |";
    let history = heckle_history::drawn::history(drawing);
    let mut results = sample_results::violated(&sample::history(Sample::default()));
    results.linearizability.violations[0].key = "k1".into();
    results.linearizability.violations[0].ops = history.ops.iter().map(|op| op.op.0).collect();
    results.set_measured(&measure::analyze(&history), &history);
    assert!(page_of(&history, &results).contains("class=\"walk\""), "there is something to step through");
    holds("counterexample", &history, &results);
}

/// Zooms twenty times by keyboard, and writes into the document how long the charts took to draw, including their pixels.
const ZOOM: &str = r#"(async () => {
  const took = [];
  for (let i = 0; i < 20; i += 1) {
    const began = performance.now();
    H.latency.root.parentElement.dispatchEvent(new KeyboardEvent("keydown", { key: i % 7 === 6 ? "0" : "+", bubbles: true }));
    // Charts draw in a microtask. Reading a pixel waits until the pixel has been drawn.
    for (let turn = 0; turn < 20; turn += 1) await null;
    for (const chart of H.charts) chart.ctx.getImageData(0, 0, 1, 1);
    took.push(performance.now() - began);
  }
  took.sort((a, b) => a - b);
  document.body.dataset.zoom = took[10].toFixed(1);
})();"#;

#[test]
fn a_million_ops_make_a_bounded_page_that_zooms() {
    let history = sample::history(Sample { rate_per_s: 10_000, faults: 20, seconds: 100, ..Sample::default() });
    assert!(history.ops.len() > 1_000_000);
    let results = sample_results::valid(&history);
    let page = page_of(&history, &results);
    assert!(page.len() < 8_000_000, "{} ops in {} bytes", history.ops.len(), page.len());

    let Some(browser) = browser() else { return };
    let folder = Folder::new("million");
    let (dom, _) = open_in_real_time(&browser, &folder, &with_script(&page, ZOOM));
    let median = dom.split_once("data-zoom=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(ms, _)| ms.parse::<f64>().unwrap());
    let median = median.unwrap_or_else(|| panic!("nothing was zoomed: {}", &dom[..dom.len().min(2_000)]));
    // The duration depends as much on this machine's load as on the page, so it is printed but not checked. Only the bound above limits it.
    eprintln!("a zoom of all charts, drawn: median {median} ms");
}

/// Shows that these tests can fail: with a page whose scripts break, and with one whose policy does not allow them.
#[test]
fn a_broken_page_is_noticed() {
    let Some(browser) = browser() else { return };
    let folder = Folder::new("broken");
    let history = sample::history(Sample { seconds: 2, faults: 0, ..Sample::default() });
    let page = page_of(&history, &sample_results::valid(&history));
    let (_, complaints) = open(&browser, &folder, &page.replacen("id=\"filter-kind\"", "id=\"gone\"", 1), "");
    assert!(complaints.iter().any(|c| c.contains("TypeError")), "{complaints:?}");
    let (_, complaints) = open(&browser, &folder, &page.replacen("</body>", "<script>window.broken=1</script></body>", 1), "");
    assert!(complaints.iter().any(|c| c.contains("Content Security Policy")), "{complaints:?}");
}
