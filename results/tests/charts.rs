//! Pictures are small and reproducible, are drawn for every kind of history, and show what they claim to show.

use heckle_history::{Fate, FigureId, FigureInfo, History, Measure, Nanos, NodeEvent, Outcome, Unit, drawn};
use heckle_results::charts::{self, Caption, Picture, Scene, style};
use heckle_results::results_json::RunVerdict;
use heckle_results::sample::{self, Sample};
use heckle_results::{analyze, series};
use plotters::style::RGBColor;

const MAX_BYTES: usize = 150_000;

fn draw(history: &History) -> Vec<Picture> {
    let caption = Caption { plan: "cas-register".into(), seed: "0x7".into(), verdict: Some(RunVerdict::Valid) };
    charts::draw(Scene { history, measured: &analyze(history), series: &series::of(history), caption: &caption, violations: &[] })
}

/// Decodes a PNG into its width, height and RGB pixels.
fn decode(picture: &Picture) -> (u32, u32, Vec<[u8; 3]>) {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(&picture.png));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    (info.width, info.height, bytes.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect())
}

fn near(pixel: [u8; 3], colour: [u8; 3]) -> bool {
    pixel.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 12)
}

const VERMILLION: [u8; 3] = rgb(style::VERMILLION);
const ORANGE: [u8; 3] = rgb(style::ORANGE);
const VIOLATION: [u8; 3] = rgb(style::VIOLATION);

const fn rgb(colour: RGBColor) -> [u8; 3] {
    [colour.0, colour.1, colour.2]
}

/// Returns the number of pixels of a colour below the legend.
fn count(picture: &Picture, colour: [u8; 3]) -> usize {
    let (width, _, pixels) = decode(picture);
    pixels.iter().skip((width * 104) as usize).filter(|p| near(**p, colour)).count()
}

/// Returns the number of pixels of any blue, the colour of ok ops.
fn blues(picture: &Picture) -> usize {
    decode(picture).2.iter().filter(|p| p[2].saturating_sub(p[0]) > 60).count()
}

#[test]
fn every_history_can_be_drawn() {
    let mut many = sample::history(Sample { faults: 40, rate_per_s: 100, ..Sample::default() });
    for fault in &mut many.faults {
        fault.evidence.clear();
    }
    let one = drawn::history("c1 |w 1-->|");
    let open = drawn::history("c1 |w 1-----|\nc2 |cas 1 2--?|");
    for (name, history) in [("many faults", &many), ("one op", &one), ("open ops", &open), ("nothing", &History::default())] {
        for picture in draw(history) {
            let (width, height, _) = decode(&picture);
            assert_eq!((width, height), picture.size(), "{name} {}", picture.name);
            assert!(width == 1280 && (200..1_700).contains(&height), "{name} {}: {height}", picture.name);
            assert!(picture.png.len() < MAX_BYTES, "{name} {}: {} bytes", picture.name, picture.png.len());
        }
    }
}

#[test]
fn the_same_history_gives_the_same_bytes() {
    let history = sample::history(Sample { rate_per_s: 2_000, ..Sample::default() });
    assert_eq!(draw(&history), draw(&history));
}

#[test]
fn a_hundred_thousand_ops_stay_small() {
    let history = sample::history(Sample { rate_per_s: 3_000, faults: 9, ..Sample::default() });
    assert!(history.ops.len() > 100_000);
    for picture in draw(&history) {
        assert!(picture.png.len() < MAX_BYTES, "{}: {} bytes", picture.name, picture.png.len());
    }
}

#[test]
fn what_went_wrong_is_seen_and_what_did_not_is_not() {
    let bad = draw(&sample::history(Sample::default()));
    let good = draw(&sample::history(Sample { faults: 0, ..Sample::default() }));
    let named = |pictures: &[Picture], name: &str| pictures.iter().find(|p| p.name == name).cloned().unwrap();
    for name in ["latency_raw", "outcomes"] {
        let (bad, good) = (named(&bad, name), named(&good, name));
        assert!(count(&bad, VERMILLION) > 200 && count(&bad, ORANGE) > 200, "{name}: unknown and failed ops are drawn");
        // Only the line of the op timeout has this colour.
        assert!(count(&good, VERMILLION) < 5 && count(&good, ORANGE) == 0, "{name}: nothing to draw");
        assert!(blues(&good) > 2_000, "{name}: ok ops are drawn");
    }
    assert_eq!(count(&named(&bad, "recovery"), VERMILLION), 0);
}

#[test]
fn one_unknown_outcome_among_many_ok_ones_is_seen() {
    let mut history = sample::history(Sample { rate_per_s: 3_000, faults: 0, ..Sample::default() });
    let before = count(&draw(&history)[0], VERMILLION);
    let middle = history.ops.len() / 2;
    history.ops[middle].outcome = Outcome::Unknown;
    history.ops[middle].completed.0 = history.ops[middle].invoked.0 + 1_000_000_000;
    let pictures = draw(&history);
    assert!(count(&pictures[0], VERMILLION) > before + 30, "a triangle at the timeout");
    assert!(count(&pictures[3], VERMILLION) > 0, "a line in the stack");
}

