//! Output of a comparison for people and machines: text that matches golden files, pages that load nothing and escape
//! all external markup, and pictures that show what they claim to show. `HECKLE_BLESS=1` rewrites the golden files.

use heckle_results::charts::Picture;
use heckle_results::charts::style;
use heckle_results::compare::compare_json::Comparison;
use heckle_results::compare::conclude::conclude;
use heckle_results::compare::decide::{Decision, Ending};
use heckle_results::compare::folder::CompareFolder;
use heckle_results::compare::sample::{self, LEASE_ARMS, STATE_ARMS, SampleArm};
use heckle_results::compare::{charts, page, text};
use heckle_results::experiment::Disqualified;
use heckle_results::summary::View;
use heckle_results::terminal::Colour;
use heckle_results::utc::UnixSeconds;
use heckle_results::{index, schemas};
use std::path::Path;

fn golden(file: &str, want: &str) {
    let bless = std::env::var_os("HECKLE_BLESS").is_some();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    schemas::compare(&path, want, bless).unwrap();
}

fn view(width: usize) -> View<'static> {
    View { folder: "results/runs/lease/20260131T120000Z-5a3e", width, colour: Colour::Never }
}

fn starving() -> Vec<SampleArm> {
    let mut arms = LEASE_ARMS.to_vec();
    arms[2].starved = 0.04;
    arms
}

/// Returns a comparison with markup in every external string.
fn hostile() -> Comparison {
    const MARKUP: &str = "<script>alert(1)</script>\"'&\u{1b}[2J|`";
    let mut planned = sample::planned_comparison(&LEASE_ARMS, 10);
    let mut made = sample::measured_runs(&LEASE_ARMS, 10);
    planned.head.name = MARKUP.into();
    planned.head.seed = MARKUP.into();
    planned.head.again = MARKUP.into();
    planned.head.build.git = MARKUP.into();
    for arm in &mut planned.arms {
        arm.name += MARKUP;
        arm.settings.insert(MARKUP.into(), MARKUP.into());
    }
    for m in &mut made {
        for field in [&mut m.run.arm, &mut m.run.seed, &mut m.run.path] {
            *field += MARKUP;
        }
        if let Some(dropped) = &mut m.run.dropped {
            dropped.why = MARKUP.into();
        }
    }
    planned.arms[2].disqualified = Some(Disqualified { path: MARKUP.into(), why: MARKUP.into() });
    conclude(planned, made, Ending::AsPlanned)
}

#[test]
fn the_terminal_shows() {
    golden("tests/golden/compare.txt", &text::text(&sample::comparison(&LEASE_ARMS[..2], 10), view(110)));
    golden("tests/golden/compare-starved.txt", &text::text(&sample::comparison(&starving(), 10), view(110)));
    golden("tests/golden/compare-few.txt", &text::text(&sample::comparison(&LEASE_ARMS[..2], 5), view(110)));
    golden(
        "tests/golden/compare-announced.txt",
        &text::announcement(&sample::planned_comparison(&LEASE_ARMS, 7), "21 runs of about 24 s: about 8.4 min"),
    );
}

/// The number of pairs that may be dropped is stated before the first run.
#[test]
fn the_announcement_says_how_many_pairs_may_be_dropped() {
    for (pairs, words) in [
        (7, "8 pairs are needed for one, so none will be made"),
        (8, "8 pairs are needed for one: none may be dropped"),
        (10, "8 of the 10 pairs are needed for one: 2 may be dropped"),
    ] {
        let announced = text::announcement(&sample::planned_comparison(&LEASE_ARMS, pairs), "soon");
        assert!(announced.contains(&format!("claims    {words}\n")), "{announced}");
    }
}

#[test]
fn the_last_lines_are_verdict_folder_and_next() {
    let text = text::text(&sample::comparison(&LEASE_ARMS, 10), view(100));
    let last: Vec<&str> = text.lines().rev().take(2).collect();
    assert!(last[0].starts_with("next      open results/runs/lease/") && last[0].contains("--aa"), "{last:?}");
    assert!(last[1].starts_with("folder    results/runs/lease/"), "{last:?}");
    let out = text::text(&hostile(), view(100));
    assert!(out.lines().last().is_some_and(|l| l.starts_with("next      heckle explain ")), "{out}");
    assert!(!out.contains('\u{1b}'), "a name steers the terminal");
}

