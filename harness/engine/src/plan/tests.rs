//! Plans: defaults, overlays, and everything that must be rejected.

use super::settings::Settings;
use super::*;

fn settings(text: &str) -> Settings {
    file::parse(&format!("schema = \"heckle.plan/1\"\n{text}"), "p.toml", crate::testing::SYSTEMS).expect("well-formed")
}

#[test]
fn an_empty_plan_is_the_documented_default() {
    let plan = Plan::resolve(&Settings::default(), crate::testing::SYSTEMS).expect("defaults make sense");
    assert_eq!((plan.nodes, plan.clients, plan.max_in_flight), (3, 16, 2_048));
    assert_eq!(plan.rate, Rate::PerSecond(400.0));
    assert_eq!(plan.mix.to_string(), "cas=60,read=30,write=10");
    assert_eq!(plan.window(), (Nanos::from_ms(3_000), Nanos::from_ms(33_000)));
    let kinds: Vec<String> = plan.injections.iter().map(|i| i.fault.name()).collect();
    assert_eq!(kinds, ["kill", "pause", "partition"]);
    assert_eq!(plan.injections[0].at, Nanos::from_ms(10_500));
    assert_eq!(plan.injections[0].lasts, Nanos::from_ms(3_000));
}

#[test]
fn the_resolved_plan_is_the_same_plan() {
    let plan =
        Plan::resolve(&settings("[load]\nrate = \"max\"\n[faults]\nkinds = [\"pause\"]\n"), crate::testing::SYSTEMS).expect("makes sense");
    let text = toml::to_string(&plan.resolved).expect("TOML");
    let again = Plan::resolve(&file::parse(&text, "resolved", crate::testing::SYSTEMS).expect("well-formed"), crate::testing::SYSTEMS)
        .expect("makes sense");
    assert_eq!((again.injections, again.seed), (plan.injections.clone(), plan.seed));
    assert_eq!(again.resolved, plan.resolved);
}

#[test]
fn a_workload_brings_defaults_of_its_own() {
    for w in registry::WORKLOADS {
        let plan = Plan::resolve(&settings(&format!("[load]\nworkload = \"{}\"\n", w.name)), crate::testing::SYSTEMS).expect("makes sense");
        assert_eq!(plan.keys.count(), w.keys, "{}", w.name);
        assert_eq!(plan.value_bytes, if w.projection.is_some() { 24 } else { 8 }, "{}", w.name);
        let text = toml::to_string(&plan.resolved).expect("TOML");
        let again = Plan::resolve(&file::parse(&text, "resolved", crate::testing::SYSTEMS).expect("well-formed"), crate::testing::SYSTEMS)
            .expect("what is resolved resolves again");
        assert_eq!(again.resolved, plan.resolved, "{}", w.name);
    }
    let zipf = Plan::resolve(&settings("[load]\nkeys = 9\nzipf = 1.1\n"), crate::testing::SYSTEMS).expect("makes sense");
    assert_eq!((zipf.keys, zipf.resolved.load.hot), (KeyChoice::zipf(9, 1.1), None));
}

#[test]
fn a_mix_of_both_paths_is_expected_to_be_invalid_and_one_path_is_not() {
    let load = |text: &str| {
        Plan::resolve(&settings(&format!("[load]\nworkload = \"mixed\"\n{text}")), crate::testing::SYSTEMS).expect("makes sense")
    };
    let plan = load("");
    assert_eq!((plan.expect, plan.consistency, plan.mixes_paths()), (Expect::Invalid, Consistency::Quorum, true));
    assert_eq!(plan.clock_offset.map(|c| c.to_string()), Some("n3:-20ms".into()));
    assert_eq!(load("consistency = \"one\"").consistency, Consistency::One);
    for one_path in ["mix = \"put=1,get=1\"", "mix = \"cas=1,read=1\""] {
        assert_eq!((load(one_path).expect, load(one_path).mixes_paths()), (Expect::Valid, false), "{one_path}");
    }
    let said = settings("expect = \"valid\"\n[load]\nworkload = \"mixed\"\n");
    assert_eq!(Plan::resolve(&said, crate::testing::SYSTEMS).expect("makes sense").expect, Expect::Valid, "the plan has the last word");
}

