//! A cluster that runs already: heckle loads it and judges it, disturbs it only by commands of the plan and on the links of
//! its clients, and leaves it running whatever happens.

use crate::common::*;
use crate::own::there_is_python;
use heckle_loopback::LoopbackClaim;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

/// What the owner of the cluster does to a node: `sh ctl.sh DEED NODE`.
const CTL: &str = r#"
folder=$(dirname "$0"); cd "$folder"; node=$2
echo "$1 $node" >>deeds
case $1 in
  start|restart)
    if [ "$1" = restart ] && grep -q '^State:.[^Z]' "/proc/$(cat "$node.pid")/status"; then exit 0; fi
    setsid python3 mydb/server.py $(cat "$node.args") >>"$node.log" 2>&1 </dev/null &
    echo $! >"$node.pid" ;;
  kill) kill -KILL "$(cat "$node.pid")" ;;
  pause) kill -STOP "$(cat "$node.pid")" ;;
  resume) kill -CONT "$(cat "$node.pid")" ;;
esac
"#;

const COMMANDS: &str = "kill = [\"sh\", \"ctl.sh\", \"kill\", \"{id}\"]\nrestart = [\"sh\", \"ctl.sh\", \"restart\", \"{id}\"]\n\
                        pause = \"sh ctl.sh pause {id}\"\nresume = \"sh ctl.sh resume {id}\"\n";

/// Three nodes of the toy database that this test starts and ends.
struct Running {
    folder: Folder,
    addresses: Vec<SocketAddr>,
    _claim: LoopbackClaim,
}

impl Running {
    /// Starts the nodes. Returns `None` without Python.
    fn start() -> Option<Self> {
        let (folder, claim) = (Folder::new(), LoopbackClaim::new().expect("an address"));
        expect_code(&folder, &["init", "mydb"], 0);
        std::fs::write(folder.path().join("ctl.sh"), CTL).expect("writable");
        let all = claim.addresses(6).expect("free");
        let (clients, peers) = all.split_at(3);
        let running = Running { addresses: clients.to_vec(), folder, _claim: claim };
        if !there_is_python() {
            return None;
        }
        for (i, (client, peer)) in clients.iter().zip(peers).enumerate() {
            let name = format!("n{}", i + 1);
            let others: Vec<String> = peers.iter().filter(|other| *other != peer).map(SocketAddr::to_string).collect();
            let data = running.folder.path().join(&name);
            std::fs::create_dir(&data).expect("writable");
            let args = format!("{name} {client} {peer} {} {}", others.join(","), data.display());
            std::fs::write(running.folder.path().join(format!("{name}.args")), args).expect("writable");
            running.ctl("start", &name);
        }
        assert!(wait_for(Duration::from_secs(60), || running.answering() == 3), "the toy does not start");
        Some(running)
    }

    fn ctl(&self, deed: &str, node: &str) {
        let done = Command::new("sh").args(["ctl.sh", deed, node]).current_dir(self.folder.path()).status();
        assert!(done.is_ok_and(|status| status.success()), "{deed} {node}");
    }

    fn answering(&self) -> usize {
        self.addresses.iter().filter(|address| std::net::TcpStream::connect(address).is_ok()).count()
    }

    fn pids(&self) -> Vec<u32> {
        let pid = |node: &str| std::fs::read_to_string(self.folder.path().join(format!("{node}.pid"))).ok()?.trim().parse().ok();
        ["n1", "n2", "n3"].into_iter().filter_map(pid).collect()
    }

    /// Asserts that the same processes run as before.
    #[track_caller]
    fn assert_untouched(&self, before: &[u32]) {
        let running = |pid: &u32| heckle::cluster::process::proc_state(*pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'T'));
        assert!(self.pids() == before && before.iter().all(running) && self.answering() == 3, "{before:?} became {:?}", self.pids());
        assert_eq!(nodes_alive(&self.folder), Vec::<u32>::new());
    }

    fn plan(&self, attach: &str, faults: &str) {
        write_plan(&self.folder, &self.addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>(), attach, faults);
    }

    fn deeds(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("deeds")).unwrap_or_default()
    }

    fn run(&self, code: i32) -> (serde_json::Value, String) {
        let out = expect_code(&self.folder, &["run", "plan.toml", "--json"], code);
        (serde_json::from_slice(&out.stdout).unwrap_or_default(), said(&out))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for pid in self.pids() {
            // Only what this test started, by the file that it wrote.
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
    }
}

