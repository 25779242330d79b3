//! Systems described by a plan: the files written by `heckle init` run unchanged, and every mistake in a template, a
//! process or a driver gives one clear error.

use crate::common::*;
use std::process::Command;
use std::time::{Duration, Instant};

/// Prints a notice if there is no Python.
pub(crate) fn there_is_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|out| out.status.success());
    if !found {
        eprintln!("SKIPPED: there is no python3 here; install it (Debian and Ubuntu: apt-get install python3)");
    }
    found
}

fn replace(folder: &Folder, file: &str, from: &str, to: &str) {
    let path = folder.path().join(file);
    let text = std::fs::read_to_string(&path).expect("it is there");
    assert!(text.contains(from), "{file} has no `{from}`");
    std::fs::write(path, text.replacen(from, to, 1)).expect("writable");
}

#[test]
fn what_init_writes_is_valid_and_its_planted_bug_is_found() {
    let folder = Folder::new();
    let out = expect_code(&folder, &["init", "mydb"], 0);
    assert!(said(&out).contains("heckle run mydb/plan.toml"), "{}", said(&out));
    let again = expect_code(&folder, &["init", "mydb"], 64);
    assert!(said(&again).contains("mydb exists"), "{}", said(&again));
    expect_code(&folder, &["init", "my db"], 64);
    if !there_is_python() {
        return;
    }
    let out = expect_code(&folder, &["run", "mydb/plan.toml", "--quiet", "--json"], 0);
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!((&results["verdict"], &results["plan"]["labels"]["system"]), (&"valid".into(), &"mydb".into()), "{results:#}");
    assert_eq!(results["env"]["system_version"], "toy 1");
    let faults = results["faults"].as_array().expect("a list");
    assert!(faults.len() >= 2 && faults.iter().all(|f| f["effective"] == true && f["healed"] == true), "{results:#}");
    assert_eq!(nodes_alive(&folder), Vec::<u32>::new());
    expect_code(&folder, &["check", "latest"], 0);

    replace(&folder, "mydb/plan.toml", "# env = { STALE_READS", "env = { STALE_READS");
    let out = expect_code(&folder, &["run", "mydb/plan.toml", "--quiet"], 1);
    assert!(said(&out).contains("stale read"), "{}", said(&out));
}

/// Writes a plan whose node only sleeps, with a shell script as the driver.
fn plan(folder: &Folder, process: &str, driver: &str) {
    let text = format!(
        "schema = \"heckle.plan/1\"\n[system]\nname = \"own\"\ndriver = [\"sh\", \"driver.sh\"]\n[[system.process]]\n{process}\n\
         [cluster]\nnodes = 1\n[load]\nrate = 50\nclients = 2\nduration = \"1s\"\nwarmup = \"100ms\"\nop_timeout = \"200ms\"\n\
         [faults]\nkinds = [\"none\"]\nquiet_tail = \"100ms\"\n"
    );
    std::fs::write(folder.path().join("plan.toml"), text).expect("writable");
    std::fs::write(folder.path().join("driver.sh"), driver).expect("writable");
}

const SLEEPS: &str = "start = [\"sh\", \"-c\", \"echo serving; exec sleep 60\"]\nports = [\"client\"]\nready = { log = \"serving\" }";
const HELLO: &str = "read -r first\necho '{\"heckle\":1,\"calls\":[\"read\",\"write\",\"cas\"],\"driver\":\"sh\"}'\n";