#[test]
fn the_file_reads_back() {
    let comparison = sample::comparison(&starving(), 10);
    assert!(Comparison::from_json(&comparison.to_json()).is_ok_and(|read| read == comparison), "something is lost on the way");
    assert!(Comparison::from_json("{\"schema\":\"heckle.compare/9\"}").unwrap_err().contains("heckle.compare/9"));
}

#[test]
fn nothing_from_outside_becomes_markup_and_a_page_loads_nothing() {
    let comparison = hostile();
    let html = page::page(&comparison, &charts::draw(&comparison));
    assert!(!html.contains("<script"), "a name became markup");
    assert!(html.matches("&lt;script&gt;").count() > 40, "the names are shown");
    assert!(html.contains("Content-Security-Policy") && html.contains("default-src 'none'"));
    for outside in ["http://", "https://", "url(", "@import", "style=\""] {
        assert!(!html.contains(outside), "{outside}");
    }
    // Red text states why.
    assert!(html.contains("<p class=\"bad\">DISQUALIFIED: arm read"), "the disqualified arm stands first, in red");
    assert!(html.find("DISQUALIFIED").unwrap() < html.find("p99 intent time").unwrap());
}

fn pixels(picture: &Picture) -> (u32, u32, Vec<[u8; 3]>) {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(&picture.png));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    (info.width, info.height, bytes.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect())
}

fn near(pixel: [u8; 3], colour: [u8; 3]) -> bool {
    pixel.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 14)
}

const BLUE: [u8; 3] = rgb(style::BLUE);

const fn rgb(colour: plotters::style::RGBColor) -> [u8; 3] {
    [colour.0, colour.1, colour.2]
}
const VERMILLION: [u8; 3] = rgb(style::VERMILLION);

/// Returns the mean column of a colour below the legend, and its number of pixels.
fn column(picture: &Picture, colour: [u8; 3], left: u32, right: u32) -> (f64, usize) {
    let (width, _, pixels) = pixels(picture);
    let at = |i: usize| (i as u32 % width, i as u32 / width);
    let hits: Vec<f64> = pixels
        .iter()
        .enumerate()
        .filter(|(i, p)| near(**p, colour) && at(*i).1 > 110 && (left..right).contains(&at(*i).0))
        .map(|(i, _)| f64::from(at(i).0))
        .collect();
    (hits.iter().sum::<f64>() / hits.len().max(1) as f64, hits.len())
}

#[test]
fn every_comparison_can_be_drawn() {
    let arms: Vec<SampleArm> =
        ["a", "b", "c", "d", "e", "f"].iter().zip(LEASE_ARMS.iter().cycle()).map(|(name, arm)| SampleArm { name, ..*arm }).collect();
    let interrupted = conclude(sample::planned_comparison(&LEASE_ARMS, 10), vec![], Ending::Interrupted);
    for (name, comparison) in [
        ("two arms", sample::comparison(&LEASE_ARMS[..2], 10)),
        ("six arms", sample::comparison(&arms, 10)),
        ("one pair", sample::comparison(&LEASE_ARMS[..2], 1)),
        ("starved", sample::comparison(&starving(), 10)),
        ("remedies", sample::comparison(&STATE_ARMS, 10)),
        ("disqualified", hostile()),
        ("nothing", interrupted),
    ] {
        for picture in charts::draw(&comparison) {
            let (width, height, _) = pixels(&picture);
            assert_eq!((width, height), (1280, 720), "{name} {}", picture.name);
            assert!(picture.png.len() < 150_000, "{name} {}: {} bytes", picture.name, picture.png.len());
        }
    }
}

