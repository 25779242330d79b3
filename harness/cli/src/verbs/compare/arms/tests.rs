use super::*;
use crate::cli::ArmArgs;

fn args(arms: &[&str]) -> CompareArgs {
    let arms = ArmArgs { arms: arms.iter().map(|a| (*a).to_owned()).collect(), seed: Some("7".into()) };
    CompareArgs { arms, ..CompareArgs::default() }
}

#[track_caller]
fn refused(args: &CompareArgs, parts: &[&str]) {
    let error = experiment(args).expect_err("refused");
    assert!(parts.iter().all(|p| error.contains(p)), "`{error}` lacks one of {parts:?}");
}

#[test]
fn every_preset_makes_sense() {
    for (preset, plan) in plans::presets() {
        let args = CompareArgs { preset: Some(preset.into()), ..args(&[]) };
        let experiment = experiment(&args).unwrap_or_else(|e| panic!("{preset}: {e}"));
        assert_eq!((experiment.arms.len(), experiment.pairs), (plan.settings().arm.len(), PAIRS));
        assert_eq!(experiment.name, format!("compare-{preset}"));
        let help = <crate::cli::Cli as clap::CommandFactory>::command()
            .find_subcommand("compare")
            .expect("a verb")
            .clone()
            .render_help()
            .to_string();
        assert!(help.contains(preset), "--help does not name {preset}");
    }
}

/// A preset's rate suits its own workload only: 20 intents per second would leave a mutex idle, and its runs would not count.
#[test]
fn a_preset_with_another_workload_runs_at_the_rate_of_that_workload() {
    let rate = |workload: Option<&str>, rate: Option<Rate>| {
        let mut args = CompareArgs { preset: Some("lease".into()), ..args(&[]) };
        args.output.quiet = true;
        (args.settings.load.workload, args.settings.load.rate) = (workload.map(str::to_owned), rate);
        experiment(&args).expect("makes sense").rate
    };
    assert_eq!(rate(None, None), Rate::PerSecond(20.0));
    assert_eq!(rate(Some("hot-key"), None), Rate::PerSecond(20.0), "it is the preset's own workload");
    assert_eq!(rate(Some("mutex"), None), Rate::Max);
    assert_eq!(rate(Some("cas-register"), None), Rate::PerSecond(400.0));
    assert_eq!(rate(Some("mutex"), Some(Rate::PerSecond(9.0))), Rate::PerSecond(9.0), "a flag wins");
    let of = |preset: &str| {
        let experiment = experiment(&CompareArgs { preset: Some(preset.into()), ..args(&[]) }).expect("makes sense");
        (experiment.clients, experiment.faults, experiment.rate)
    };
    assert_eq!(of("lease-lock"), (Clients::Contend, vec![], Rate::Max));
    assert_eq!(of("lease"), (Clients::Contend, vec!["kill:holder".into(), "pause:holder".into()], Rate::PerSecond(20.0)));
}

#[test]
fn arms_differ_in_what_they_state_and_share_seed_and_faults() {
    let mut args = args(&["a:backoff=uniform", "b:backoff=none,mix=cas=50,read=50"]);
    args.settings.faults.kinds = Some(vec!["kill".into(), "pause".into()]);
    args.arms.arms = vec!["a".into(), "b:mix=cas=50,raed=50".into()];
    refused(&args, &["raed"]);
    args.arms.arms[1] = "b:backoff=none".into();
    let experiment = experiment(&args).expect("makes sense");
    let plans: Vec<Plan> = (0..2).map(|i| experiment.plan(i, 3).expect("a plan")).collect();
    assert_eq!((plans[0].seed, &plans[0].injections), (plans[1].seed, &plans[1].injections));
    let backoff = |i: usize| plans[i].system.settings()["backoff"].as_str().map(str::to_owned);
    assert_eq!((backoff(0).as_deref(), backoff(1).as_deref()), (Some("uniform"), Some("none")));
    assert_ne!(experiment.pair_seed(1), experiment.pair_seed(2));
    let first: Vec<usize> = (1..=40).map(|pair| experiment.order(pair)[0]).collect();
    assert!((10..=30).contains(&first.iter().filter(|f| **f == 0).count()), "{first:?}");
}

#[test]
fn one_arm_is_held_against_the_plan_and_aa_runs_one_twice() {
    let one = experiment(&args(&["new:backoff=none"])).expect("makes sense");
    assert_eq!(one.arms.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["as-planned", "new"]);
    let aa = experiment(&CompareArgs { aa: true, ..args(&["new:backoff=none", "other"]) }).expect("makes sense");
    assert_eq!(aa.arms.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["new", "new-again"]);
    assert_eq!(aa.arms[0].settings, aa.arms[1].settings);
}

#[test]
fn state_is_drawn_where_a_remedy_differs() {
    let differs = |arms: &[&str]| experiment(&args(arms)).expect("makes sense").state_differs;
    assert!(differs(&["a:prune=off", "b:prune=on"]) && differs(&["a", "b:paxos_ttl=4s"]));
    assert!(!differs(&["a:backoff=none", "b"]));
    assert!(!differs(&["a:prune=on,backoff=none", "b"]), "what one states is what the other has");
}

#[test]
fn a_list_in_an_arm_keeps_its_commas() {
    let (name, stated) = parse_arm("x:mix=cas=50,backoff=none").expect("well-formed");
    assert_eq!((name.as_str(), stated["mix"].as_str(), stated["backoff"].as_str()), ("x", "cas=50", "none"));
    let (_, stated) = super::parse_arm("x:kinds=kill,pause,keys=2").expect("well-formed");
    assert_eq!((stated["kinds"].as_str(), stated["keys"].as_str()), ("kill,pause", "2"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    refused(&args(&[]), &["nothing to compare", "--preset"]);
    refused(&args(&["a:bakcoff=none", "b"]), &["arm `a`", "did you mean `backoff`"]);
    refused(&args(&["a:backoff=nome", "b"]), &["arm `a`", "did you mean `none`"]);
    refused(&args(&["a", "b"]), &["`a` and `b` state the same", "--aa"]);
    refused(&args(&["a:backoff=uniform", "b"]), &["come to the same plan"]);
    refused(&args(&["a:backoff=none", "a:keys=2"]), &["two arms are called `a`"]);
    refused(&args(&["../up:keys=2"]), &["folder"]);
    refused(&args(&["plots:keys=2"]), &["taken"]);
    refused(&args(&["a:keys"]), &["NAME:KEY=VALUE"]);
    refused(&args(&["a:keys=1,keys=2"]), &["twice"]);
    refused(&args(&["a:bin=no/such/program", "b"]), &["no/such/program", "build of heckle"]);
    refused(&args(&["a:rate=max", "b"]), &["different rates", "apart"]);
    refused(&args(&["a:duration=5s", "b"]), &["different"]);
    refused(&args(&["a:kinds=kill", "b"]), &["different faults"]);
    refused(&CompareArgs { pairs: Some(0), ..args(&["a:keys=2"]) }, &["--pairs 0"]);
    refused(&CompareArgs { noise_limit: Some(2.0), ..args(&["a:keys=2"]) }, &["--noise-limit 2"]);
    refused(&CompareArgs { late_limit: Some(f64::NAN), ..args(&["a:keys=2"]) }, &["--late-limit NaN"]);
    refused(&CompareArgs { preset: Some("backof".into()), ..args(&[]) }, &["did you mean `backoff`"]);
}