fn write_plan(folder: &Folder, addresses: &[String], attach: &str, faults: &str) {
    let text = format!(
        "schema = \"heckle.plan/1\"\n[system]\nname = \"mydb\"\ndriver = [\"python3\", \"mydb/driver.py\"]\n[system.attach]\n\
         nodes = {addresses:?}\n{attach}[load]\nmix = \"read=50,write=50\"\nrate = 60\nclients = 6\nduration = \"6s\"\n\
         warmup = \"500ms\"\n{faults}"
    );
    std::fs::write(folder.path().join("plan.toml"), text).expect("writable");
}

#[test]
fn a_cluster_that_runs_is_judged_and_only_the_links_of_its_clients_are_disturbed() {
    let Some(cluster) = Running::start() else { return };
    let before = cluster.pids();
    cluster.plan("", "[faults]\nkinds = [\"partition:clients\", \"delay\", \"reset\", \"hang\"]\nquiet_tail = \"500ms\"\n");
    let (results, _) = cluster.run(0);
    let faults = results["faults"].as_array().expect("a list");
    assert!(faults.len() >= 4 && faults.iter().all(|f| f["effective"] == true && f["healed"] == true), "{results:#}");
    let of_clients =
        |f: &serde_json::Value| f["targets"].as_array().is_some_and(|all| all.iter().all(|t| t.to_string().contains("clients")));
    assert!(faults.iter().all(of_clients), "{results:#}");
    cluster.assert_untouched(&before);
    // The keys of the first run are still there, and no value of them is taken for one of this run. Every fault left out has a reason.
    expect_code(&cluster.folder, &["rerun", "latest", "--quiet"], 0);
    cluster.plan("", "");
    let out = expect_code(&cluster.folder, &["run", "plan.toml", "--faults", "all", "--duration", "12s", "--warmup", "0s"], 0);
    for part in ["faults left out: ", "[system.attach] needs `kill` and `restart`", "only the links of clients pass the relay"] {
        assert!(said(&out).contains(part), "{part}: {}", said(&out));
    }
    cluster.assert_untouched(&before);
}

#[test]
fn a_fault_by_a_command_is_unverified_and_its_run_is_never_valid() {
    let Some(cluster) = Running::start() else { return };
    let before = cluster.pids();
    cluster.plan(COMMANDS, "[faults]\nkinds = [\"kill\", \"pause\"]\nquiet_tail = \"500ms\"\n");
    let (results, _) = cluster.run(2);
    assert_eq!((&results["verdict"], &results["linearizability"]["verdict"]), (&"unknown".into(), &"valid".into()), "{results:#}");
    let faults = results["faults"].as_array().expect("a list");
    assert!(faults.len() >= 2 && faults.iter().all(|f| f["effective"] == false && f["healed"] == true), "{results:#}");
    let reasons = results["reasons"].to_string();
    assert!(reasons.contains("(kill n") && reasons.contains("is unverified: a command of the plan carried it out"), "{reasons}");
    assert!(results["checks"].to_string().contains("heckle did not start these nodes"), "{results:#}");
    let rule = |id: &str| results["coverage"]["rules"].as_array().and_then(|all| all.iter().find(|r| r["id"] == id).cloned());
    assert!(rule("fault_effective:kill").is_some_and(|rule| rule["passed"] == false && rule["got"] == 0), "{results:#}");
    let said = said(&expect_code(&cluster.folder, &["check", "latest"], 2));
    assert!(said.contains("unverified"), "{said}");
    let advice = crate::common::said(&output(&cluster.folder, &["explain", "latest"]));
    assert!(advice.contains("with faults by commands"), "{advice}");
    for deed in ["kill n", "restart n", "pause n", "resume n"] {
        assert!(cluster.deeds().contains(deed), "{deed}: {}", cluster.deeds());
    }
    assert!(cluster.pids() != before && cluster.answering() == 3, "one was killed and started again");
    assert_eq!(nodes_alive(&cluster.folder), Vec::<u32>::new());
    // A plan cannot waive it.
    cluster.plan(COMMANDS, "[faults]\nkinds = [\"pause\"]\nquiet_tail = \"500ms\"\n[coverage]\n\"fault_effective:pause\" = 0\n");
    let (results, _) = cluster.run(2);
    assert!(results["reasons"].to_string().contains("is unverified"), "{results:#}");
}