/// Green is for claims: a comparison that cannot decide anything is yellow, even though it completed.
#[test]
fn a_comparison_without_a_claim_is_not_green() {
    let look = |comparison: &Comparison| {
        let page = page::page(comparison, &[]);
        let after = page.split("<div class=\"verdict ").nth(1).expect("a box");
        (after.split('"').next().expect("a class").to_owned(), page)
    };
    let mut comparison = sample::comparison(&LEASE_ARMS, 12);
    assert_eq!((look(&comparison).0.as_str(), comparison.head.exit_code), ("good", 0));
    let answer = &comparison.head.answer[0];
    assert!(look(&comparison).1.contains(&format!("<p class=\"strong\">{answer}</p>")), "the answer is in the box");
    for contrast in &mut comparison.contrasts {
        contrast.figures.iter_mut().filter(|f| f.primary).for_each(|f| f.decision = Decision::NoDifferenceShown);
    }
    assert_eq!((look(&comparison).0.as_str(), comparison.head.exit_code), ("doubt", 0), "nothing is shown");
    let mut some = sample::comparison(&LEASE_ARMS, 12);
    some.contrasts[0].figures.iter_mut().filter(|f| f.primary).take(1).for_each(|f| f.decision = Decision::NoClaim);
    assert_eq!(look(&some).0, "doubt", "a figure without a claim");
    assert_eq!(look(&sample::comparison(&LEASE_ARMS, 5)).0, "doubt");
}

/// All decisions stay readable with a name of 32 letters and a narrow terminal.
#[test]
fn decisions_are_never_cut() {
    let arms = [LEASE_ARMS[0], SampleArm { name: "a-name-as-long-as-names-can-get-01", ..LEASE_ARMS[1] }];
    let comparison = sample::comparison(&arms, 12);
    let text = text::text(&comparison, view(40));
    let rows = text.lines().filter(|l| comparison.contrasts[0].figures.iter().any(|f| f.primary && l.starts_with(&f.what)));
    let decisions: Vec<&str> = comparison.contrasts[0].figures.iter().filter(|f| f.primary).map(|f| f.decision.word()).collect();
    let rows: Vec<&str> = rows.collect();
    assert!(rows.len() >= decisions.len(), "{text}");
    assert!(decisions.iter().all(|d| rows.iter().any(|row| row.ends_with(d))) && !rows.iter().any(|row| row.ends_with('…')), "{text}");
}

#[test]
fn the_same_comparison_gives_the_same_pictures() {
    let comparison = sample::comparison(&LEASE_ARMS, 10);
    assert_eq!(charts::draw(&comparison), charts::draw(&comparison));
}

/// In the forest plot, an arm with shorter waits is to the left of the middle, and one with longer waits is to the right.
#[test]
fn the_forest_shows_which_way_an_effect_goes() {
    let forest = |ratio: f64| {
        let arms = [LEASE_ARMS[0], SampleArm { ratio, ..LEASE_ARMS[1] }];
        charts::draw(&sample::comparison(&arms, 10)).into_iter().find(|p| p.name == "forest").unwrap()
    };
    let middle = f64::from(330 + 1280 - 290) / 2.0;
    // The lower panel, for shares, shows no effect in either case, so the rows above decide.
    let (better, n) = column(&forest(0.4), BLUE, 331, 980);
    let (worse, m) = column(&forest(2.5), BLUE, 331, 980);
    assert!(n > 300 && m > 300, "{n} {m}");
    assert!(better < middle - 40.0 && worse > middle + 40.0, "{better} {middle} {worse}");
}

#[test]
fn starved_clients_and_bounds_are_marked() {
    let vermillion = |comparison: &Comparison, name: &str, left, right| {
        let picture = charts::draw(comparison).into_iter().find(|p| p.name == name).unwrap();
        column(&picture, VERMILLION, left, right).1
    };
    let (well, starved) = (sample::comparison(&LEASE_ARMS, 10), sample::comparison(&starving(), 10));
    for (name, left, right) in [("successes", 0, 90), ("pairs", 0, 1280)] {
        assert_eq!(vermillion(&well, name, left, right), 0, "{name}");
        let marked = vermillion(&starved, name, left, right);
        assert!(marked >= 8, "{name}: {marked}");
    }
}

