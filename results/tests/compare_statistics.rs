//! The statistics of a comparison against simulated arms: how often a claim is made although there is no difference,
//! and how often a real change is found. `cargo test -p heckle-results --test compare_statistics -- --nocapture` prints
//! the rates. The simulations are seeded, so the rates are reproducible.

use heckle_history::prng::{Pcg64, Seed};
use heckle_results::compare::decide::{ALPHA, Decision, Ending, decide, margin};
use heckle_results::compare::paired::{Estimate, Pair, Reading, Scale, estimate};
use rand::RngExt;

const TRIALS: u32 = 2_000;
/// Maximum rate of false claims per comparison: 5 % by design, plus an allowance for chance in 2,000 trials (2 % is four standard errors).
const FALSE_CLAIMS_AT_MOST: f64 = 0.07;

/// The distribution of the log ratio of one pair.
#[derive(Debug, Clone, Copy)]
enum Noise {
    Normal,
    /// Laplace: occasionally a run is far off.
    HeavyTailed,
    /// Normal, on a machine that gets slower from run to run. The order within a pair is random.
    Drifting,
}

/// The primary figures of a comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Family {
    /// The figures for independent operations: two waits and the unknown rate.
    Three,
    /// The figures for contending clients: in addition, the restricted mean wait, the share of intents that never finished,
    /// Jain's index and the number of starved clients. If an intent never finished, the longest wait is a lower bound.
    Seven,
}

/// The scales of the figures, in order.
const SCALES: [Scale; 7] = [Scale::Ratio, Scale::Ratio, Scale::Difference, Scale::Ratio, Scale::Difference, Scale::Index, Scale::Count];
/// Indices of figures.
const P99: usize = 0;
const UNKNOWN: usize = 2;
const RESTRICTED: usize = 3;
const UNFINISHED: usize = 4;
const JAIN: usize = 5;
const STARVED: usize = 6;

impl Family {
    fn size(self) -> usize {
        match self {
            Family::Three => 3,
            Family::Seven => 7,
        }
    }
}

/// The figures of several arms against one reference, in a number of pairs.
#[derive(Debug, Clone, Copy)]
struct World {
    pairs: usize,
    arms: usize,
    noise: Noise,
    /// Standard deviation of a pair's log ratio.
    scatter: f64,
    /// True ratio of the waits.
    ratio: f64,
    figures: Family,
    /// Whether the arms also remove the inequality, starvation and unfinished intents of the reference.
    cure: bool,
}

const WORLD: World = World { pairs: 10, arms: 1, noise: Noise::Normal, scatter: 0.2, ratio: 1.0, figures: Family::Three, cure: false };

fn normal(rng: &mut Pcg64) -> f64 {
    // Box and Muller.
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}

/// Draws noise with a standard deviation of 1.
fn scatter(noise: Noise, rng: &mut Pcg64) -> f64 {
    match noise {
        Noise::Normal | Noise::Drifting => normal(rng),
        Noise::HeavyTailed => {
            let u: f64 = rng.random::<f64>() - 0.5;
            -u.signum() * (1.0 - 2.0 * u.abs()).max(1e-300).ln() / 2f64.sqrt()
        }
    }
}

/// Draws a count with this mean.
fn count(rng: &mut Pcg64, mean: f64) -> f64 {
    // Knuth's Poisson generator.
    let (limit, mut product, mut count) = ((-mean).exp(), rng.random::<f64>(), 0u32);
    while product > limit {
        product *= rng.random::<f64>();
        count += 1;
    }
    f64::from(count)
}

/// Returns the figures of one run. `wait` is the log of its waits relative to other runs, `bad` the severity of its
/// fault, and `ill` the amount of inequality, starvation and unfinished intents.
fn run(wait: f64, bad: f64, ill: f64, rng: &mut Pcg64) -> [Reading; 7] {
    let unfinished = count(rng, ill * bad / 2.0);
    let longest = 300.0 * wait.exp();
    let jain = (1.0 - 0.05 * (1.0 + ill) * (0.4 * normal(rng)).exp()).clamp(1.0 / 12.0, 1.0);
    [
        Reading::Exact(100.0 * wait.exp()),
        // For a run with unfinished intents, only a lower bound on the longest wait is known.
        if unfinished > 0.0 { Reading::AtLeast(longest) } else { Reading::Exact(longest) },
        Reading::Exact(count(rng, bad) / 4_000.0),
        Reading::Exact(30.0 * (0.8 * wait + 0.05 * normal(rng)).exp()),
        Reading::Exact(unfinished / 400.0),
        Reading::Exact(jain),
        Reading::Exact(count(rng, ill * 0.4)),
    ]
}

