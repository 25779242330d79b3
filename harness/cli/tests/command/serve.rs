//! `heckle serve` as a process, and the filters of `heckle list`.

use crate::common::{Folder, Running, expect_code, find, heckle, said, wait_for};
use heckle_results::alive;
use heckle_results::live_json::{JudgeState, LiveFault, LiveRun, Point};
use heckle_results::results_json::Results;
use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A server for the runs in a folder, on a port chosen by the system.
struct Server {
    process: Running,
    address: String,
}

impl Server {
    fn start(folder: &Folder) -> Self {
        let args = ["serve", "--listen", "127.0.0.1:0", "--quiet"];
        let mut process = Running(heckle(folder, &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts"));
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address =
            line.trim().strip_prefix("http://").and_then(|l| l.strip_suffix('/')).unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Server { process, address }
    }

    fn get(&self, target: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).expect("sent");
        let mut reply = vec![];
        stream.read_to_end(&mut reply).expect("a reply");
        String::from_utf8_lossy(&reply).into_owned()
    }
}

/// Creates a folder of runs without running anything: a run, and a suite with two cells.
fn made_up(folder: &Folder) {
    let write = |path: &str, json: &Json| {
        let path = folder.path().join("results/runs").join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        std::fs::write(path, json.to_string()).expect("writable");
    };
    let run = |plan: &str, id: &str, started: &str, verdict: &str, code: i32| json!({"schema": "heckle.results/1", "run_id": id, "status": "done", "verdict": verdict, "exit_code": code, "started_utc": started, "plan": {"name": plan}});
    write("alone/20250101T000000Z-0001/results.json", &run("alone", "20250101T000000Z-0001", "2025-01-01T00:00:00Z", "valid", 0));
    let suite = "night/20250601T000000Z-0002";
    write(
        &format!("{suite}/suite.json"),
        &json!({"schema": "heckle.suite/1", "name": "night", "status": "done", "exit_code": 1, "reasons": ["one cell"]}),
    );
    for (id, verdict, code) in [("20250601T000001Z-0003", "valid", 0), ("20250601T000002Z-0004", "invalid", 1)] {
        write(&format!("{suite}/cell/{id}/results.json"), &run("cell", id, "2025-06-01T00:00:01Z", verdict, code));
    }
}

fn ids(folder: &Folder, args: &[&str]) -> Vec<String> {
    let out = expect_code(folder, &[&["list", "--json"], args].concat(), 0);
    let list: Json = serde_json::from_slice(&out.stdout).expect("JSON");
    let id =
        |line: &Json| line["run_id"].as_str().or(line["path"].as_str()).expect("a name").rsplit('-').next().expect("a number").to_owned();
    list.as_array().expect("a list").iter().map(id).collect()
}

#[test]
fn list_hides_the_runs_of_suites_and_filters() {
    let folder = Folder::new();
    made_up(&folder);
    for (args, want) in [
        (&[][..], &["0001"][..]),
        (&["--all"], &["0001", "0003", "0004"]),
        (&["--all", "--verdict", "failed"], &["0004"]),
        (&["--all", "--verdict", "valid,invalid"], &["0001", "0003", "0004"]),
        (&["--all", "--plan", "c*l"], &["0003", "0004"]),
        (&["--all", "--plan", "alone", "--plan", "cell", "--verdict", "Valid"], &["0001", "0003"]),
        (&["--all", "--since", "2025-06-01"], &["0003", "0004"]),
        (&["--all", "--since", "1s"], &[]),
        (&["--kind", "suite,run"], &["0001", "0002"]),
        (&["--kind", "suite", "--verdict", "invalid"], &["0002"]),
        (&["--kind", "sweep"], &[]),
    ] {
        assert_eq!(ids(&folder, args), want, "{args:?}");
    }
    let parts = expect_code(&folder, &["list", "--json", "--all", "--plan", "cell"], 0);
    let parts: Json = serde_json::from_slice(&parts.stdout).expect("JSON");
    assert_eq!((&parts[0]["part_of"], &parts[0]["plan"]), (&"night/20250601T000000Z-0002".into(), &"cell".into()));
    let text = expect_code(&folder, &["list"], 0);
    let stdout = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(stdout.contains("alone") && stdout.contains("night/20250601T000000Z-0002") && !stdout.contains("cell/"), "{stdout}");
    assert!(String::from_utf8_lossy(&text.stderr).contains("2 runs of suites, comparisons and sweeps are not shown; --all shows them"));
    assert!(expect_code(&folder, &["list", "--quiet"], 0).stderr.is_empty());
    let none = said(&expect_code(&folder, &["list", "--plan", "aloen"], 0));
    assert!(none.contains("nothing matches") && none.contains("nothing here has the name aloen; there are alone, cell, night"), "{none}");
    for (args, what) in [
        (["--verdict", "vaild"], "did you mean `valid`"),
        (["--kind", "runs"], "did you mean `run`"),
        (["--since", "yesterday"], "--since `yesterday`"),
    ] {
        let out = said(&expect_code(&folder, &[&["list"], &args[..]].concat(), 64));
        assert!(out.contains(what), "{out}");
    }
}

#[test]
fn serve_shows_runs_and_ends_with_ctrl_c() {
    let folder = Folder::new();
    made_up(&folder);
    let mut server = Server::start(&folder);
    let index = server.get("/?kind=run&plan=al*&since=2025-01-01");
    assert!(index.starts_with("HTTP/1.1 200") && index.contains("alone") && !index.contains("night/"), "{index}");
    assert!(server.get("/../../etc/passwd").starts_with("HTTP/1.1 404"));
    assert!(server.get("/files/../../../etc/passwd").starts_with("HTTP/1.1 404"));
    // Create a run while the server is running.
    let args = ["run", "--faults", "none", "--duration", "1s", "--warmup", "200ms", "--quiet-tail", "200ms", "--quiet", "--rate", "50"];
    crate::common::output(&folder, &args);
    assert!(wait_for(Duration::from_secs(10), || server.get("/").contains("cas-register")), "{}", server.get("/"));
    assert!(server.get("/files/latest/report.html").starts_with("HTTP/1.1 307"));
    // SAFETY: the child has not been reaped, so the pid is its own.
    unsafe { libc::kill(server.process.0.id() as libc::pid_t, libc::SIGINT) };
    assert_eq!(server.process.0.wait().expect("ends").code(), Some(0));
    let mut said = String::new();
    server.process.0.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    assert_eq!(said, "");
}

#[test]
fn a_real_run_is_watched_and_exported() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    assert!(server.get("/metrics").ends_with("# There is no run yet.\n"));
    let args = ["run", "--faults", "pause", "--duration", "4s", "--warmup", "500ms", "--quiet-tail", "500ms", "--quiet", "--rate", "100"];
    let mut run = Running(heckle(&folder, &args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts"));
    let seen = |target: &str, part: &str| wait_for(Duration::from_secs(60), || server.get(target).contains(part));
    assert!(seen("/metrics", "heckle_op_latency_seconds_bucket") && seen("/metrics", "heckle_ops_in_flight"), "{}", server.get("/metrics"));
    let page = server.get("/live");
    assert!(page.contains("no violation so far") && page.contains("cas-register"), "{page}");
    assert!(seen("/metrics", "heckle_node_figure{"), "the nodes' figures come from their samples: {}", server.get("/metrics"));
    run.0.wait().expect("ends");
    assert_eq!(find(&folder, "live.json"), Vec::<PathBuf>::new(), "a run that is over has no state");
    assert!(seen("/metrics", "heckle_run_exit_code"), "{}", server.get("/metrics"));

    let written = std::fs::read_to_string(&find(&folder, "metrics.prom")[0]).expect("written");
    let export = |args: &[&str], code: i32| expect_code(&folder, &[&["export", "latest", "--format", "prometheus"], args].concat(), code);
    assert_eq!(String::from_utf8_lossy(&export(&[], 0).stdout), written);
    assert!(server.get("/metrics").ends_with(&written));
    let file = said(&export(&["--to", "out"], 0)).trim().to_owned();
    assert_eq!(std::fs::read_to_string(folder.path().join(&file)).expect("there"), written);
    assert!(said(&export(&["--to", "out"], 64)).contains("--force"));
    export(&["--to", "out", "--force"], 0);
    // A history without a results.json contributes its ops.
    let history = find(&folder, "history.jsonl.zst").remove(0);
    std::fs::copy(&history, folder.path().join("h.jsonl.zst")).expect("copied");
    let alone = said(&expect_code(&folder, &["export", "h.jsonl.zst", "--format", "prometheus"], 0));
    assert!(alone.contains("heckle_op_latency_seconds_sum{plan=\"\"") && !alone.contains("heckle_run_verdict"), "{alone}");
}

/// Returns the first browser on PATH.
fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let found = std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name))).find(|file| file.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: no Chromium on the path, so the live page was not tried in a browser (apt-get install chromium)");
    }
    found
}