#[test]
fn flags_lie_over_the_file() {
    let over = settings("[load]\nkeys = 9\n");
    let plan = Plan::resolve(&settings("[load]\nkeys = 2\nclients = 3\n").overlaid(&over), crate::testing::SYSTEMS).expect("makes sense");
    assert_eq!((plan.keys.names().len(), plan.clients), (9, 3));
}

#[test]
fn listed_faults_come_at_their_times_by_either_name() {
    let listed = |name: &str| {
        let text = format!("seed = \"7\"\n[[{name}]]\nat = \"2s\"\ndo = \"kill\"\nfor = \"1s\"\n");
        Plan::resolve(&settings(&text), crate::testing::SYSTEMS).expect("makes sense").injections
    };
    let injections = listed("fault");
    assert_eq!(injections.len(), 1);
    assert_eq!((injections[0].at, injections[0].lasts), (Nanos::from_ms(5_000), Nanos::from_ms(1_000)));
    assert_eq!(listed("strike"), injections, "as plans of earlier releases call it");
}

#[test]
fn a_listed_fault_can_name_its_target() {
    let target = |kind: &str, target: &str| {
        let text = format!("[[fault]]\nat = \"2s\"\ndo = \"{kind}\"\nfor = \"1s\"\ntarget = {target}\n");
        Plan::resolve(&settings(&text), crate::testing::SYSTEMS).map(|plan| plan.injections[0].fault.target.words().join(" "))
    };
    for (kind, words, want) in [
        ("kill", "[\"n3\"]", "n3"),
        ("delay", "[\"n1>n2\", \"clients>n1\"]", "n1>n2 clients>n1"),
        ("partition", "[\"n2\", \"n1|n3\"]", "n2 n1|n3"),
        ("clock-jump", "[\"n1\", \"n3\"]", "n1 n3"),
    ] {
        assert_eq!(target(kind, words), Ok(want.to_owned()));
    }
    for (kind, words, what) in [
        ("kill", "[\"n4\"]", "no n4 among 3"),
        ("kill", "[\"n1\", \"n2\"]", "one node"),
        ("loss", "[\"n1>n9\"]", "no n9 among 3"),
        ("kill-all", "[\"n1\"]", "leave out target"),
        ("kill:coordinator", "[\"n1\"]", "leave out target"),
    ] {
        let error = target(kind, words).expect_err(kind);
        assert!(error.contains(what) && error.contains(kind), "{error}");
    }
}

#[track_caller]
fn refused(text: &str, what: &str) {
    let error = Plan::resolve(&settings(text), crate::testing::SYSTEMS).expect_err("refused");
    assert!(error.contains(what), "`{error}` does not say `{what}`");
}

