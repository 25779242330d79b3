use super::*;
use crate::cli::ArmArgs;

fn args(over: &str, arms: &[&str]) -> SweepArgs {
    SweepArgs {
        over: Some(over.into()),
        arms: ArmArgs { arms: arms.iter().map(|a| (*a).to_owned()).collect(), seed: Some("7".into()) },
        ..SweepArgs::default()
    }
}

#[track_caller]
fn refused(args: &SweepArgs, parts: &[&str]) {
    let error = request(args).expect_err("refused");
    assert!(parts.iter().all(|p| error.contains(p)), "`{error}` lacks one of {parts:?}");
}

#[test]
fn every_preset_makes_sense_within_its_budget() {
    let mut names = vec![];
    for (preset, plan) in plans::sweep_presets() {
        let args = SweepArgs { preset: Some(preset.into()), ..SweepArgs::default() };
        let request = request(&args).unwrap_or_else(|e| panic!("{preset}: {e}"));
        assert_eq!(request.name, format!("sweep-{preset}"));
        assert_eq!(request.spec.arms.len(), plan.settings().arm.len());
        assert!(request.budget.is_some() && request.design.runs > 0);
        let help = <crate::cli::Cli as clap::CommandFactory>::command()
            .find_subcommand("sweep")
            .expect("a verb")
            .clone()
            .render_help()
            .to_string();
        assert!(help.contains(preset), "--help does not name {preset}");
        names.push(preset);
    }
    assert_eq!(names, ["contention", "lease-contention", "throughput"]);
}

#[test]
fn the_length_of_a_point_follows_from_the_budget() {
    let arms = ["a:rounds=classic", "b:rounds=fast"];
    let of = |budget| request(&SweepArgs { budget, ..args("rate=100..8000:5", &arms) }).expect("makes sense");
    let (short, long) = (of(Some(Span::ms(180_000))), of(Some(Span::ms(600_000))));
    assert_eq!((short.design.runs, long.design.runs), (30, 30));
    assert!(short.design.window_s < long.design.window_s && long.design.run_s * 30.0 <= 600.0);
    let plan = long.spec.plan(1, &long.spec.axis.values[0], 1).expect("a plan");
    assert_eq!(plan.duration.0.as_secs_f64(), long.design.window_s);
    assert_eq!(of(None).design.window_s, 5.0);
    refused(&SweepArgs { budget: Some(Span::ms(20_000)), ..args("rate=100..8000", &arms) }, &["--budget 20s", "are the least"]);
    let mut both = SweepArgs { budget: Some(Span::ms(600_000)), ..args("rate=100..8000", &arms) };
    both.settings.load.duration = Some(Span::ms(5_000));
    refused(&both, &["--budget and --duration"]);
}

#[test]
fn systems_can_be_arms() {
    let request = request(&args("rate=100,200", &["bundled", "etcd:system=etcd"]));
    // If etcd is not installed, an arm that names it is an error that states what to install.
    match request {
        Ok(request) => assert_eq!(request.spec.describe_arms().expect("arms")[1].system, "etcd"),
        Err(e) => assert!(e.contains("etcd"), "{e}"),
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    refused(&SweepArgs::default(), &["say what varies", "--over"]);
    refused(&args("raet=1..2", &[]), &["did you mean `rate`"]);
    refused(&args("rate=100..800", &["a:bakcoff=none"]), &["arm `a`", "did you mean `backoff`"]);
    refused(&args("rate=100..800", &["a", "b"]), &["`a` and `b` state the same"]);
    refused(&args("rate=100..800", &["a:rate=5", "b"]), &["arm `a` states rate"]);
    refused(&args("nodes=3,99", &[]), &["nodes = 99", "1 and 15"]);
    refused(&SweepArgs { find_max: true, ..args("clients=1..8", &[]) }, &["--find-max finds a rate"]);
    refused(&SweepArgs { slo: vec!["p98_ms<50".into()], ..args("rate=100..800", &[]) }, &["--slo", "did you mean"]);
    refused(&SweepArgs { repeats: Some(0), ..args("rate=100..800", &[]) }, &["--repeats 0"]);
    refused(&SweepArgs { preset: Some("throughptu".into()), ..SweepArgs::default() }, &["did you mean `throughput`"]);
    refused(&SweepArgs { preset: Some("backoff".into()), ..SweepArgs::default() }, &["no sweep preset `backoff`"]);
    let mut flag = args("rate=100..800", &[]);
    flag.settings.load.rate = Some(crate::plan::units::Rate::Max);
    refused(&flag, &["--rate and --over", "leave out the flag"]);
    let mut flag = args("nodes=3,5", &[]);
    flag.settings.cluster.nodes = Some(3);
    refused(&flag, &["--nodes and --over"]);
}
