//! `--system etcd`: a real etcd cluster under the same load, faults and judge.

use crate::common::*;

#[test]
fn etcd_under_a_kill_is_judged_valid() {
    if heckle_system_etcd::find_program().is_err() {
        eprintln!("SKIPPED: no etcd here; {}", heckle_system_etcd::INSTALL);
        let folder = Folder::new();
        let out = expect_code(&folder, &["run", "--system", "etcd", "--duration", "1s"], 64);
        assert!(said(&out).contains("etcd-server") && said(&out).trim().lines().count() == 1, "{}", said(&out));
        return;
    }
    let folder = Folder::new();
    let args =
        ["run", "--system", "etcd", "--faults", "kill", "--duration", "6s", "--warmup", "1s", "--quiet-tail", "1s", "--quiet", "--json"];
    let out = expect_code(&folder, &args, 0);
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!((&results["verdict"], &results["plan"]["labels"]["system"]), (&"valid".into(), &"etcd".into()), "{results:#}");
    assert!(results["faults"][0]["effective"] == true && results["faults"][0]["healed"] == true, "{results:#}");
    assert!(results["ops"]["condition_not_met"].as_u64() > Some(0), "refusals carry what they met: {results:#}");
    assert_eq!(results["env"]["system_version"].as_str().map(str::to_owned), heckle_system_etcd::version());
    let folder_of_run = folder.path().join("results/runs/latest");
    let page = std::fs::read_to_string(folder_of_run.join("report.html")).expect("a page");
    assert!(page.contains("version of the system") && !page.contains("preempted, repairs"), "a figure that is not reported has no row");
    assert!(std::fs::read_to_string(folder_of_run.join("env.json")).expect("kept").contains("system_version"));
    // Figures that only the bundled server reports are absent rather than zero.
    assert!(results["paxos"]["fsyncs_per_op"].is_null() && results["paxos"]["state_bytes_max"].is_null(), "{results:#}");
    assert_eq!(nodes_alive(&folder), Vec::<u32>::new());
}

/// The links of members and clients pass through the raw relay. Each fault cuts, holds and heals them, and no
/// acknowledged update is lost.
#[test]
fn etcd_under_faults_of_links_is_judged_valid() {
    if heckle_system_etcd::find_program().is_err() {
        eprintln!("SKIPPED: no etcd here; {}", heckle_system_etcd::INSTALL);
        return;
    }
    let folder = Folder::new();
    // The one-way cut comes last: members may take seconds to elect a leader after it.
    let listed = [
        ("6s", "partition:leader", "5s"),
        ("14s", "partition:clients", "3s"),
        ("19s", "delay", "3s"),
        ("24s", "reset", "3s"),
        ("29s", "partition:one-way", "3s"),
    ];
    let faults = listed.map(|(at, kind, lasts)| format!("[[fault]]\nat = \"{at}\"\ndo = \"{kind}\"\nfor = \"{lasts}\"\n"));
    let head = "schema = \"heckle.plan/1\"\nname = \"links\"\n[cluster]\nsystem = \"etcd\"\n[load]\nduration = \"44s\"\nwarmup = \"1s\"\n\
        [faults]\nquiet_tail = \"1s\"\n";
    std::fs::write(folder.path().join("links.toml"), format!("{head}{}", faults.concat())).expect("a writable folder");
    let out = expect_code(&folder, &["run", "links.toml", "--quiet", "--json"], 0);
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(results["verdict"], "valid", "{results:#}");
    let faults = results["faults"].as_array().expect("a list");
    assert_eq!(faults.len(), 5, "{faults:#?}");
    for fault in faults {
        assert!(fault["effective"] == true && fault["healed"] == true, "{fault:#}");
    }
    let held = &faults[0]["evidence"]["bytes_by_link"];
    assert!(held.as_object().is_some_and(|links| links.len() == 4), "both directions to both others: {:#}", faults[0]);
    assert_eq!(nodes_alive(&folder), Vec::<u32>::new());
    // TCP loses nothing, so the relay must not either.
    let out = expect_code(&folder, &["run", "--system", "etcd", "--faults", "loss"], 64);
    assert!(said(&out).contains("fault `loss` cannot be injected into etcd, whose links carry a byte stream"), "{}", said(&out));
}

/// Reads that one member answers from its local data are not linearizable, and the judge detects this.
#[test]
fn serializable_reads_of_etcd_are_found_stale() {
    if heckle_system_etcd::find_program().is_err() {
        eprintln!("SKIPPED: no etcd here; {}", heckle_system_etcd::INSTALL);
        return;
    }
    let folder = Folder::new();
    let plan = "schema = \"heckle.plan/1\"\nname = \"stale\"\n[cluster]\nsystem = \"etcd\"\n[system.etcd]\nserializable_reads = true\n\
        [load]\nroute = \"random\"\nduration = \"8s\"\nwarmup = \"1s\"\n\
        [faults]\nkinds = [\"pause:leader\", \"pause\"]\nevery = \"2s\"\nfor = \"1s\"\nquiet_tail = \"1s\"\n";
    std::fs::write(folder.path().join("stale.toml"), plan).expect("a writable folder");
    // Whether a read is stale depends on the members: a run may see no stale read, but most see one.
    let found = (1..=5).any(|seed: u32| {
        let out = output(&folder, &["run", "stale.toml", "--seed", &seed.to_string(), "--quiet", "--json"]);
        let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
        let invalid = results["linearizability"]["verdict"] == "invalid";
        assert!(!invalid || (results["verdict"] == "invalid" && out.status.code() == Some(1)), "{results:#}");
        invalid
    });
    assert!(found, "no stale read in five runs");
    assert_eq!(nodes_alive(&folder), Vec::<u32>::new());
}

#[test]
fn doctor_names_the_version_of_etcd_and_the_faults_that_can_strike_it() {
    let out = output(&Folder::new(), &["doctor"]);
    let line = said(&out).lines().find(|line| line.contains("system etcd")).expect("it is listed").to_owned();
    match heckle_system_etcd::version() {
        Some(version) => assert!(line.contains(&version) && line.contains("partition:leader"), "{line}"),
        None => assert!(line.contains("etcd-server"), "{line}"),
    }
}
