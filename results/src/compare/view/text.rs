//! A comparison for the terminal: the design before the first run, and afterwards tables, followed by the verdict, the folder
//! and the next command.

use crate::charts::axis::{digits, duration};
use crate::compare::compare_json::{Comparison, Contrast, FigureResult};
use crate::compare::decide::{Decision, p_words};
use crate::compare::figures::{self, Kind};
use crate::compare::phases::Phase;
use crate::experiment::arm_words;
use crate::results_json::Status;
use crate::summary::{View, field, title};
use crate::terminal::{Align, Cell, Colour, Style, clean, shorten, table};

/// Returns the text printed before the first run. `about` states how long the comparison will take.
pub fn announcement(comparison: &Comparison, about: &str) -> String {
    let design = &comparison.design;
    let primary: Vec<&str> = design.primary.iter().filter_map(|name| figures::find(name)).map(|f| f.what).collect();
    let arms: Vec<String> = comparison.arms.iter().map(|a| arm_words(&a.name, &a.settings)).collect();
    let claims = match design.pairs.checked_sub(design.pairs_needed) {
        None => format!("{} pairs are needed for one, so none will be made", design.pairs_needed),
        Some(0) => format!("{} pairs are needed for one: none may be dropped", design.pairs_needed),
        Some(spare) => format!("{} of the {} pairs are needed for one: {spare} may be dropped", design.pairs_needed, design.pairs),
    };
    let load =
        design.rate_per_s.map_or_else(|| design.load.words().to_owned(), |r| format!("{}, {} a second", design.load.words(), digits(r)));
    format!(
        "{} · seed {}\narms      {}\nload      {load}\nprimary   {}: named now, the rest is exploratory\nstops     {}\nclaims    {claims}\ndrops     pairs with a run that is inconclusive, sent over {} % of its ops late, or shared over {} % of the machine\ntakes     {about}\n\n",
        clean(&comparison.head.name),
        clean(&comparison.head.seed),
        clean(&arms.join("   ")),
        primary.join(", "),
        design.stop_rule,
        digits(design.late_limit * 100.0),
        digits(design.noise_limit * 100.0),
    )
}

/// Formats a list of comparisons, newest last. Each is listed by its path, with its contents or the reason why it cannot be read.
pub fn list(comparisons: &[(String, Result<Comparison, String>)], width: usize, colour: Colour) -> String {
    if comparisons.is_empty() {
        return "no comparisons yet; `heckle compare` makes one\n".into();
    }
    let heading =
        [("comparison", Align::Left), ("arms", Align::Left), ("pairs", Align::Right), ("", Align::Left), ("what it says", Align::Left)];
    let row = |(path, read): &(String, Result<Comparison, String>)| -> Vec<Cell> {
        let path = (Style::Plain, clean(path));
        let comparison = match read {
            Ok(comparison) => comparison,
            Err(why) => {
                let empty = || (Style::Plain, String::new());
                return vec![path, empty(), empty(), (Style::Bad, "damaged".into()), (Style::Dim, clean(why))];
            }
        };
        let arms: Vec<&str> = comparison.arms.iter().map(|a| a.name.as_str()).collect();
        let counted = comparison.contrasts.iter().map(|c| c.pairs.len()).min().unwrap_or(0);
        let state = match (comparison.head.status, comparison.head.exit_code) {
            // The harness is still running or was killed.
            (Status::Running, _) => (Style::Dim, "unfinished"),
            (Status::Killed, _) => (Style::Doubt, "killed"),
            (Status::Interrupted, _) => (Style::Doubt, "interrupted"),
            (Status::Done, 0) => (Style::Good, "done"),
            (Status::Done, 1) => (Style::Bad, "violation"),
            (Status::Done, 2) => (Style::Doubt, "too few pairs"),
            (Status::Done, _) => (Style::Bad, "broken"),
        };
        vec![
            path,
            (Style::Plain, shorten(&clean(&arms.join(", ")), 40)),
            (Style::Plain, format!("{counted} of {}", comparison.design.pairs)),
            (state.0, state.1.to_owned()),
            (Style::Dim, clean(comparison.head.verdict.first().map_or("", String::as_str))),
        ]
    };
    table(&heading, &comparisons.iter().map(row).collect::<Vec<_>>(), width, colour)
}

