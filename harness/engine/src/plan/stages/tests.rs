use super::super::{Plan, file};
use super::*;
use crate::testing::SYSTEMS;

fn plan(load: &str) -> Result<Plan, String> {
    let text = format!("schema = \"heckle.plan/1\"\n[faults]\nkinds = []\n[load]\nwarmup = \"1s\"\n{load}");
    file::parse(&text, "p.toml", SYSTEMS).and_then(|settings| Plan::resolve(&settings, SYSTEMS))
}

fn stage(text: &str) -> String {
    format!("[[load.stage]]\n{text}\n")
}

#[track_caller]
fn refused(load: &str, parts: &[&str]) {
    let error = plan(load).expect_err(load);
    assert!(parts.iter().all(|part| error.contains(part)) && !error.contains('\n'), "`{error}` lacks one of {parts:?}");
}

#[test]
fn stages_give_the_duration_and_the_mean_rate() {
    let text =
        [stage("for = \"2s\"\nrate = 100"), stage("for = \"4s\"\nrate = 400\nramp = true"), stage("for = \"500ms\"\nrate = 2000")].concat();
    let plan = plan(&text).expect("sound");
    assert_eq!((plan.duration, plan.clients), (Span::ms(6_500), 16));
    // 200 + 1000 + 1000 in 6.5 s.
    assert_eq!(plan.rate, Rate::PerSecond(2_200.0 / 6.5));
    let stages = plan.stages.as_ref().expect("three");
    let planned = stages.planned(plan.warmup.nanos());
    let ms = |p: &PlannedStage| (p.start_ns / 1_000_000, p.end_ns / 1_000_000, p.from, p.to);
    assert_eq!(
        planned.iter().map(ms).collect::<Vec<_>>(),
        [(1_000, 3_000, 100.0, 100.0), (3_000, 7_000, 100.0, 400.0), (7_000, 7_500, 2_000.0, 2_000.0)]
    );
    let shape = stages.shape(plan.warmup.nanos());
    assert_eq!(shape.stages()[0], (Nanos(0), Stage::hold(Nanos::from_ms(1_000), 100.0)), "the warm-up has the first rate");
    assert_eq!(shape.stages().len(), 4);
}

#[test]
fn stages_by_clients_are_a_closed_loop() {
    let load = format!(
        "workload = \"hot-key\"\nthink = \"5ms\"\n{}{}",
        stage("for = \"1s\"\nclients = 2"),
        stage("for = \"1s\"\nclients = 20\nramp = true")
    );
    let plan = plan(&load).expect("sound");
    assert_eq!((plan.rate, plan.clients, plan.think), (Rate::Max, 20, Span::ms(5)));
    assert_eq!(plan.fairness.min_jain, 0.0, "clients that come later succeed less often");
    refused(
        &format!(
            "workload = \"hot-key\"\n{}{}\n[fairness]\nmin_jain = 0.5",
            stage("for = \"1s\"\nclients = 2"),
            stage("for = \"1s\"\nclients = 3")
        ),
        &["min_jain", "leave it out"],
    );
}

#[test]
fn a_resolved_plan_with_stages_resolves_to_the_same() {
    for stages in ["rate = 5\n", "clients = 5\n"] {
        let plan =
            plan(&(stage(&format!("for = \"1s\"\n{stages}")) + &stage(&format!("for = \"2s\"\nramp = true\n{stages}")))).expect("sound");
        let text = toml::to_string(&plan.resolved).expect("TOML");
        let again = Plan::resolve(&file::parse(&text, "resolved", SYSTEMS).expect("well-formed"), SYSTEMS).expect("sound");
        assert_eq!((&again.stages, &again.resolved, again.hash()), (&plan.stages, &plan.resolved, plan.hash()), "{text}");
    }
}

/// In each plan, the stages begin at line six.
#[test]
fn mistakes_are_named_with_their_place() {
    let one = stage("for = \"1s\"\nrate = 5");
    refused(&format!("duration = \"2s\"\n{one}"), &["p.toml, line 6, column 12", "their sum is its duration", "--duration"]);
    refused(&format!("rate = 4\n{one}"), &["line 6, column 8", "which set the rate"]);
    refused(&format!("clients = 4\n{}", stage("for = \"1s\"\nclients = 5")), &["line 6, column 11", "set the clients"]);
    refused(&format!("think = \"1ms\"\n{one}"), &["line 6, column 9", "closed loop"]);
    refused(&stage("for = \"1s\""), &["line 6", "stage 1 of the load has neither rate nor clients"]);
    refused(&(one.clone() + &stage("for = \"1s\"\nrate = 5\nclients = 3")), &["line 9", "stage 2 of the load has both"]);
    refused(&(one.clone() + &stage("for = \"1s\"\nclients = 3")), &["line 9", "first stage has a rate"]);
    refused(&(stage("for = \"1s\"\nclients = 3") + &one), &["line 9", "first stage has clients"]);
    refused(&stage("for = \"1s\"\nrate = 5\nramp = true"), &["line 6", "is a ramp", "put a stage in front"]);
    refused(&stage("for = \"1s\"\nrate = \"max\""), &["line 6", "closed loop"]);
    refused(&stage("for = \"1s\"\nclients = 0"), &["line 6", "clients = 0", "1 and 4096"]);
    refused(&stage("for = \"1ms\"\nrate = 5"), &["line 6", "1ms long", "10ms is the least"]);
    refused(&stage("for = \"1s\"\nrate = 0"), &["line 8", "rate 0"]);
    refused(&stage("for = \"1s\"\nrtae = 5"), &["line 8", "did you mean `rate`"]);
    refused(&stage("rate = 5"), &["line 6", "`for`"]);
    refused(&one.repeat(101), &["stage 101", "100 are the most"]);
    refused(&stage("for = \"100h\"\nrate = 5").repeat(2), &["line 9", "7 days"]);
    refused("abort_on = [\"p99_ms>500\"]", &["line 6", "for how long"]);
    refused("rate = 5\nthink = \"1s\"", &["think = 1s", "rate max"]);
}

/// A flag has no position in the file.
#[test]
fn a_flag_does_not_change_stages() {
    let text = format!("schema = \"heckle.plan/1\"\n{}", stage("for = \"1s\"\nrate = 5"));
    let file = file::parse(&text, "p.toml", SYSTEMS).expect("sound");
    let mut flags = crate::plan::settings::Settings::default();
    flags.load.duration = Some(Span::ms(9_000));
    let error = Plan::resolve(&file.overlaid(&flags), SYSTEMS).expect_err("two durations");
    assert!(error.contains("leave out duration (--duration)"), "{error}");
}