#[test]
fn a_command_that_fails_ends_the_run_and_the_heal_is_still_tried() {
    let Some(cluster) = Running::start() else { return };
    let missing = cluster.folder.path().join("missing.sh");
    for (kill, parts) in [
        ("[\"sh\", \"-c\", \"echo no rights >&2; exit 3\"]", vec!["`kill` command", "exit status: 3", "no rights"]),
        ("[\"sh\", \"-c\", \"sleep 600 & sleep 600\"]", vec!["`kill` command", "did not end within 1 s and was killed"]),
        ("[\"sh\", \"-c\", \"head -c 100000000 /dev/zero; exit 1\"]", vec!["`kill` command", "exit status: 1"]),
        ("[\"./{id}-missing.sh\"]", vec!["`kill` command", "there is no program", "missing.sh"]),
    ] {
        let _ = std::fs::remove_file(cluster.folder.path().join("deeds"));
        let attach = format!("kill = {kill}\nrestart = \"sh ctl.sh restart {{id}}\"\nwithin = \"1s\"\n");
        cluster.plan(&attach, "[faults]\nkinds = [\"kill\"]\nevery = \"1s\"\nfor = \"500ms\"\nquiet_tail = \"100ms\"\n");
        let began = Instant::now();
        let (results, said) = cluster.run(4);
        assert!(parts.iter().all(|part| said.contains(part)), "{kill}: {said}");
        assert_eq!(results["verdict"], "error", "{kill}");
        assert!(cluster.deeds().contains("restart n"), "{kill}: {}", cluster.deeds());
        assert!(began.elapsed() < Duration::from_secs(60) && cluster.answering() == 3, "{kill}");
    }
    // The first error is that of `kill`, and the node that nothing brought back is still named.
    cluster.plan("kill = \"false\"\nrestart = \"false\"\n", "[faults]\nkinds = [\"kill\"]\nevery = \"1s\"\nfor = \"500ms\"\n");
    let (_, said) = cluster.run(4);
    assert!(said.contains("the `kill` command") && said.contains("may still be down or paused"), "{said}");
    // A node that does not come back.
    let attach = "kill = \"sh ctl.sh kill {id}\"\nrestart = \"false\"\n";
    cluster.plan(attach, "[faults]\nkinds = [\"kill\"]\nevery = \"1s\"\nfor = \"500ms\"\nquiet_tail = \"100ms\"\n");
    let (_, said) = cluster.run(4);
    assert!(said.contains("could not be healed") && said.contains("the `restart` command: `false` ended with exit status: 1"), "{said}");
    assert!(said.contains("may still be down or paused"), "{said}");
    // A program that is missing from the start disturbs nothing.
    let attach = format!("kill = [\"{}\"]\nrestart = \"true\"\n", missing.display());
    cluster.plan(&attach, "");
    let (_, said) = cluster.run(64);
    assert!(said.contains("`kill`: there is no program") && said.contains("missing.sh"), "{said}");
}

#[test]
fn a_node_that_does_not_answer_is_one_clear_error() {
    let (folder, claim) = (Folder::new(), LoopbackClaim::new().expect("an address"));
    std::fs::create_dir(folder.path().join("mydb")).expect("writable");
    let address = claim.address().expect("free").to_string();
    // The driver is never asked.
    write_plan(&folder, std::slice::from_ref(&address), "", "[faults]\nkinds = [\"none\"]\n");
    let plan = std::fs::read_to_string(folder.path().join("plan.toml")).expect("there");
    std::fs::write(folder.path().join("plan.toml"), plan.replace("python3", "sh")).expect("writable");
    let said = said(&expect_code(&folder, &["run", "plan.toml", "--quiet"], 4));
    for part in ["n1 does not answer", &address, "Connection refused", "start it first"] {
        assert!(said.contains(part), "{said}");
    }
    let plan = std::fs::read_to_string(folder.path().join("plan.toml")).expect("there");
    std::fs::write(folder.path().join("plan.toml"), plan.replace(&address, "no-such-host.invalid:5432")).expect("writable");
    let said = crate::common::said(&expect_code(&folder, &["run", "plan.toml", "--quiet"], 4));
    assert!(said.contains("n1: the address no-such-host.invalid:5432 is not known"), "{said}");
}