/// Formats a comparison for the terminal.
pub fn text(comparison: &Comparison, view: View<'_>) -> String {
    let design = &comparison.design;
    let head = format!(
        "{} · {} pairs · {} · seed {} · took {}",
        comparison.head.name,
        design.pairs,
        design.load.words(),
        comparison.head.seed,
        duration(comparison.head.wall_s * 1e3)
    );
    let mut out = title(&head, view);
    for contrast in comparison.contrasts.iter().filter(|c| !c.figures.is_empty()) {
        out += &format!(
            "\n{}\n{}",
            clean(&format!("{} against {}, {} of {} pairs", contrast.arm, contrast.against, contrast.pairs.len(), design.pairs)),
            figure_table(contrast, view)
        );
    }
    out += &dropped_pairs(comparison, view);
    out += "\n";
    for v in comparison.validity.iter().filter(|v| !v.passed) {
        out += &field("beware", Style::Doubt, &clean(&format!("{}: {}", v.name, v.words)), view);
    }
    out + &conclusion(comparison, view)
}

/// Lists every pair that does not count, once for each responsible run, even if nothing is left to compare.
fn dropped_pairs(comparison: &Comparison, view: View<'_>) -> String {
    let mut all: Vec<_> = comparison.contrasts.iter().flat_map(|c| &c.dropped).collect();
    all.sort_by_key(|d| (d.pair, &d.arm));
    all.dedup_by_key(|d| (d.pair, &d.arm));
    let line =
        |d: &&crate::compare::compare_json::DroppedPair| format!("pair {}, {} because of {}: {}", d.pair, d.kind.word(), d.arm, d.why);
    all.iter().map(|d| field("dropped", Style::Doubt, &clean(&line(d)), view)).collect()
}

/// Whether a figure is shown in the terminal: figures that are primary in every comparison are shown for all phases, others only
/// over the whole run.
fn is_shown(f: &&FigureResult) -> bool {
    f.phase == Some(Phase::Whole) || figures::find(&f.figure).is_some_and(|f| f.kind == Kind::Primary)
}

fn figure_table(contrast: &Contrast, view: View<'_>) -> String {
    let (against, arm) = (clean(&contrast.against), clean(&contrast.arm));
    let heading = [
        ("figure", Align::Left),
        ("n", Align::Right),
        (against.as_str(), Align::Right),
        (arm.as_str(), Align::Right),
        ("effect", Align::Right),
        ("95 % interval", Align::Left),
        ("p", Align::Right),
        ("", Align::Left),
    ];
    let row = |f: &FigureResult| -> Vec<Cell> {
        let look = if f.primary { Style::Plain } else { Style::Dim };
        let cell = |words: String| (look, clean(&words));
        vec![
            cell(f.phase.filter(|p| *p != Phase::Whole).map_or(f.what.clone(), |p| format!("· {}", p.words()))),
            cell(f.n.to_string()),
            cell(f.value_words(f.reference)),
            cell(f.value_words(f.arm)),
            cell(f.effect_cell()),
            cell(f.interval_cell()),
            cell(p_words(f.p_adjusted.unwrap_or(f.p))),
            (decision_style(f.decision), f.decision.word().into()),
        ]
    };
    // Each primary figure, with its phases below it, followed by the others.
    let mut figures: Vec<&FigureResult> = contrast.figures.iter().filter(is_shown).collect();
    let rank = |name: &str| figures::FIGURES.iter().position(|f| f.name == name);
    figures.sort_by_key(|f| (rank(&f.figure), f.phase));
    let rows: Vec<Vec<Cell>> = figures.into_iter().map(row).collect();
    // The last column contains the decisions, which must not be truncated on a narrow terminal.
    table(&heading, &rows, usize::MAX, view.colour)
}

pub(super) fn decision_style(decision: Decision) -> Style {
    match decision {
        Decision::Changed => Style::Strong,
        Decision::PracticallyTheSame => Style::Good,
        Decision::NoDifferenceShown | Decision::NoClaim => Style::Doubt,
        Decision::Exploratory => Style::Dim,
    }
}

fn conclusion(comparison: &Comparison, view: View<'_>) -> String {
    let mut out = String::new();
    for sentence in &comparison.head.verdict {
        let look = if sentence.starts_with("DISQUALIFIED") { Style::Bad } else { Style::Plain };
        out += &field("verdict", look, &clean(sentence), view);
    }
    for (i, sentence) in comparison.head.answer.iter().enumerate() {
        out += &field(if i == 0 { "answer" } else { "" }, Style::Strong, &clean(sentence), view);
    }
    out += &field("folder", Style::Plain, &clean(view.folder), View { width: usize::MAX, ..view });
    let first = comparison.arms.iter().find_map(|a| a.disqualified.as_ref());
    let next = match first {
        Some(d) => format!("heckle explain {}/{}", view.folder, d.path),
        None if comparison.design.aa => comparison.head.again.replace(" --aa", ""),
        None => format!("open {}/compare.html, or see the noise: {} --aa", view.folder, comparison.head.again),
    };
    out + &field("next", Style::Plain, &clean(&next), View { width: usize::MAX, ..view })
}