/// There are white stripes in the colour for unknown outcomes, but only where a fate was reported.
#[test]
fn fates_of_unknown_ops_are_hatched() {
    let mut history = sample::history(Sample::default());
    let plain = draw(&history)[3].clone();
    let unknown: Vec<u32> = (0u32..).zip(&history.ops).filter(|(_, o)| o.outcome == Outcome::Unknown).map(|(at, _)| at).collect();
    let mut hatched = vec![];
    for fate in [Fate::Applied, Fate::NotApplied, Fate::Unresolved] {
        history.fates = unknown.iter().map(|at| (*at, (fate, history.end))).collect();
        hatched.push(draw(&history)[3].clone());
    }
    let solid = count(&plain, VERMILLION);
    for picture in &hatched[..2] {
        let left = count(picture, VERMILLION);
        assert!(left < solid * 9 / 10 && left > solid / 2, "{left} of {solid} pixels");
    }
    assert_ne!(hatched[0], hatched[1], "the two look different");
    assert_eq!(hatched[2], plain, "a query without an answer shows nothing");
}

/// Adds figures to a history, as recorded by the sampler.
fn with_state(mut history: History, accepted: u64) -> History {
    for (name, share) in [("n1", 1), ("n2", 2)] {
        let node = history.names.node(name);
        for s in 0..20 {
            let figures = [("data", 1_000), ("promise", 500), ("accepted", accepted * s), ("dedupe", 2_000)];
            let detail = figures.map(|(kind, bytes)| (kind.to_owned(), (bytes * share).into()));
            history.node_events.push(NodeEvent { t: Nanos(s * 1_000_000_000), node, what: "state".into(), detail: detail.into() });
        }
    }
    history
}

#[test]
fn state_is_drawn_if_nodes_report_it() {
    let history = || sample::history(Sample { faults: 0, ..Sample::default() });
    let state = |history: History| draw(&history).into_iter().find(|p| p.name == "state_size");
    assert_eq!(state(history()), None);
    let (grows, stays) = (state(with_state(history(), 900)).unwrap(), state(with_state(history(), 0)).unwrap());
    assert!(count(&grows, VERMILLION) > 5_000, "accepted updates pile up");
    assert_eq!(count(&stays, VERMILLION), 0, "there are none");
    assert!(blues(&stays) > 5_000, "operation ids");
}

#[test]
fn slices_lose_no_op() {
    let history = sample::history(Sample::default());
    let series = series::of(&history);
    let sum = |of: fn(&series::Slice) -> u64| series.slices.iter().map(of).sum::<u64>();
    let ops = analyze(&history).whole.ops;
    assert_eq!((sum(|s| s.due), sum(|s| s.invoked), sum(|s| s.answered)), (ops.invoked, ops.invoked, ops.ok));
    assert_eq!(
        (sum(|s| s.applied), sum(|s| s.condition_not_met), sum(|s| s.failed), sum(|s| s.unknown)),
        (ops.applied, ops.condition_not_met, ops.failed, ops.unknown)
    );
    let read: series::Series = serde_json::from_str(&series.to_json()).unwrap();
    assert_eq!(read, series);
}

/// Returns a history in which two clients on two nodes take turns, and a third on a third node wins only if `third_wins`.
fn contended(third_wins: bool) -> History {
    let mut rows = [String::new(), String::new(), String::new()];
    let mut value = 0;
    let mut at = 0;
    for round in 0..120 {
        let client = round % if third_wins { 3 } else { 2 };
        let before = if value == 0 { "null".to_owned() } else { value.to_string() };
        value += 1;
        rows[client] += &" ".repeat(at - rows[client].len());
        rows[client] += &format!("cas {before} {value} i{round}-->n{} ", client + 1);
        at = rows[client].len();
    }
    if !third_wins {
        rows[2] = (0..80).map(|i| format!("cas null {} i9000 saw 1-->n3 ", 10_000 + i)).collect();
    }
    let longest = rows.iter().map(String::len).max().unwrap_or(0);
    let drawing: String = rows.iter().enumerate().map(|(i, row)| format!("c{} |{row:longest$}|\n", i + 1)).collect();
    drawn::history(&drawing)
}

#[test]
fn a_client_that_starves_is_seen_in_the_picture_of_fairness() {
    let named = |history: &History| draw(history).into_iter().find(|p| p.name == "fairness").expect("the history has intents");
    const NOTHING: [u8; 3] = [232, 190, 212];
    let (starving, fair) = (named(&contended(false)), named(&contended(true)));
    assert!(count(&starving, VIOLATION) > 100, "the words that it starves");
    assert_eq!(count(&fair, VIOLATION), 0);
    assert!(count(&starving, NOTHING) > count(&fair, NOTHING) + 5_000, "a red row");
    let pictures = |history: &History| draw(history).iter().map(|p| p.name).collect::<Vec<_>>();
    assert!(pictures(&contended(true)).contains(&"duel"));
    assert!(!pictures(&sample::history(Sample::default())).contains(&"fairness"), "no intents, nothing to show");
}

#[test]
fn coordinators_that_are_outbid_are_seen_in_the_picture_of_the_duel() {
    let named = |history: &History| draw(history).into_iter().find(|p| p.name == "duel").expect("the history has intents");
    let mut duel = contended(true);
    let quiet = count(&named(&duel), ORANGE);
    let preempted = FigureInfo::new("preempted", Unit::Count, "how often it was outbid").measuring(Measure::Preemptions);
    duel.names.declare_figures(&[preempted]).unwrap();
    for detail in &mut duel.details {
        detail.diagnostics = Some(heckle_history::Diagnostics::pack([(FigureId(0), 3u32.into())]));
    }
    assert!(count(&named(&duel), ORANGE) > quiet + 2_000);
    let counted: u64 = series::of(&duel).nodes.iter().flat_map(|n| &n.preempted).sum();
    assert_eq!(counted, 3 * duel.ops.len() as u64);
}