#[test]
fn what_makes_no_sense_is_refused() {
    refused("[cluster]\nnodes = 0", "nodes");
    refused("[cluster]\nsystem = \"bundeld\"", "did you mean `bundled`");
    refused("[cluster]\nnet = \"relais\"", "did you mean `relay`");
    refused("[cluster]\nrounds = \"fats\"", "did you mean `fast`");
    refused("[cluster]\nbackoff = \"adaptiv\"", "did you mean `adaptive`");
    refused("[cluster]\ncontention_timeout = \"0ms\"", "contention_timeout");
    refused("[cluster]\nprune = \"yes\"", "prune");
    refused("[cluster]\npaxos_ttl = \"1ms\"", "10ms..=366d");
    refused("[load]\nworkload = \"cas-registr\"", "did you mean `cas-register`");
    refused("[load]\nmix = \"swap=1\"", "swap");
    refused("[load]\nmix = \"cas=1,put=1\"", "use workload `mixed`");
    refused("[load]\nconsistency = \"one\"", "leave out consistency");
    refused("[load]\nworkload = \"mixed\"\nconsistency = \"on\"", "did you mean `one`");
    refused("[load]\nhot = 2.0", "between 0 and 1");
    refused("[load]\nvalue_bytes = 4", "value_bytes");
    refused("[load]\nworkload = \"counter\"\nvalue_bytes = 16", "value_bytes");
    refused("[load]\nworkload = \"counter\"\nmix = \"cas=1\"", "by itself");
    refused("[load]\nintent_timeout = \"1s\"", "has no intents");
    refused("[cluster]\nslow_clock = \"n3:-1s\"\n[faults]\nkinds = [\"clock-jump\"]", "set right");
    refused("[fairness]\nmin_jain = 0.9", "no client can starve");
    refused("[load]\nworkload = \"duel\"\n[fairness]\nmin_jain = 1.5", "min_jain");
    refused("[load]\nzipf = 0.0", "above 0");
    refused("[load]\nzipf = 1.1\nhot = 0.5", "not both");
    refused("[load]\nduration = \"1ms\"", "too short");
    refused("[faults]\nkinds = [\"kil\"]", "did you mean `kill`");
    refused("[faults]\nkinds = [\"partition:ring\"]", "4 nodes");
    refused("[cluster]\nnet = \"direct\"\n[faults]\nkinds = [\"delay\"]", "needs the relay");
    refused("[faults]\nfor = \"60s\"", "does not fit");
    refused("name = \"../up\"", "names a folder");
    refused("name = \"latest\"", "taken");
    refused("seed = \"twelve\"", "twelve");
    refused("[faults]\nkinds = [\"partition:majorty\"]", "did you mean `partition:majority`");
    refused("[faults]\nkinds = [\"kill:coordinater\"]", "did you mean `kill:coordinator`");
    refused("[[fault]]\ndo = \"kill\"\nfor = \"1s\"\n", "has no time");
    refused("[[fault]]\nat = \"29s\"\ndo = \"kill\"\nfor = \"9s\"\n", "after the load");
}

#[test]
fn a_listed_fault_can_wait_for_a_point() {
    let one = |text: &str| {
        let text = format!("seed = \"7\"\n[[fault]]\nat_point = \"after-propose-first\"\nfor = \"2s\"\n{text}\n");
        let plan = Plan::resolve(&settings(&text), crate::testing::SYSTEMS).expect("makes sense");
        let again = Plan::resolve(&plan.resolved, crate::testing::SYSTEMS).expect("what is resolved resolves again");
        assert_eq!(again.injections, plan.injections);
        let scheduled = heckle_faults::schedule_file::parse(&heckle_faults::schedule_file::format(&plan.injections), 3);
        assert_eq!(scheduled.as_ref(), Ok(&plan.injections), "in a schedule too");
        plan.with_schedule(scheduled.expect("a schedule")).expect("fits").injections.remove(0)
    };
    let isolate = one("do = \"partition:isolate\"\ntarget = \"sender\"");
    assert_eq!((isolate.at, isolate.lasts), (Nanos::from_ms(3_000), Nanos::from_ms(2_000)), "armed when the load window begins");
    assert_eq!((isolate.fault.name().as_str(), isolate.fault.target.words()), ("partition@after-propose-first", vec!["sender".to_owned()]));
    let kill = one("do = \"kill\"\ntarget = [\"n2\"]\nafter = \"4s\"\nhit = 5");
    let at = kill.fault.amounts.at_point.as_ref().expect("a point");
    assert_eq!((kill.at, at.hit.get(), kill.fault.target.words()), (Nanos::from_ms(7_000), 5, vec!["n2".to_owned()]));
    assert_eq!(one("do = \"pause:coordinator\"").fault.name(), "pause:coordinator@after-propose-first");
    assert_eq!(one("do = \"power-loss\"\ntarget = \"sender\"").fault.target.words(), ["sender"]);
}

