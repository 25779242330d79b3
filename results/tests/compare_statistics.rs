//! The statistics of a comparison against simulated arms: how often a claim is made where there is nothing to claim, and
//! how often a change that is there is found. `cargo test -p heckle-results --test compare_statistics -- --nocapture`
//! prints the rates. Seeded, so that they are the same every time.

use heckle_history::prng::{Pcg64, Seed};
use heckle_results::compare::decide::{ALPHA, Decision, Ending, decide, margin};
use heckle_results::compare::paired::{Estimate, Pair, Reading, Scale, estimate};
use rand::RngExt;

const TRIALS: u32 = 2_000;
/// Family-wise false claims, at most: 5 % by design, and room for the luck of 2,000 trials (2 % are four standard errors).
const FALSE_CLAIMS_AT_MOST: f64 = 0.07;

/// How one pair's log ratio scatters.
#[derive(Debug, Clone, Copy)]
enum Noise {
    Normal,
    /// Laplace: now and then a run is far out.
    HeavyTailed,
    /// Normal on top of a machine that gets slower from run to run; the order within a pair is drawn.
    Drifting,
}

/// Three figures of ten pairs, say, of as many arms against one reference.
#[derive(Debug, Clone, Copy)]
struct World {
    pairs: usize,
    arms: usize,
    noise: Noise,
    /// Standard deviation of a pair's log ratio.
    scatter: f64,
    /// True ratio of the first two figures.
    ratio: f64,
}

fn normal(rng: &mut Pcg64) -> f64 {
    // Box and Muller.
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}

/// With standard deviation 1.
fn scatter(noise: Noise, rng: &mut Pcg64) -> f64 {
    match noise {
        Noise::Normal | Noise::Drifting => normal(rng),
        Noise::HeavyTailed => {
            let u: f64 = rng.random::<f64>() - 0.5;
            -u.signum() * (1.0 - 2.0 * u.abs()).max(1e-300).ln() / 2f64.sqrt()
        }
    }
}

/// Unknown outcomes among 4,000 ops of a run that had `mean` of them on average.
fn unknowns(rng: &mut Pcg64, mean: f64) -> f64 {
    // Knuth's Poisson.
    let (limit, mut product, mut count) = ((-mean).exp(), rng.random::<f64>(), 0u32);
    while product > limit {
        product *= rng.random::<f64>();
        count += 1;
    }
    f64::from(count) / 4_000.0
}

