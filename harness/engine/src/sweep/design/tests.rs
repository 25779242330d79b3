use super::*;
use crate::testing::SYSTEMS;

fn spec(over: &str, arms: &[(&str, &str)]) -> Spec {
    let arm = |(name, text): &(&str, &str)| {
        let base = file::parse(&format!("schema = \"heckle.plan/1\"\n{text}"), name, SYSTEMS).expect("well-formed");
        ArmSpec { name: (*name).into(), stated: BTreeMap::new(), settings: with_defaults(base), left_out: None }
    };
    Spec {
        axis: over.parse().expect("an axis"),
        arms: arms.iter().map(arm).collect(),
        repeats: 3,
        find_max: false,
        slo: vec![limit(SLO).expect("a limit")],
        seed: Seed(7),
        systems: SYSTEMS,
    }
}

#[track_caller]
fn refused(spec: &Spec, parts: &[&str]) {
    let error = spec.check().expect_err("refused");
    assert!(parts.iter().all(|p| error.contains(p)), "`{error}` lacks one of {parts:?}");
}

#[test]
fn arms_share_seeds_and_differ_in_their_settings() {
    let spec = spec("rate=100..400:3", &[("a", ""), ("b", "[cluster]\nsystem = \"etcd\"\n")]);
    let first = spec.check().expect("makes sense");
    assert!(first.injections.is_empty(), "no faults unless the plan has some");
    assert_eq!((first.warmup, first.duration, first.quiet_tail), (WARMUP, WINDOW, QUIET_TAIL));
    let [a, b] = [0, 1].map(|arm| spec.plan(arm, &spec.axis.values[1], 2).expect("a plan"));
    assert_eq!((a.seed, a.rate), (b.seed, b.rate));
    assert_eq!((a.rate, a.name.as_str(), b.system.name()), (Rate::PerSecond(200.0), "a-200", "etcd"));
    assert_ne!(a.seed, spec.plan(0, &spec.axis.values[1], 3).expect("a plan").seed);
    assert_eq!(spec.max_runs(), 18);
    assert_eq!(spec.describe_arms().expect("arms")[1].system, "etcd");
}

#[test]
fn what_a_plan_says_about_faults_stays() {
    let text = "[load]\nwarmup = \"2s\"\n[faults]\nkinds = [\"kill\"]\n";
    let plan = spec("rate=100,200", &[("a", text)]).check().expect("makes sense");
    assert_eq!((plan.injections.len(), plan.warmup, plan.quiet_tail), (1, Span::ms(2_000), Span::ms(6_000)));
}

#[test]
fn skew_of_keys_can_be_the_axis() {
    let zipf = spec("zipf=0.5,1.2", &[("a", "[load]\nhot = 0.5\n")]);
    assert!(zipf.check().is_ok());
    let hot = spec("hot=0..1:3", &[("a", "[load]\nzipf = 1.1\n")]);
    assert!(hot.check().is_ok());
}

#[test]
fn what_makes_no_sense_is_refused() {
    refused(&spec("nodes=1,40", &[("a", "")]), &["arm `a` at nodes = 40", "1 and 15"]);
    refused(&spec("hot=0,3", &[("a", "")]), &["arm `a` at hot = 3"]);
    refused(&spec("rate=100,200", &[("a", "expect = \"invalid\"\n")]), &["expects a violation"]);
    refused(&spec("rate=100,200", &[("a", ""), ("b", "[load]\nwarmup = \"9s\"\n")]), &["`a` and `b`", "different times"]);
    refused(&Spec { repeats: 0, ..spec("rate=100,200", &[("a", "")]) }, &["--repeats 0"]);
    refused(&Spec { find_max: true, ..spec("clients=1,2", &[("a", "")]) }, &["--find-max", "--over rate=FROM..TO"]);
    refused(&Spec { find_max: true, ..spec("rate=100", &[("a", "")]) }, &["--find-max needs a range"]);
    let staged = "[[load.stage]]\nfor = \"2s\"\nrate = 100\n";
    refused(&spec("keys=1,2", &[("a", staged)]), &["[[load.stage]]", "steady load"]);
    let mut stated = spec("rate=100,200", &[("a", "")]);
    stated.arms[0].stated.insert("rate".into(), "5".into());
    refused(&stated, &["arm `a` states rate, which is the axis"]);
    let mut gone = spec("rate=100,200", &[("a", "")]);
    gone.arms[0].left_out = Some("etcd is not installed".into());
    refused(&gone, &["every arm is left out", "etcd is not installed"]);
    let many = spec("rate=1..100:64", &[("a", ""), ("b", "[load]\nkeys = 2\n")]);
    refused(&Spec { repeats: 50, ..many }, &["6400 runs are more than 5000"]);
}

#[test]
fn limits_may_be_written_with_an_equals_sign() {
    assert_eq!(limit("p99_ms=50").expect("a limit").text(), "p99_ms<50");
    assert_eq!(limit("jain>=0.9").expect("a limit").text(), "jain>=0.9");
    for (text, part) in [("p99", "is not a limit"), ("p98_ms=50", "did you mean"), ("p99_ms<fast", "not a number")] {
        let error = limit(text).expect_err(text);
        assert!(error.starts_with("--slo: limit") && error.contains(part), "{error}");
    }
}

#[test]
fn the_settings_of_an_arm_are_read_back() {
    let spec =
        spec("rate=100,200", &[("a", "[cluster]\nlease = \"off\"\n[load]\nworkload = \"hot-key\"\n[system.paxos]\nrounds = \"fast\"\n")]);
    let settings = &spec.arms[0].settings;
    let again = file::parse(&plan_text(settings), "arm", SYSTEMS).expect("a plan");
    assert_eq!(again, Settings { schema: Some(file::SCHEMA.into()), ..settings.clone() });
}
