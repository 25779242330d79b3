//! `heckle doctor`: reports what this machine can do, which faults can run on it, and why others cannot. Nothing is assumed: each
//! line results from a test that has just run.

use crate::build_info::build_info;
use crate::cli::DoctorArgs;
use crate::exit;
use crate::plan::faults_of;
use crate::run::environment;
use crate::systems;
use heckle_faults::Control;
use heckle_loopback::LoopbackClaim;
use heckle_system_api::SystemKind;
use heckle_system_api::capability::{PointInfo, Points, Reached};
use serde::Serialize;
use std::process::ExitCode;

#[derive(Serialize)]
struct Finding {
    name: String,
    ok: bool,
    says: String,
}

/// Number of open files that a cluster, its relay and its clients may need together.
const FILES_NEEDED: u64 = 1_024;
/// Sync time, in microseconds, above which every operation is slow.
const SLOW_SYNC_US: f64 = 20_000.0;
/// Lateness of a wake-up, in microseconds, above which the load is sent late.
const LATE_SLEEP_US: f64 = 5_000.0;

/// Runs the verb.
pub(super) fn main(args: &DoctorArgs) -> ExitCode {
    if args.points {
        list_points(args.output.json);
        return ExitCode::SUCCESS;
    }
    let findings = collect_findings(args);
    if args.output.json {
        outln!("{}", serde_json::to_string_pretty(&findings).expect("plain data has a JSON form"));
    } else {
        for f in &findings {
            outln!("{} {:<22} {}", if f.ok { "ok  " } else { "no  " }, f.name, f.says);
        }
    }
    // A run skips faults that cannot run here, and reports them. Only requirements common to all runs affect the exit code.
    let needed = ["cores", "open files", "disk sync", "loopback ports", "child processes"];
    let sick = findings.iter().any(|f| !f.ok && needed.contains(&f.name.as_str()));
    ExitCode::from(if sick { exit::BROKEN } else { exit::OK })
}

/// Lists the points at which `crash-at` can end a node, and at which other faults can begin.
fn list_points(json: bool) {
    let bundled = heckle_system_paxos::PaxosKind.build(&toml::Table::new(), 3).expect("its defaults make sense");
    let points = bundled.points().map_or_else(Vec::new, Points::all);
    let reached = |point: &PointInfo| match point.reached {
        Reached::Often => "often",
        Reached::Seldom => "seldom",
        Reached::AtStart => "at_start",
    };
    if json {
        let all = points.iter().map(|point| serde_json::json!({ "name": point.name, "reached": reached(point), "about": point.about }));
        outln!("{}", serde_json::to_string_pretty(&all.collect::<Vec<_>>()).expect("plain data has a JSON form"));
        return;
    }
    for point in &points {
        outln!("{:<24} {:<9} {}", point.name, reached(point), point.about);
    }
    outln!("\nOften: `--faults crash-at` draws among these. Seldom: name the point, as in `--faults crash-at:{}`.", points[0].name);
    outln!("At start: reached before anything can be armed.");
    outln!("A fault of a plan can begin at a point: at_point = \"after-propose-first\" in [[fault]].");
}

fn collect_findings(args: &DoctorArgs) -> Vec<Finding> {
    let finding = |name: &str, ok: bool, says: String| Finding { name: name.into(), ok, says };
    let _ = std::fs::create_dir_all(&args.out.out);
    let env = environment::gather(&args.out.out, build_info());
    let figure = |v: Option<f64>, unit: &str| v.map_or("could not be measured".into(), |v| format!("{v:.0} {unit}"));
    let mut all = vec![
        finding("machine", true, format!("{}, kernel {}, {}", env.cpu_model, env.kernel, env.arch)),
        finding("cores", env.cores >= 1, format!("{} (2 or more keep latency figures honest)", env.cores)),
        finding("memory", env.memory_bytes > 1 << 30, format!("{} MiB", env.memory_bytes >> 20)),
        finding(
            "open files",
            env.open_files_limit.is_none_or(|l| l >= FILES_NEEDED),
            format!("limit {}", env.open_files_limit.unwrap_or(0)),
        ),
        finding(
            "disk sync",
            env.fsync_p99_us.is_some_and(|us| us < SLOW_SYNC_US),
            format!(
                "4 KiB append + fdatasync on {}: p50 {}, p99 {}",
                env.data_filesystem,
                figure(env.fsync_p50_us, "us"),
                figure(env.fsync_p99_us, "us")
            ),
        ),
        finding(
            "timer jitter",
            env.timer_late_p99_us.is_some_and(|us| us < LATE_SLEEP_US),
            format!("1 ms sleeps end late by p99 {}", figure(env.timer_late_p99_us, "us")),
        ),
    ];
    let claimed = LoopbackClaim::new().and_then(|claim| claim.addresses(30).map(|ports| (claim.ip(), ports.len())));
    let says = claimed.as_ref().map_or_else(ToString::to_string, |(ip, ports)| format!("{ip} can be claimed, with {ports} free ports"));
    all.push(finding("loopback ports", claimed.is_ok(), says));
    let child = std::process::Command::new(std::env::current_exe().unwrap_or_default()).arg("--version").output();
    let says = child.as_ref().map_or_else(ToString::to_string, |o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    all.push(finding("child processes", child.is_ok_and(|o| o.status.success()), says));
    // SAFETY: `geteuid` has no preconditions.
    let root = unsafe { libc::geteuid() } == 0;
    all.push(finding("rights", true, if root { "root" } else { "a user; every fault below needs no more" }.into()));
    let probed = crate::relay::raw::probe();
    let says = probed.as_ref().map_or_else(
        |why| format!("{why}; links of systems that carry bytes cannot be cut here: run as the user that starts the nodes, in their network namespace, with /proc mounted without hidepid"),
        |took| format!("who dials the raw relay is found by its socket, a child process in {:.1} ms", took.as_secs_f64() * 1e3),
    );
    all.push(finding("diallers", probed.is_ok(), says));
    let bundled = heckle_system_paxos::PaxosKind.build(&toml::Table::new(), 3).expect("its defaults make sense");
    let relay = crate::relay::Relay::start(heckle_history::prng::Seed(0), std::sync::Arc::new(heckle_system_paxos::PaxosFraming));
    all.extend(system_findings(&finding));
    let roles = bundled.roles().map_or(&[][..], |roles| roles.all());
    for kind in faults_of(&*bundled) {
        let (ok, says) = match (&relay, kind.needs_control(Control::Links)) {
            (Err(e), true) => (false, format!("the relay cannot start: {e}")),
            _ => (true, kind.about(roles)),
        };
        all.push(finding(&format!("fault {kind}"), ok, says));
    }
    all
}

/// Reports whether each system can run here, or what it needs, and which faults its processes and links support.
fn system_findings(finding: &impl Fn(&str, bool, String) -> Finding) -> Vec<Finding> {
    let of = |kind: &dyn SystemKind| {
        let built = kind.build(&toml::Table::new(), 3);
        let found = built.and_then(|system| system.program().map(|program| (system, program)));
        let says = found.as_ref().map_or_else(Clone::clone, |(system, program)| {
            let version = system.version().map_or_else(String::new, |version| format!(" {version}"));
            let kinds: Vec<String> = faults_of(&**system).iter().map(ToString::to_string).collect();
            format!("{}{version}, with faults {}", program.display(), kinds.join(", "))
        });
        finding(&format!("system {}", kind.name()), found.is_ok(), says)
    };
    systems::all().iter().map(of).collect()
}
