use super::*;
use heckle_results::results_json::Gate;
use heckle_results::sweep::figures::{ANSWERED_RATIO, P99_MS};
use heckle_results::sweep::sample;

/// Duration of every run of [`World`].
const RUN: Duration = Duration::from_secs(10);

/// A simulated world in which every run takes ten seconds, and every arm meets its limits up to its capacity.
struct World {
    capacity: Vec<f64>,
    made: Vec<Cell>,
    kept: usize,
    left: Vec<Duration>,
    stop_after: usize,
    violate_at: Option<usize>,
    broken_from: usize,
}

impl World {
    fn new(capacity: &[f64]) -> Self {
        World {
            capacity: capacity.to_vec(),
            made: vec![],
            kept: 0,
            left: vec![],
            stop_after: usize::MAX,
            violate_at: None,
            broken_from: usize::MAX,
        }
    }
}

impl SweepEnvironment for World {
    fn run(&mut self, cell: &Cell) -> Result<Made, String> {
        let i = self.made.len();
        self.made.push(cell.clone());
        if i + 1 > self.stop_after {
            return Ok(Made::Interrupted);
        }
        let holds = cell.value.number <= self.capacity[cell.arm];
        let verdict = if i >= self.broken_from { RunVerdict::Error } else { RunVerdict::Valid };
        let run = Run {
            arm: ["a", "b", "c"][cell.arm].into(),
            value: cell.value.clone(),
            repeat: cell.repeat,
            path: format!("run-{i}"),
            verdict,
            not_counted: (verdict == RunVerdict::Error).then(|| "no disk".to_owned()),
            slo: vec![Gate { expr: "p99_ms<50".into(), actual: Some(10.0), passed: holds, void: false }],
            figures: [(P99_MS.to_owned(), 10.0), (ANSWERED_RATIO.to_owned(), 1.0)].into(),
            wall_s: RUN.as_secs_f64(),
            ..Run::default()
        };
        let violation = (self.violate_at == Some(i)).then(|| Disqualified { path: "run".into(), why: "stale".into() });
        Ok(Made::Run(Box::new(run), violation))
    }

    fn keep(&mut self, sweep: &Sweep, left: Duration) -> Result<(), String> {
        self.kept = sweep.runs.len();
        self.left.push(left);
        Ok(())
    }

    fn interrupted(&self) -> bool {
        self.made.len() > self.stop_after
    }

    fn elapsed(&self) -> Duration {
        RUN * self.made.len() as u32
    }
}

fn planned(arms: &[&str], repeats: u32) -> Sweep {
    let mut sweep = sample::sweep(arms, repeats);
    sweep.runs.clear();
    sweep.points.clear();
    sweep.knees.clear();
    sweep.head.wall_s = 0.0;
    sweep
}

fn keys(cells: &[Cell]) -> Vec<(usize, String, u32)> {
    cells.iter().map(|c| (c.arm, c.value.text.clone(), c.repeat)).collect()
}

#[test]
fn every_run_is_made_once_and_kept() {
    let mut world = World::new(&[500.0, 500.0]);
    let (sweep, ending) = drive(planned(&["a", "b"], 3), Seed(7), None, &mut world);
    assert_eq!((ending, sweep.runs.len(), world.kept), (Ending::AsPlanned, 30, 30));
    let mut all = keys(&world.made);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 30);
    assert_eq!((sweep.points.len(), sweep.knees.len()), (10, 2));
    assert_eq!(sweep.knees[0].at.as_ref().map(|v| v.text.as_str()), Some("800"));
    assert_eq!((world.left[0], world.left[29]), (RUN * 29, Duration::ZERO), "the time left counts down to zero");
}