#[test]
fn every_mistake_in_a_plan_is_named_and_faults_that_need_more_are_refused() {
    let folder = Folder::new();
    let addresses = ["a.invalid:1".to_owned(), "b.invalid:1".to_owned()];
    for (attach, faults, parts) in [
        ("kil = \"x\"\n", "", ["line 7", "unknown key `kil`; did you mean `kill`?"]),
        ("kill = \"x\"\n", "", ["line 7", "a fault also needs `restart`"]),
        ("resume = \"x\"\n", "", ["line 7", "a fault also needs `pause`"]),
        ("kill = [\"rm\", \"{data}/x\"]\nrestart = \"x\"\n", "", ["line 7", "there is no {data}"]),
        ("kill = \"x {peer}\"\nrestart = \"x\"\n", "", ["line 7", "no port `peer`"]),
        ("within = \"2h\"\n", "", ["line 7", "between 1ms and 600s"]),
        ("ready = { log = \"up\" }\n", "", ["line 7", "does not see the log"]),
        ("ready = { tcp = \"peer\" }\n", "", ["line 7", "only `client`"]),
        ("[[system.process]]\nstart = [\"x\"]\nports = [\"client\"]\n", "", ["line 5", "leave out [[system.process]]"]),
        ("[cluster]\nnodes = 3\n", "", ["nodes = 3", "addresses of 2 nodes"]),
        ("", "[faults]\nkinds = [\"kill\"]\n", ["fault `kill`", "needs `kill` and `restart`"]),
        ("kill = \"x\"\nrestart = \"x\"\n", "[faults]\nkinds = [\"pause\"]\n", ["fault `pause`", "needs `pause` and `resume`"]),
        (COMMANDS, "[faults]\nkinds = [\"terminate\"]\n", ["fault `terminate`", "no command"]),
        (COMMANDS, "[faults]\nkinds = [\"partition\"]\n", ["fault `partition`", "only the links of clients"]),
        ("", "[faults]\nkinds = [\"delay:link\"]\n", ["fault `delay:link`", "only the links of clients"]),
        ("", "[faults]\nkinds = [\"loss\"]\n", ["fault `loss`", "TCP loses"]),
        ("", "[faults]\nkinds = [\"power-loss\"]\n", ["fault `power-loss`", "un-synced"]),
        (
            "",
            "[[fault]]\ndo = \"delay\"\nat = \"1s\"\nfor = \"1s\"\ntarget = [\"n1>n2\"]\n",
            ["fault `delay` cannot disturb n1>n2", "clients>n1"],
        ),
        ("[cluster]\nnet = \"direct\"\n", "[faults]\nkinds = [\"delay\"]\n", ["fault `delay`", "needs the relay"]),
    ] {
        write_plan(&folder, &addresses, attach, faults);
        let said = said(&expect_code(&folder, &["run", "plan.toml"], 64));
        assert!(parts.iter().all(|part| said.contains(part)), "{attach}{faults}: {said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
    }
    write_plan(&folder, &addresses, "", "");
    let plan = std::fs::read_to_string(folder.path().join("plan.toml")).expect("there");
    let plan = plan.replacen("[system.attach]", "leader = [\"cat\", \"{data}/leader\"]\n[system.attach]", 1);
    std::fs::write(folder.path().join("plan.toml"), plan).expect("writable");
    let says = said(&expect_code(&folder, &["run", "plan.toml"], 64));
    assert!(says.contains("there is no {data}"), "{says}");
    for (addresses, part) in [
        (vec![], "nodes is empty"),
        (vec!["10.0.0.1"], "`10.0.0.1` is no address"),
        (vec!["h:0"], "`h:0` is no address"),
        (vec!["h:1", "h:1"], "two nodes have the address h:1"),
    ] {
        write_plan(&folder, &addresses.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>(), "", "");
        let said = said(&expect_code(&folder, &["run", "plan.toml"], 64));
        assert!(said.contains(part) && said.contains("line 6"), "{addresses:?}: {said}");
    }
}

#[test]
fn neither_the_end_of_the_harness_nor_clean_or_gc_touches_the_cluster() {
    let Some(cluster) = Running::start() else { return };
    let before = cluster.pids();
    cluster.plan(COMMANDS, "[faults]\nkinds = [\"delay\"]\n");
    let args = ["run", "plan.toml", "--quiet", "--duration", "60s"];
    let mut run = crate::common::Running(heckle(&cluster.folder, &args).spawn().expect("it starts"));
    // The driver is the only process of the run.
    assert!(wait_for(Duration::from_secs(60), || nodes_alive(&cluster.folder).len() == 1), "{:?}", nodes_alive(&cluster.folder));
    std::thread::sleep(Duration::from_secs(1));
    run.0.kill().expect("killable");
    run.0.wait().expect("reaped");
    expect_code(&cluster.folder, &["clean"], 0);
    expect_code(&cluster.folder, &["gc", "--keep", "0", "--keep-failed", "0", "--delete"], 0);
    cluster.assert_untouched(&before);
}