#[test]
fn a_point_that_no_fault_can_wait_for_is_refused() {
    let point = |point: &str, more: &str| format!("[[fault]]\nat_point = \"{point}\"\nfor = \"1s\"\n{more}\n");
    let kill = |more: &str| point("before-reply", &format!("do = \"kill\"\n{more}"));
    refused(&point("before-replay", "do = \"kill\""), "did you mean `before-reply`");
    refused(&point("after-recovery-read", "do = \"kill\""), "only while a node starts");
    refused(&kill("at = \"2s\""), "has both at and at_point");
    refused(&kill("hit = 0"), "counted from 1");
    refused(&kill("after = \"29s\"\nfor = \"2s\"").replacen("for = \"1s\"\n", "", 1), "after the load");
    refused(&kill("after = \"29s\""), "leaves no time to wait for its point");
    refused("[[fault]]\nat = \"2s\"\nhit = 2\ndo = \"kill\"\nfor = \"1s\"\n", "belong to at_point");
    refused("[[fault]]\nat = \"2s\"\nafter = \"1s\"\ndo = \"kill\"\nfor = \"1s\"\n", "belong to at_point");
    refused("[[fault]]\nat = \"2s\"\ntarget = \"sender\"\ndo = \"kill\"\nfor = \"1s\"\n", "only a fault with at_point has a sender");
    for kind in ["kill-all", "partition:one-way", "kill:coordinator"] {
        refused(&point("before-reply", &format!("do = \"{kind}\"\ntarget = \"sender\"")), "cannot hit the sender alone");
    }
    refused(&format!("[cluster]\nsystem = \"etcd\"\n{}", kill("")), "etcd has no named points");
    for (more, what) in [("hit = -1", "hit"), ("target = 7", "a word or a list of words"), ("after = 3", "after")] {
        let text = format!("schema = \"heckle.plan/1\"\n{}", kill(more));
        let error = file::parse(&text, "p.toml", crate::testing::SYSTEMS).expect_err("refused");
        assert!(error.contains(what), "`{error}` does not say `{what}`");
    }
    // A schedule is checked as well.
    let plan = Plan::resolve(&settings(&kill("")), crate::testing::SYSTEMS).expect("makes sense");
    let mut injections = plan.injections.clone();
    injections[0].fault.amounts.at_point = Some(heckle_faults::AtPoint::next("before-lunch"));
    assert!(plan.with_schedule(injections).expect_err("no such point").contains("no point is called `before-lunch`"));
}