#[test]
fn the_live_page_draws_in_a_browser_and_runs_nothing_else() {
    let Some(browser) = browser() else { return };
    let folder = Folder::new();
    let run = folder.path().join("results/runs/plan/20260101T000000Z-0001");
    std::fs::create_dir_all(&run).expect("writable");
    // The run belongs to this process, so it counts as alive.
    let results = Results { harness: alive::this_process(), ..Results::default() };
    std::fs::write(run.join("results.json"), results.to_json()).expect("writable");
    let hostile = "<img src=x onerror=document.title='run'>";
    let point = |t: f64| Point { t_s: t, length_s: 1.0, p50_ms: Some(2.0), p99_ms: Some(30.0), ..Point::default() };
    let live = LiveRun {
        plan: hostile.into(),
        phase: "load".into(),
        has_load: true,
        now_s: 9.0,
        tail_end_s: 20.0,
        target_per_s: Some(100.0),
        target_unit: "ops".into(),
        points: (1..10).map(|t| point(f64::from(t))).collect(),
        faults: vec![LiveFault { label: format!("kill n1 {hostile}"), began_s: 3.0, ended_s: None }],
        judge: JudgeState::NoViolation,
        ..LiveRun::default()
    };
    std::fs::write(run.join("live.json"), live.to_json()).expect("writable");
    let server = Server::start(&folder);
    let mut page = String::new();
    // The browser prints the page once it has loaded, which may be before the first event.
    for _ in 0..20 {
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        let args = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--timeout=5000", "--dump-dom", &profile];
        let out = Command::new(&browser).args(args).arg(format!("http://{}/live", server.address)).output().expect("starts");
        page = said(&out);
        assert!(!page.contains("CONSOLE"), "{page}");
        if page.contains("<path") {
            break;
        }
    }
    for part in ["class=\"line p99\"", "class=\"band\"", "no violation so far", "load, 9 of 20 s", "&lt;img src=x", "target 100"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<img") && page.contains("<title>9 s · no violation so far"), "{page}");
}

#[test]
fn serve_refuses_addresses_that_others_can_reach() {
    let folder = Folder::new();
    for (args, code, what) in [
        (&["--listen", "0.0.0.0:0"][..], 64, "--public"),
        (&["--listen", "[::]:0"], 64, "--public"),
        (&["--listen", "192.0.2.1:0"], 64, "--public"),
        (&["--listen", "192.0.2.1:0", "--public"], 4, "cannot listen on 192.0.2.1:0"),
        (&["--listen", "8080"], 64, "127.0.0.1:0"),
        (&["--listen", "example.org:80"], 64, "not an address"),
    ] {
        let out = said(&expect_code(&folder, &[&["serve"], args].concat(), code));
        assert!(out.contains(what), "{args:?}: {out}");
    }
    std::fs::write(folder.path().join("file"), "").expect("writable");
    let out = said(&expect_code(&folder, &["serve", "--listen", "127.0.0.1:0", "--out", "file"], 64));
    assert!(out.contains("file is not a folder"), "{out}");
}