#[test]
fn a_comparison_is_kept_beside_its_runs() {
    let out = std::env::temp_dir().join(format!("heckle-compare-{}", std::process::id()));
    let mut comparison = sample::planned_comparison(&LEASE_ARMS, 10);
    let folder = CompareFolder::create(&out, "lease", UnixSeconds(1_769_860_800), 0x5a3e, &mut comparison).unwrap();
    let again = CompareFolder::create(&out, "lease", UnixSeconds(1_769_860_800), 0x5a3e, &mut comparison.clone()).unwrap();
    assert_ne!(folder, again, "two comparisons of one second are apart");
    let stored = || Comparison::from_json(&std::fs::read_to_string(folder.root().join("compare.json")).unwrap()).unwrap();
    assert_eq!((stored().head.status.word(), stored().head.exit_code), ("running", 2));
    let mut comparison = conclude(comparison, sample::measured_runs(&LEASE_ARMS, 10), Ending::AsPlanned);
    folder.write_all(&mut comparison).unwrap();
    assert!(stored() == comparison, "the file is not what was kept");
    for file in comparison.head.artifacts.values() {
        assert!(folder.root().join(file).is_file(), "{file}");
    }
    assert!(index::folders(&out).unwrap().is_empty(), "a comparison is no run");
    std::fs::remove_dir_all(&out).unwrap();
}

/// Returns the row of the lowest pixel of a colour in the last columns of the plot, before the names.
fn row_at_end(picture: &Picture, colour: [u8; 3]) -> Option<usize> {
    let (width, _, pixels) = pixels(picture);
    let at = |i: usize| (i % width as usize, i / width as usize);
    let hits = pixels.iter().enumerate().filter(|(i, p)| near(**p, colour) && (960..970).contains(&at(*i).0) && at(*i).1 > 120);
    hits.map(|(i, _)| at(i).1).max()
}

/// Checks the data and the picture of arms with less and less state. The check fails if names are swapped.
#[test]
fn arms_that_differ_in_a_remedy_have_their_state_drawn() {
    let drawn = |arms: &[SampleArm]| {
        let comparison = sample::comparison(arms, 10);
        let picture = charts::draw(&comparison).into_iter().find(|p| p.name == "state_size");
        (comparison, picture)
    };
    let (comparison, picture) = drawn(&STATE_ARMS);
    let (state, picture) = (comparison.state.clone().expect("arms differ in prune"), picture.expect("drawn"));
    assert_eq!(state.pairs.len(), 9, "the third pair is dropped");
    assert_eq!(state.check_decreasing(&["without", "prune", "ttl"]), Ok(()));
    let page = page::page(&comparison, std::slice::from_ref(&picture));
    assert!(page.contains("href=\"#state\"") && page.contains("id=\"state\""), "the page leads to it");
    // Higher curves have smaller row numbers: ink is above blue, and blue above orange.
    let rows = [rgb(style::INK), BLUE, rgb(style::ORANGE)].map(|colour| row_at_end(&picture, colour).expect("a curve ends there"));
    assert!(rows[0] + 100 < rows[1] && rows[1] < rows[2], "{rows:?}");
    let figure = |name: &str| comparison.contrasts[0].figures.iter().find(|f| f.figure == name).expect("in the table").clone();
    let end = figure("paxos_bytes_end");
    assert!(end.effect.expect("known") < 0.5 && end.value_words(end.reference).ends_with("kB"), "{end:?}");
    // Swap names, as a mistake in the harness might.
    let swapped = [SampleArm { name: "prune", ..STATE_ARMS[0] }, SampleArm { name: "without", ..STATE_ARMS[1] }, STATE_ARMS[2]];
    let (swapped, _) = drawn(&swapped);
    let why = swapped.state.expect("drawn").check_decreasing(&["without", "prune", "ttl"]).expect_err("the arms are swapped");
    assert!(why.starts_with("arm prune holds ") && why.ends_with("of arm without"), "{why}");
    // Arms with the same pruning and expiry have no such picture.
    assert!(matches!(drawn(&LEASE_ARMS), (Comparison { state: None, .. }, None)));
}