/// Returns the estimates of one trial, arm by arm.
fn trial(world: World, rng: &mut Pcg64) -> Vec<Option<Estimate>> {
    let size = world.figures.size();
    let mut figures = vec![vec![]; size * world.arms];
    // Independent operations are never unfinished.
    let ill = match (world.figures, world.cure) {
        (Family::Three, _) => 0.0,
        (Family::Seven, false) => 1.0,
        (Family::Seven, true) => 6.0,
    };
    for pair in 0..world.pairs {
        // A bad fault affects all arms of a pair and all kinds of wait; the noise of a run affects all of its waits.
        let (luck, bad) = (normal(rng), 6.0 * rng.random::<f64>());
        let own = |rng: &mut Pcg64| scatter(world.noise, rng) * world.scatter / 2f64.sqrt();
        let wait = luck + own(rng);
        let reference = run(wait, bad, ill, rng);
        for arm in 0..world.arms {
            let slower = match world.noise {
                Noise::Drifting => 0.3 * if rng.random::<bool>() { 1.0 } else { -1.0 } * (1.0 + pair as f64 / 10.0) / 2.0,
                Noise::Normal | Noise::HeavyTailed => 0.0,
            };
            let wait = luck + own(rng) + slower + world.ratio.ln();
            let of_arm = run(wait, bad, if world.cure { 0.0 } else { ill }, rng);
            for figure in 0..size {
                figures[size * arm + figure].push(Pair { reference: reference[figure], arm: of_arm[figure] });
            }
        }
    }
    let of = |(i, pairs): (usize, Vec<Pair>)| estimate(&pairs, SCALES[i % size], margin(SCALES[i % size]));
    figures.into_iter().enumerate().map(of).collect()
}

fn rate(name: &str, world: World, mut hit: impl FnMut(&[Option<Estimate>]) -> bool) -> f64 {
    let mut rng = Seed(2_000).stream(name);
    let hits = (0..TRIALS).filter(|_| hit(&trial(world, &mut rng))).count();
    let rate = hits as f64 / f64::from(TRIALS);
    println!("{name}: {:.1} % of {TRIALS} trials", rate * 100.0);
    rate
}

fn any_claim(estimates: &[Option<Estimate>]) -> bool {
    decide(estimates, Ending::AsPlanned).iter().any(|d| d.decision == Decision::Changed)
}

#[test]
fn arms_without_an_effect_are_rarely_declared_different() {
    let (world, contended) = (WORLD, World { figures: Family::Seven, ..WORLD });
    for (name, world) in [
        ("false claims, 10 pairs", world),
        ("false claims, 8 pairs", World { pairs: 8, ..world }),
        ("false claims, 16 pairs", World { pairs: 16, ..world }),
        ("false claims, wild waits", World { scatter: 1.0, ..world }),
        ("false claims, heavy tails", World { noise: Noise::HeavyTailed, scatter: 0.5, ..world }),
        ("false claims, drifting machine", World { noise: Noise::Drifting, ..world }),
        ("false claims, two arms against one", World { arms: 2, ..world }),
        ("false claims, seven figures", contended),
        ("false claims, seven figures, 8 pairs", World { pairs: 8, ..contended }),
        ("false claims, seven figures, two arms", World { arms: 2, ..contended }),
        ("false claims, seven figures, heavy tails", World { noise: Noise::HeavyTailed, scatter: 0.5, ..contended }),
        ("false claims, seven figures, drifting machine", World { noise: Noise::Drifting, ..contended }),
    ] {
        let rate = rate(name, world, any_claim);
        assert!(rate <= FALSE_CLAIMS_AT_MOST, "{name}: {rate}");
    }
}

/// Shows that the simulation can fail: without Holm's adjustment, the same trials exceed the bound.
#[test]
fn without_holm_false_claims_exceed_the_bound() {
    let world = WORLD;
    for (name, world) in [("false claims, unadjusted", world), ("the same, seven figures", World { figures: Family::Seven, ..world })] {
        let rate = rate(name, world, |estimates| estimates.iter().flatten().any(|e| e.p <= ALPHA));
        assert!(rate > FALSE_CLAIMS_AT_MOST, "{name}: {rate}");
    }
}

/// If pairs were examined one by one, stopping at the first claim, equal arms would often be declared different. The
/// number of pairs is therefore fixed in advance, and an interrupted comparison makes no claim.
#[test]
fn stopping_at_the_first_claim_would_be_wrong_too_often() {
    let mut rng = Seed(2_000).stream("peeking");
    let world = World { pairs: 30, ..WORLD };
    let mut peeked = 0;
    for _ in 0..400 {
        let ratios: Vec<Pair> = (0..world.pairs)
            .map(|_| Pair { reference: Reading::Exact(1.0), arm: Reading::Exact((0.2 * normal(&mut rng)).exp()) })
            .collect();
        let claims = |n: usize| estimate(&ratios[..n], Scale::Ratio, margin(Scale::Ratio)).is_some_and(|e| e.p <= ALPHA);
        peeked += u32::from((8..=world.pairs).any(claims));
    }
    println!("false claims of one figure with a look after every pair: {:.1} % of 400 trials", f64::from(peeked) / 4.0);
    assert!(f64::from(peeked) / 400.0 > 2.0 * ALPHA);
}