#[test]
fn an_interrupted_sweep_continues_with_the_same_runs_in_the_same_order() {
    let mut whole = World::new(&[500.0, 500.0]);
    drive(planned(&["a", "b"], 2), Seed(7), None, &mut whole);

    let mut first = World { stop_after: 7, ..World::new(&[500.0, 500.0]) };
    let (sweep, ending) = drive(planned(&["a", "b"], 2), Seed(7), None, &mut first);
    assert_eq!((ending, sweep.runs.len()), (Ending::Interrupted, 7), "the interrupted run does not count");
    // A resumed sweep has only the contents of its file.
    let stored = Sweep::from_json(&sweep.to_json()).expect("it reads back");
    let mut second = World::new(&[500.0, 500.0]);
    let (sweep, ending) = drive(stored, Seed(7), None, &mut second);
    assert_eq!((ending, sweep.runs.len()), (Ending::AsPlanned, 20));
    let both: Vec<Cell> = first.made[..7].iter().chain(&second.made).cloned().collect();
    assert_eq!(keys(&both), keys(&whole.made));
    assert!((sweep.head.wall_s - 280.0 / 10.0 * 10.0).abs() < 80.0, "both sessions count: {}", sweep.head.wall_s);
    // No runs are left.
    let mut third = World::new(&[500.0, 500.0]);
    assert_eq!(drive(sweep, Seed(7), None, &mut third).1, Ending::AsPlanned);
    assert!(third.made.is_empty());
}

#[test]
fn a_budget_ends_the_sweep_before_it_is_exceeded() {
    let mut world = World::new(&[500.0]);
    let (sweep, ending) = drive(planned(&["a"], 3), Seed(7), Some(RUN * 8 + RUN / 2), &mut world);
    assert_eq!((ending, sweep.runs.len()), (Ending::OutOfBudget, 8));
    assert!(world.left.iter().all(|left| *left < RUN * 8), "the time left is within the budget: {:?}", world.left);
}

#[test]
fn a_violation_ends_its_arm_alone() {
    let mut world = World { violate_at: Some(2), ..World::new(&[500.0, 500.0]) };
    let (sweep, ending) = drive(planned(&["a", "b"], 2), Seed(7), None, &mut world);
    let bad = world.made[2].arm;
    assert_eq!(ending, Ending::AsPlanned);
    assert!(sweep.arms[bad].disqualified.is_some() && sweep.arms[1 - bad].disqualified.is_none());
    assert!(world.made[3..].iter().all(|c| c.arm != bad));
    assert_eq!(world.made.iter().filter(|c| c.arm != bad).count(), 10);
}

#[test]
fn broken_runs_end_the_sweep() {
    let mut world = World { broken_from: 0, ..World::new(&[500.0]) };
    let (sweep, ending) = drive(planned(&["a"], 2), Seed(7), None, &mut world);
    assert_eq!((sweep.runs.len(), ending), (1, Ending::Failed("the first run of arm `a` broke, in run-0: no disk".into())));
    let mut world = World { broken_from: 4, ..World::new(&[500.0]) };
    let (sweep, ending) = drive(planned(&["a"], 2), Seed(7), None, &mut world);
    assert_eq!((sweep.runs.len(), ending), (7, Ending::Failed("3 runs in a row broke, the last in run-6: no disk".into())));
}

#[test]
fn a_bisection_finds_the_maximum_of_each_arm_and_can_be_resumed() {
    let mut sweep = planned(&["a", "b", "c"], 2);
    sweep.design.find_max = true;
    sweep.design.values = vec![rate_value(100.0), rate_value(8_000.0)];
    let capacity = [777.0, 3_210.0, 9_000.0];
    let mut whole = World::new(&capacity);
    let (done, ending) = drive(sweep.clone(), Seed(7), None, &mut whole);
    assert_eq!(ending, Ending::AsPlanned);
    for (i, want) in capacity.iter().enumerate() {
        let found = &done.maxima[i];
        let rate = found.rate_per_s.expect("found");
        assert!(found.complete && rate <= *want, "{found:?}");
        assert!(found.high_per_s.map_or(*want > 8_000.0, |high| high > *want && high / rate < 1.051), "{found:?}");
    }
    assert_eq!(keys(&whole.made).iter().filter(|k| k.0 == 2).count(), 4, "the third arm holds both ends");

    let mut first = World { stop_after: 9, ..World::new(&capacity) };
    let (stopped, _) = drive(sweep, Seed(7), None, &mut first);
    let mut second = World::new(&capacity);
    let (again, _) = drive(stopped, Seed(7), None, &mut second);
    assert_eq!(again.maxima, done.maxima);
    assert_eq!(9 + second.made.len(), whole.made.len(), "no run is made twice");
}