#[test]
fn a_template_error_names_key_line_and_column() {
    let folder = Folder::new();
    for (process, parts) in [
        (
            "start = [\"x\", \"--listen={pear.listen}\"]\nports = [\"client\", \"peer\"]",
            ["line 6, column 26", "`pear`; did you mean `peer`?"],
        ),
        ("start = [\"x\"]\nports = [\"client\"]\nfiles = { \"{data}/a\" = \"port {client.lisen}\" }", ["line 8", "no `lisen`"]),
        ("start = [\"x\"]\nports = [\"client\"]\nenv = { A = \"{client\" }", ["line 8, column 14", "`{` without `}`"]),
        (
            "start = [\"x\"]\nports = [\"client\"]\nredy = { tcp = \"client\" }",
            ["line 8, column 1", "unknown key `redy`; did you mean `ready`?"],
        ),
        ("start = [\"x\"]\nports = [\"client\"]\nready = { tcp = \"peer\" }", ["line 8", "there is no port `peer`"]),
        ("start = [\"x\"]\nports = [\"client\"]\nstop = \"NICE\"", ["line 8, column 8", "TERM, INT"]),
        ("start = [\"x\"]\nports = [\"peer\"]", ["line 6", "the port `client`"]),
        ("start = \"x\"\nports = [\"client\"]", ["line 6, column 9", "start"]),
        ("start = [\"x\"]\nports = [\"client\", \"client\"]", ["line 7, column 20", "two ports"]),
    ] {
        plan(&folder, process, HELLO);
        let said = said(&expect_code(&folder, &["run", "plan.toml"], 64));
        assert!(parts.iter().all(|part| said.contains(part)), "{process}: {said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
    }
    plan(&folder, SLEEPS, HELLO);
    replace(&folder, "plan.toml", "name = \"own\"", "name = \"own\"\nreads = \"primary\"");
    assert!(said(&expect_code(&folder, &["run", "plan.toml"], 64)).contains("needs `leader`"));
    replace(&folder, "plan.toml", "reads = \"primary\"", "");
    for (flags, words) in [
        (&["--system", "etcd"][..], "leave it out"),
        (&["--faults", "loss"], "loss"),
        (&["--faults", "kill:leader"], "which has no such role"),
        (&["--workload", "counter"], "does not carry"),
    ] {
        let said = said(&expect_code(&folder, &[&["run", "plan.toml"], flags].concat(), 64));
        assert!(said.contains(words), "{flags:?}: {said}");
    }
}

#[test]
fn a_system_that_does_not_come_up_is_one_clear_error() {
    let folder = Folder::new();
    plan(&folder, "start = [\"no-such-db\"]\nports = [\"client\"]", HELLO);
    let absent = said(&expect_code(&folder, &["run", "plan.toml", "--quiet"], 64));
    assert!(absent.contains("there is no program `no-such-db` on PATH"), "{absent}");
    for (process, parts) in [
        (
            "start = [\"sh\", \"-c\", \"echo cannot open the store >&2; exit 3\"]\nports = [\"client\"]",
            vec!["n1 did not start", "exit code 3", "cannot open the store"],
        ),
        // Another process of the same node already uses the port, as any program might.
        (
            "name = \"a\"\nstart = [\"sh\", \"-c\", \"echo address in use; exit 1\"]\nports = [\"client\"]\n[[system.process]]\nname = \"b\"\nstart = [\"sleep\", \"60\"]",
            vec!["n1 did not start", "exit code 1 of `a`", "a.log", "address in use"],
        ),
        (
            "start = [\"sh\", \"-c\", \"setsid sleep 60 & echo started\"]\nports = [\"client\"]\nready = { log = \"started\" }",
            vec!["in the background", "foreground"],
        ),
    ] {
        plan(&folder, process, HELLO);
        let said = said(&expect_code(&folder, &["run", "plan.toml", "--quiet"], 4));
        assert!(parts.iter().all(|part| said.contains(part)), "{process}: {said}");
        assert_eq!(nodes_alive(&folder), Vec::<u32>::new(), "{process}");
    }
}

#[test]
fn a_system_that_is_never_ready_ends_the_run_with_the_tail_of_its_log() {
    let folder = Folder::new();
    plan(&folder, "start = [\"sh\", \"-c\", \"echo waiting for friends; exec sleep 60\"]\nports = [\"client\"]", HELLO);
    let said = said(&expect_code(&folder, &["run", "plan.toml", "--quiet"], 4));
    for part in ["`node` was not ready within 20 s", "Connection refused", "waiting for friends"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(nodes_alive(&folder), Vec::<u32>::new());
}

#[test]
fn a_driver_that_breaks_the_protocol_is_named_and_nothing_hangs() {
    let folder = Folder::new();
    let answer = "while read -r line; do id=${line##*\\\"id\\\":}; id=${id%%[,\\}]*}; ";
    for (script, part) in [
        ("exit 3".to_owned(), "exit code 3"),
        ("echo hello; sleep 60".into(), "`hello` is no JSON object"),
        ("echo '{\"heckle\":2,\"calls\":[]}'; sleep 60".into(), "protocol 2"),
        (format!("{HELLO}echo oops >&2; exit 7"), "exit code 7"),
        (format!("{HELLO}read -r line; echo '{{\"id\":99999,\"ok\":{{}}}}'; sleep 60"), "answered 99999, an id that was never sent"),
        (format!("{HELLO}read -r line; echo what is this; sleep 60"), "`what is this` is no JSON object"),
        (format!("{HELLO}head -c 10000000 /dev/zero | tr '\\0' x; sleep 60"), "a line of more than 1024 KiB"),
        (
            format!(
                "{HELLO}{answer} echo \"{{\\\"id\\\":$id,\\\"unknown\\\":\\\"x\\\"}}\"; echo \"{{\\\"id\\\":$id,\\\"unknown\\\":\\\"x\\\"}}\"; done"
            ),
            "twice",
        ),
        (format!("{HELLO}read -r line; yes '{{\"id\":1,\"unknown\":\"x\"}}'"), "answered 1 twice"),
    ] {
        plan(&folder, SLEEPS, &script);
        let began = Instant::now();
        let said = said(&expect_code(&folder, &["run", "plan.toml", "--quiet"], 4));
        assert!(said.contains(part), "{script}: {said}");
        assert!(began.elapsed() < Duration::from_secs(60), "{script} hung");
        assert_eq!(nodes_alive(&folder), Vec::<u32>::new(), "{script}");
    }
}

/// A driver that accepts a call but never answers, or answers with a value of the wrong type. Its operations are
/// unknown, never failed.
#[test]
fn silence_and_malformed_answers_are_unknown() {
    let folder = Folder::new();
    let answer = "while read -r line; do id=${line##*\\\"id\\\":}; id=${id%%[,\\}]*}; ";
    for (script, reason) in [
        (format!("{HELLO}cat >/dev/null"), "driver: no answer"),
        (
            format!(
                "{HELLO}{answer} echo \"{{\\\"id\\\":$id,\\\"ok\\\":{{\\\"applied\\\":\\\"yes\\\",\\\"value\\\":\\\"five\\\"}}}}\"; done"
            ),
            "malformed_answer",
        ),
    ] {
        plan(&folder, SLEEPS, &script);
        replace(&folder, "plan.toml", "[load]\n", "[load]\nmix = \"cas=50,read=50\"\n");
        let out = expect_code(&folder, &["run", "plan.toml", "--quiet", "--json"], 2);
        let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
        let ops = &results["ops"];
        assert!(ops["unknown"].as_u64() > Some(0) && ops["ok"] == 0 && ops["failed"] == 0, "{script}: {ops}");
        let history = find(&folder, "history.jsonl.zst").pop().expect("a history");
        let text = zstd::decode_all(std::fs::File::open(history).expect("readable")).expect("zstd");
        assert!(String::from_utf8_lossy(&text).contains(reason), "{script} lacks {reason}");
        std::fs::remove_dir_all(folder.path().join("results")).expect("removable");
    }
}

#[test]
fn a_leader_command_that_hangs_is_named() {
    let folder = Folder::new();
    plan(&folder, SLEEPS, &format!("{HELLO}cat >/dev/null"));
    replace(&folder, "plan.toml", "name = \"own\"", "name = \"own\"\nleader = [\"sleep\", \"60\"]");
    replace(&folder, "plan.toml", "kinds = [\"none\"]", "kinds = [\"kill:leader\"]");
    let out = output(&folder, &["run", "plan.toml", "--quiet"]);
    assert!(out.status.code() != Some(0) && said(&out).contains("`sleep 60` did not end within 2 s"), "{}", said(&out));
    assert_eq!(nodes_alive(&folder), Vec::<u32>::new());
}

#[test]
fn a_killed_harness_leaves_nothing_that_clean_does_not_end() {
    let folder = Folder::new();
    let process = "start = [\"sh\", \"-c\", \"setsid sleep 600 & echo serving; exec sleep 600\"]\nports = [\"client\"]\nready = { log = \"serving\" }";
    plan(&folder, process, &format!("trap '' TERM\n{HELLO}cat >/dev/null; sleep 600"));
    replace(&folder, "plan.toml", "duration = \"1s\"", "duration = \"60s\"");
    let mut run = Running(heckle(&folder, &["run", "plan.toml", "--quiet"]).spawn().expect("it starts"));
    // Wait for the shell, its background process and the driver.
    assert!(wait_for(Duration::from_secs(30), || nodes_alive(&folder).len() >= 3), "{:?}", nodes_alive(&folder));
    run.0.kill().expect("killable");
    run.0.wait().expect("reaped");
    expect_code(&folder, &["clean"], 0);
    assert_eq!(nodes_alive(&folder), Vec::<u32>::new());
}

#[test]
fn driver_check_accepts_the_skeleton_and_names_the_case_that_a_driver_fails() {
    let folder = Folder::new();
    expect_code(&folder, &["init", "mydb"], 0);
    if !there_is_python() {
        return;
    }
    let out = expect_code(&folder, &["driver", "check", "python3", "mydb/driver.py"], 0);
    assert!(said(&out).contains("ok   node is silent"), "{}", said(&out));
    // The driver reports `fail` instead of a timeout.
    replace(&folder, "mydb/driver.py", "\"unknown\": f\"", "\"fail\": f\"");
    let out = expect_code(&folder, &["driver", "check", "python3", "mydb/driver.py"], 1);
    let refused = said(&out).lines().find(|line| line.starts_with("no ")).map(str::to_owned).expect("a case");
    assert!(refused.contains("node is silent") && refused.contains("answered `fail` to a read that timed out"), "{refused}");
    // A server that serves one client at a time.
    let serial = format!("{HELLO}while read -r line; do sleep 2; done");
    std::fs::write(folder.path().join("serial.sh"), serial).expect("writable");
    let out = expect_code(&folder, &["driver", "check", "sh", "serial.sh"], 1);
    assert!(said(&out).contains("no   two clients at once"), "{}", said(&out));
}

/// Returns the commands in the `sh` blocks of a page, each with the exit code given in its comment.
fn commands(page: &str) -> Vec<(String, i32)> {
    let (mut inside, mut found) = (false, vec![]);
    for line in page.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => {
                let (command, code) = line.split_once("# exits with ").map_or((line, 0), |(c, n)| (c, n.trim().parse().expect("a code")));
                found.push((command.trim().to_owned(), code));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn the_page_for_a_database_of_ones_own_works_word_for_word() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/own-database.md");
    let commands = commands(&std::fs::read_to_string(page).expect("the page"));
    assert!(commands.len() >= 7 && commands.iter().any(|(_, code)| *code == 1), "{commands:?}");
    if !there_is_python() {
        return;
    }
    let folder = Folder::new();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_heckle")).parent().expect("a folder").to_owned();
    let paths = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
    let path = std::env::join_paths(std::iter::once(program).chain(paths)).expect("a path");
    for (command, code) in commands {
        let out = Command::new("sh").args(["-c", &command]).env("PATH", &path).current_dir(folder.path()).output().expect("a shell");
        assert_eq!(out.status.code(), Some(code), "{command}\n{}", said(&out));
    }
}