/// The estimates of one trial: three figures for each arm.
fn trial(world: World, rng: &mut Pcg64) -> Vec<Option<Estimate>> {
    let mut figures = vec![vec![]; 3 * world.arms];
    for pair in 0..world.pairs {
        // A bad fault hurts all arms of a pair, and both kinds of wait; an arm's own scatter is shared by its two waits.
        let (luck, bad) = (normal(rng), 6.0 * rng.random::<f64>());
        let reference = [0.0, 0.0].map(|_| 100.0 * (luck + scatter(world.noise, rng) * world.scatter / 2f64.sqrt()).exp());
        let reference_unknown = unknowns(rng, bad);
        for arm in 0..world.arms {
            let own = scatter(world.noise, rng) * world.scatter / 2f64.sqrt();
            let slower = match world.noise {
                Noise::Drifting => 0.3 * if rng.random::<bool>() { 1.0 } else { -1.0 } * (1.0 + pair as f64 / 10.0) / 2.0,
                Noise::Normal | Noise::HeavyTailed => 0.0,
            };
            for figure in 0..2 {
                let value = 100.0 * world.ratio * (luck + own + slower).exp();
                figures[3 * arm + figure].push(Pair { reference: Reading::Exact(reference[figure]), arm: Reading::Exact(value) });
            }
            let arm_unknown = unknowns(rng, bad);
            figures[3 * arm + 2].push(Pair { reference: Reading::Exact(reference_unknown), arm: Reading::Exact(arm_unknown) });
        }
    }
    let of = |(i, pairs): (usize, Vec<Pair>)| {
        let scale = if i % 3 == 2 { Scale::Difference } else { Scale::Ratio };
        estimate(&pairs, scale, margin(scale))
    };
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
fn arms_without_an_effect_are_seldom_told_apart() {
    let world = World { pairs: 10, arms: 1, noise: Noise::Normal, scatter: 0.2, ratio: 1.0 };
    for (name, world) in [
        ("false claims, 10 pairs", world),
        ("false claims, 8 pairs", World { pairs: 8, ..world }),
        ("false claims, 16 pairs", World { pairs: 16, ..world }),
        ("false claims, wild waits", World { scatter: 1.0, ..world }),
        ("false claims, heavy tails", World { noise: Noise::HeavyTailed, scatter: 0.5, ..world }),
        ("false claims, drifting machine", World { noise: Noise::Drifting, ..world }),
        ("false claims, two arms against one", World { arms: 2, ..world }),
    ] {
        let rate = rate(name, world, any_claim);
        assert!(rate <= FALSE_CLAIMS_AT_MOST, "{name}: {rate}");
    }
}

/// The simulation itself can tell: without Holm's adjustment, the same trials fail the same bound.
#[test]
fn without_looking_at_the_figures_together_there_would_be_too_many() {
    let world = World { pairs: 10, arms: 1, noise: Noise::Normal, scatter: 0.2, ratio: 1.0 };
    let rate = rate("false claims, unadjusted", world, |estimates| estimates.iter().flatten().any(|e| e.p <= ALPHA));
    assert!(rate > FALSE_CLAIMS_AT_MOST, "{rate}");
}

/// Were pairs looked at after each one, with a stop at the first claim, the same arms would often be told apart: why the
/// number of pairs is fixed beforehand, and an interrupted comparison claims nothing.
#[test]
fn stopping_at_the_first_claim_would_be_wrong_too_often() {
    let mut rng = Seed(2_000).stream("peeking");
    let world = World { pairs: 30, arms: 1, noise: Noise::Normal, scatter: 0.2, ratio: 1.0 };
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
    let world = World { pairs: 10, arms: 1, noise: Noise::Normal, scatter: 0.2, ratio: 1.25 };
    let alone = rate("power at 10 pairs, +25 %, pair noise 0.2, at 0.05", world, |e| e[0].is_some_and(|e| e.p <= ALPHA));
    assert!(alone >= 0.8, "{alone}");
    let together =
        rate("the same, as one of three primary figures", world, |e| decide(e, Ending::AsPlanned)[0].decision == Decision::Changed);
    assert!(together >= 0.6 && together <= alone, "{together}");
    let down = World { ratio: 0.75, ..world };
    let down = rate("power at 10 pairs, −25 %, pair noise 0.2, at 0.05", down, |e| e[0].is_some_and(|e| e.p <= ALPHA));
    assert!(down >= alone, "a quarter less is farther away than a quarter more: {down}");
}

/// An arm that is off by just the margin is seldom called the same, and equal ones with little noise often are.
#[test]
fn sameness_is_claimed_of_what_is_the_same() {
    let same = |e: &[Option<Estimate>]| {
        let decided = decide(e, Ending::AsPlanned);
        decided[..2].iter().any(|d| d.decision == Decision::PracticallyTheSame)
    };
    let world = World { pairs: 10, arms: 1, noise: Noise::Normal, scatter: 0.03, ratio: 1.1 };
    let wrong = rate("called the same at the margin", world, same);
    assert!(wrong <= FALSE_CLAIMS_AT_MOST, "{wrong}");
    let right = rate("called the same where it is", World { ratio: 1.0, ..world }, same);
    assert!(right >= 0.9, "{right}");
}

/// The 95 % interval holds the truth in about 95 % of trials, for ratios and for differences.
#[test]
fn intervals_cover_the_truth() {
    let world = World { pairs: 10, arms: 1, noise: Noise::Normal, scatter: 0.2, ratio: 1.25 };
    let covers = |e: &Option<Estimate>, truth: f64| {
        e.is_some_and(|e| e.interval.0.is_some_and(|low| low <= truth) && e.interval.1.is_some_and(|high| truth <= high))
    };
    let ratio = rate("coverage of the ratio's interval", world, |e| covers(&e[0], 1.25f64.ln()));
    assert!((0.935..=0.965).contains(&ratio), "{ratio}");
    // Counts are few and lumpy, so that the interval is wider than it need be, and never narrower.
    let difference = rate("coverage of the share's interval", world, |e| covers(&e[2], 0.0));
    assert!(difference >= 0.935, "{difference}");
}
