//! Adds a user's system using only the traits of `systems/api`: the whole command runs with that system, under the
//! faults `kill` and `pause`. The same program is the node, the command and the test.

mod system;

use heckle::systems::Systems;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use system::{ToyKind, serve};

/// Environment variable that is set when the program runs as heckle. Its children inherit it.
const AS_HECKLE: &str = "TOY_AS_HECKLE";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("toy-node") => serve(&args[1..]).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS),
        _ if std::env::var_os(AS_HECKLE).is_some() => heckle::verbs::main_with(Systems::new(&[&ToyKind])),
        _ => tests(),
    }
}

fn tests() -> ExitCode {
    let all: [(&str, fn()); 3] = [
        ("the_toy_survives_kill_and_pause", the_toy_survives_kill_and_pause),
        ("a_stale_read_of_the_toy_is_found", a_stale_read_of_the_toy_is_found),
        ("what_the_toy_lacks_is_refused_by_name", what_the_toy_lacks_is_refused_by_name),
    ];
    for (name, test) in all {
        println!("test {name} ...");
        test();
    }
    println!("test result: ok. {} passed; 0 failed", all.len());
    ExitCode::SUCCESS
}

/// A folder that is removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("heckle-toy-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a writable folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs heckle with the toy as its only system.
fn heckle(out: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env(AS_HECKLE, "1").args(args).arg("--out").arg(out).output().expect("it starts")
}

const RUN: [&str; 9] = ["run", "--nodes", "1", "--duration", "4s", "--warmup", "500ms", "--quiet-tail", "500ms"];

#[track_caller]
fn results(out: &Output, code: i32) -> serde_json::Value {
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{said}\n{}", String::from_utf8_lossy(&out.stdout));
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {said}"))
}

fn the_toy_survives_kill_and_pause() {
    let folder = Folder::new("valid");
    let args = [&RUN[..], &["--faults", "kill,pause", "--seed", "7", "--quiet", "--json"]].concat();
    let results = results(&heckle(&folder.0, &args), 0);
    assert_eq!(results["verdict"], "valid", "{results:#}");
    let faults: Vec<_> = results["faults"].as_array().expect("a list").iter().map(|f| (&f["kind"], &f["effective"])).collect();
    assert!(faults.len() >= 2 && faults.iter().all(|(_, effective)| **effective == true), "{faults:?}");
    assert_eq!(results["plan"]["labels"]["system"], "toy");
    // Figures that the system does not report are absent rather than zero.
    for figure in ["fsyncs_per_op", "state_bytes_max", "pruned", "expired"] {
        assert!(results["paxos"][figure].is_null(), "{figure}: {results:#}");
    }
}

fn a_stale_read_of_the_toy_is_found() {
    let folder = Folder::new("stale");
    let plan = folder.0.join("stale.toml");
    std::fs::write(&plan, "schema = \"heckle.plan/1\"\n[system.toy]\nstale = true\n").expect("a writable folder");
    let plan = plan.to_string_lossy().into_owned();
    let args = [&RUN[..], &["--faults", "none", "--seed", "7", "--quiet", "--json", &plan]].concat();
    let results = results(&heckle(&folder.0, &args), 1);
    assert_eq!(results["verdict"], "invalid", "{results:#}");
    let again = heckle(&folder.0, &["check", "latest"]);
    assert_eq!(again.status.code(), Some(1), "{}", String::from_utf8_lossy(&again.stderr));
}

fn what_the_toy_lacks_is_refused_by_name() {
    let folder = Folder::new("lacks");
    for (flags, words) in [
        (&["--faults", "partition"][..], "fault `partition` cannot be injected into toy, whose links do not pass the relay"),
        (&["--faults", "clock-jump"], "whose clocks cannot be set"),
        (&["--faults", "kill:holder"], "which has no such role"),
        (&["--rounds", "fast"], "system `toy` has no setting `rounds`; available: stale"),
        (&["--net", "relay"], "the links of toy do not pass the relay"),
        (&["--nodes", "3"], "the toy is one process"),
        (&["--system", "bundled"], "toy"),
        (&["--workload", "mixed"], "last-write-wins"),
    ] {
        let out = heckle(&folder.0, &[&["run", "--nodes", "1"], flags].concat());
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(64) && said.contains(words), "{flags:?}: {:?} {said}", out.status);
        assert_eq!(said.trim().lines().count(), 1, "{said}");
    }
}