/// The schema for editors, stored next to those of the other files. HECKLE_BLESS=1 rewrites it.
#[test]
fn the_schema_of_plans_is_the_kept_one() {
    let schema = heckle_results::schemas::of::<Settings>(file::SCHEMA);
    let text = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/schemas/plan.schema.json");
    let bless = std::env::var_os("HECKLE_BLESS").is_some();
    heckle_results::schemas::compare(&path, &text, bless).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn etcd_takes_the_settings_and_faults_that_it_has() {
    let plan = Plan::resolve(&settings("[cluster]\nsystem = \"etcd\""), crate::testing::SYSTEMS).expect("makes sense");
    assert_eq!((plan.system.name(), plan.net), ("etcd", Net::Relay));
    let kinds: Vec<String> = plan.injections.iter().map(|i| i.fault.listed_as().to_string()).collect();
    assert_eq!(kinds, ["kill", "pause", "partition"], "the default kinds: its links carry bytes, which can be cut");
    // Resolved again from its own text.
    assert_eq!(Plan::resolve(&plan.resolved, crate::testing::SYSTEMS).expect("makes sense").resolved, plan.resolved);
    refused("[cluster]\nsystem = \"etcd\"\n[faults]\nkinds = [\"loss\"]", "fault `loss` cannot be injected into etcd");
    refused("[cluster]\nsystem = \"etcd\"\nnet = \"direct\"\n[faults]\nkinds = [\"partition\"]", "fault `partition` needs the relay");
    refused("[cluster]\nsystem = \"etcd\"\nrounds = \"classic\"", "`rounds` is a setting of the bundled server");
    refused("[cluster]\nsystem = \"etcd\"\nmutant = \"no-refresh\"", "`mutant` is a setting");
    refused("[cluster]\nsystem = \"etcd\"\n[faults]\nkinds = [\"kill:holder\"]", "did you mean `kill:leader`");
    refused("[cluster]\nsystem = \"etcd\"\n[faults]\nkinds = [\"clock-jump\"]", "whose clocks cannot be set");
    refused("[cluster]\nsystem = \"etcd\"\n[load]\nroute = \"holder\"", "etcd has none");
    // A system's own settings are in a separate table.
    let stale = Plan::resolve(&settings("[cluster]\nsystem = \"etcd\"\n[system.etcd]\nserializable_reads = true"), crate::testing::SYSTEMS);
    let stale = stale.expect("makes sense");
    assert_eq!(stale.system.settings()["serializable_reads"].as_bool(), Some(true));
    assert_eq!(stale.resolved.system["etcd"]["serializable_reads"].as_bool(), Some(true));
}

#[test]
fn all_is_every_kind_inside_the_model_that_fits() {
    let plan = |text: &str| Plan::resolve(&settings(text), crate::testing::SYSTEMS).expect("makes sense");
    let names = |plan: &Plan| plan.faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    let whole = plan("[load]\nduration = \"60s\"\n[faults]\nkinds = [\"all\"]\nevery = \"2s\"\nfor = \"1s\"\n");
    let listed = names(&whole);
    for kind in ["kill", "power-loss:all", "clock-drift", "kill:coordinator", "partition:one-way"] {
        assert!(listed.iter().any(|name| name == kind), "{kind}: {listed:?}");
    }
    let left_out = whole.faults_left_out.as_deref().expect("three nodes, no lease");
    assert!(left_out.contains("partition:ring (needs 4 nodes or more, this plan has 3)"), "{left_out}");
    assert!(left_out.contains("kill:holder, pause:holder, ") && left_out.contains("(no target: no lease is granted)"), "{left_out}");
    assert!(!listed.iter().any(|name| name.ends_with(":holder") || name == "partition:ring"), "{listed:?}");
    // As many different kinds are drawn as fit.
    let drawn: BTreeSet<String> = whole.injections.iter().map(|injection| injection.fault.listed_as().to_string()).collect();
    assert!(drawn.len() >= 18 && whole.injections.len() == 29, "{} kinds, {} faults", drawn.len(), whole.injections.len());
    // The resolved plan lists the kinds, and the same faults are drawn.
    let again = Plan::resolve(&whole.resolved, crate::testing::SYSTEMS).expect("makes sense");
    assert_eq!((again.faults_left_out, &again.injections), (None, &whole.injections));

    let five = plan("[cluster]\nnodes = 5\n[system.paxos]\nlease = \"priority\"\n[faults]\nkinds = [\"all\"]\n");
    assert_eq!(five.faults_left_out, None);
    assert!(names(&five).iter().any(|name| name == "kill:holder"));
    let direct = plan("[cluster]\nnet = \"direct\"\n[faults]\nkinds = [\"all\"]\n");
    assert!(!names(&direct).iter().any(|name| name.starts_with("partition") || name == "loss"), "{:?}", names(&direct));
    // A kind that can never apply to a system is not listed as left out at all.
    let bytes = plan("[cluster]\nsystem = \"etcd\"\n[faults]\nkinds = [\"all\"]\n");
    let left_out = bytes.faults_left_out.as_deref().expect("three nodes");
    assert!(!names(&bytes).contains(&"loss".to_owned()) && !left_out.contains("loss"), "{left_out}");
    // A keyword for many kinds can be combined with other kinds.
    assert_eq!(names(&plan("[faults]\nkinds = [\"kill\", \"beyond\"]\n"))[0], "kill");
    let twice = names(&plan("[faults]\nkinds = [\"kill\", \"all\", \"kill\"]\n"));
    assert_eq!(twice.iter().filter(|name| *name == "kill").count(), 1, "{twice:?}");
    // The plan asked for faults, so a run without any is rejected.
    refused("[cluster]\nsystem = \"etcd\"\n[faults]\nkinds = [\"beyond\"]\n", "no fault fits: etcd can have none of them");
}