#[test]
fn a_change_of_a_quarter_is_found() {
    let world = World { ratio: 1.25, ..WORLD };
    let alone = rate("power at 10 pairs, +25 %, pair noise 0.2, at 0.05", world, |e| e[0].is_some_and(|e| e.p <= ALPHA));
    assert!(alone >= 0.8, "{alone}");
    let together =
        rate("the same, as one of three primary figures", world, |e| decide(e, Ending::AsPlanned)[0].decision == Decision::Changed);
    assert!(together >= 0.6 && together <= alone, "{together}");
    let down = World { ratio: 0.75, ..world };
    let down = rate("power at 10 pairs, −25 %, pair noise 0.2, at 0.05", down, |e| e[0].is_some_and(|e| e.p <= ALPHA));
    assert!(down >= alone, "a quarter less is farther away than a quarter more: {down}");
}

/// The effect of a lease on a contended lock is found even though seven figures of two arms are tested together: half
/// the waiting time, and no inequality, starved clients or unfinished intents. Shares and counts are tested by signs,
/// which requires all ten pairs.
#[test]
fn the_effects_of_a_lease_are_found_among_seven_figures() {
    let world = World { arms: 2, ratio: 0.5, figures: Family::Seven, cure: true, ..WORLD };
    let names = [
        "p99 intent time",
        "longest wait",
        "unknown rate",
        "restricted mean wait",
        "intents never finished",
        "Jain's index",
        "starved clients",
    ];
    let power = |name: &str, world: World| {
        let (mut rng, mut found) = (Seed(2_000).stream(name), [0u32; 7]);
        for _ in 0..TRIALS {
            let decided = decide(&trial(world, &mut rng), Ending::AsPlanned);
            for (found, decided) in found.iter_mut().zip(decided) {
                *found += u32::from(decided.decision == Decision::Changed);
            }
        }
        let share = found.map(|n| f64::from(n) / f64::from(TRIALS));
        for (what, share) in names.iter().zip(share) {
            println!("power at 10 pairs, two arms, seven figures, {name}: {what} {:.1} % of {TRIALS} trials", share * 100.0);
        }
        share
    };
    let halved = power("waits halved, the rest cured", world);
    assert!([P99, RESTRICTED, JAIN].iter().all(|figure| halved[*figure] >= 0.9), "{halved:?}");
    assert!([UNFINISHED, STARVED].iter().all(|figure| halved[*figure] >= 0.4), "{halved:?}");
    assert!(halved[UNKNOWN] <= FALSE_CLAIMS_AT_MOST, "the unknown rate does not change: {halved:?}");
    let quarter = power("a quarter less waiting and nothing else", World { ratio: 0.75, cure: false, ..world });
    assert!(quarter[RESTRICTED] >= 0.5 && quarter[STARVED] <= FALSE_CLAIMS_AT_MOST, "{quarter:?}");
}

/// An arm that differs by exactly the margin is rarely declared the same, while equal arms with little noise often are.
#[test]
fn equal_arms_are_declared_the_same() {
    let same = |e: &[Option<Estimate>]| {
        let decided = decide(e, Ending::AsPlanned);
        decided[..2].iter().any(|d| d.decision == Decision::PracticallyTheSame)
    };
    let world = World { scatter: 0.03, ratio: 1.1, ..WORLD };
    let wrong = rate("called the same at the margin", world, same);
    assert!(wrong <= FALSE_CLAIMS_AT_MOST, "{wrong}");
    let right = rate("called the same where it is", World { ratio: 1.0, ..world }, same);
    assert!(right >= 0.9, "{right}");
}

/// The 95 % interval contains the true value in about 95 % of trials, for both ratios and differences.
#[test]
fn intervals_cover_the_truth() {
    let world = World { ratio: 1.25, ..WORLD };
    let covers = |e: &Option<Estimate>, truth: f64| {
        e.is_some_and(|e| e.interval.0.is_some_and(|low| low <= truth) && e.interval.1.is_some_and(|high| truth <= high))
    };
    let ratio = rate("coverage of the ratio's interval", world, |e| covers(&e[0], 1.25f64.ln()));
    assert!((0.935..=0.965).contains(&ratio), "{ratio}");
    // Counts are small and discrete, so the interval is wider than necessary, but never narrower.
    let difference = rate("coverage of the share's interval", world, |e| covers(&e[2], 0.0));
    assert!(difference >= 0.935, "{difference}");
}
