//! A sweep on a terminal: the design before the first run, a line per run, then a table per arm, and finally the verdict, the folder
//! and the next command.

use crate::charts::axis::duration;
use crate::experiment::arm_words;
use crate::summary::{View, field, title};
use crate::sweep::analysis::axis_words::at_words;
use crate::sweep::figures::{self, FIGURES, Figure};
use crate::sweep::find_max;
use crate::sweep::sweep_json::{Point, Run, Sweep};
use crate::terminal::{Align, Cell, Style, clean, table};

/// Returns the text printed before the first run: the plan of the sweep, and how long it will take.
pub fn announcement(sweep: &Sweep) -> String {
    let design = &sweep.design;
    let arms: Vec<String> = sweep.arms.iter().map(|a| arm_words(&a.name, &a.settings)).collect();
    let values: Vec<&str> = design.values.iter().map(|v| v.text.as_str()).collect();
    let points = if design.find_max {
        format!("bisection of the rate between {}, {} runs at each rate", values.join(" and "), design.repeats)
    } else {
        format!("{} = {}, {} runs at each, in random order", design.axis, values.join(", "), design.repeats)
    };
    let length = format!("{} of load after {} of warm-up", duration(design.window_s * 1e3), duration(design.warmup_s * 1e3));
    let total = f64::from(design.runs) * design.run_s * 1e3;
    let at_most = if design.find_max { "at most " } else { "" };
    let budget = design.budget_s.map_or_else(String::new, |s| format!(", within a budget of {}", duration(s * 1e3)));
    let slo = if design.slo.is_empty() { "none".to_owned() } else { design.slo.join(", ") };
    let mut out = format!("{} · seed {}\n", clean(&sweep.head.name), clean(&sweep.head.seed));
    out += &format!("arms      {}\n", clean(&arms.join("   ")));
    out += &format!("points    {}\n", clean(&points));
    out += &format!("each      {length}\n");
    let open_loop = design.axis == "rate" || design.rate_per_s.is_some();
    let answered =
        if open_loop { format!("; {} of the asked rate answered", figures::percent(design.answered_limit)) } else { String::new() };
    out += &format!("limits    {}{answered}\n", clean(&slo));
    out +=
        &format!("takes     {at_most}{} runs of about {}: about {}{budget}\n", design.runs, duration(design.run_s * 1e3), duration(total));
    for arm in &sweep.arms {
        out += &arm.left_out.as_ref().map_or_else(String::new, |why| format!("left out  {}: {}\n", clean(&arm.name), clean(why)));
    }
    out + "\n"
}

/// Formats one line for a completed run. `left_s` is the estimated time until the end of the sweep.
pub fn run_line(sweep: &Sweep, run: &Run, left_s: f64) -> String {
    let left = if left_s > 0.0 { format!(", {} left", duration(left_s * 1e3)) } else { String::new() };
    let mut words =
        vec![format!("[{}/{}{left}] {} at {}:", sweep.runs.len(), sweep.design.runs, run.arm, at_words(sweep, &run.value.text))];
    let shown = |f: &Figure| Some(format!("{} {}", f.what, f.words(*run.figures.get(f.name)?)));
    let names = [figures::ANSWERED_PER_S, figures::P50_MS, figures::P99_MS, figures::LONGEST_WAIT_MS];
    words.extend(names.iter().filter_map(|name| shown(figures::find(name)?)));
    if !run.limited_by.is_empty() {
        words.push(format!("(limited by {})", run.limited_by.join(", ")));
    }
    words.extend(run.no_evidence.as_ref().map(|_| "(inconclusive)".to_owned()));
    words.extend(run.not_counted.as_ref().map(|why| format!("{}, does not count: {why}", run.verdict.word())));
    clean(&words.join("  "))
}

/// Formats a sweep for the terminal.
pub fn text(sweep: &Sweep, view: View<'_>) -> String {
    let design = &sweep.design;
    let head = format!(
        "{} · over {} · {} of {} runs · seed {} · took {}",
        sweep.head.name,
        design.axis,
        sweep.runs.len(),
        design.runs,
        sweep.head.seed,
        duration(sweep.head.wall_s * 1e3)
    );
    let mut out = title(&head, view);
    for (_, arm) in sweep.running_arms() {
        let points: Vec<&Point> = sweep.points_of(&arm.name).collect();
        out += &format!("\n{}\n{}", clean(&arm_words(&arm.name, &arm.settings)), point_table(sweep, &points, view));
    }
    out += "\n";
    for sentence in &sweep.head.answer {
        out += &field("answer", Style::Strong, &clean(sentence), view);
    }
    out + &conclusion(sweep, view)
}

/// Returns the figures that any point has.
pub(super) fn shown_figures(sweep: &Sweep) -> Vec<&'static Figure> {
    FIGURES.iter().filter(|f| sweep.points.iter().any(|p| p.figures.contains_key(f.name))).collect()
}

/// Returns remarks on a point: knee, external limits, runs that do not count.
pub(super) fn remarks(sweep: &Sweep, point: &Point) -> String {
    let mut words = vec![];
    if sweep.knees.iter().any(|k| k.arm == point.arm && k.at.as_ref() == Some(&point.value)) && !sweep.design.find_max {
        words.push("knee".to_owned());
    }
    if sweep.design.find_max {
        words.push(format!("{} of {} hold", point.held, point.held + point.missed));
    }
    let limits: Vec<String> = point.limited_by.iter().map(|(what, n)| format!("{what} {n}/{}", point.counted)).collect();
    if !limits.is_empty() {
        words.push(format!("limited: {}", limits.join(", ")));
    }
    if point.not_counted > 0 {
        words.push(format!("{} not counted: {}", point.not_counted, point.why_not.as_deref().unwrap_or_default()));
    }
    words.join("; ")
}

fn point_table(sweep: &Sweep, points: &[&Point], view: View<'_>) -> String {
    let shown = shown_figures(sweep);
    let mut heading = vec![(sweep.design.axis.as_str(), Align::Right), ("n", Align::Right)];
    heading.extend(shown.iter().map(|f| (f.what, Align::Right)));
    heading.push(("", Align::Left));
    let row = |p: &&Point| -> Vec<Cell> {
        let look = if p.limited_by.is_empty() { Style::Plain } else { Style::Dim };
        let mut cells = vec![(look, clean(&p.value.text)), (look, p.counted.to_string())];
        cells.extend(shown.iter().map(|f| (look, p.median(f.name).map_or_else(|| "–".into(), |x| f.words(x)))));
        cells.push((if p.misses() { Style::Doubt } else { Style::Dim }, clean(&remarks(sweep, p))));
        cells
    };
    table(&heading, &points.iter().map(row).collect::<Vec<_>>(), view.width.max(100), view.colour)
}

fn conclusion(sweep: &Sweep, view: View<'_>) -> String {
    let mut out = String::new();
    for sentence in &sweep.head.verdict {
        let look = if sentence.starts_with("DISQUALIFIED") { Style::Bad } else { Style::Plain };
        out += &field("verdict", look, &clean(sentence), view);
    }
    let wide = View { width: usize::MAX, ..view };
    out += &field("folder", Style::Plain, &clean(view.folder), wide);
    let violated = sweep.arms.iter().find_map(|a| a.disqualified.as_ref());
    let next = match violated {
        Some(d) => format!("heckle explain {}/{}", view.folder, d.path),
        None if is_unfinished(sweep) => format!("heckle sweep --resume {}", view.folder),
        None => format!("open {}/sweep.html", view.folder),
    };
    out + &field("next", Style::Plain, &clean(&next), wide)
}

/// Whether `--resume` would execute more runs.
fn is_unfinished(sweep: &Sweep) -> bool {
    match find_max::range(sweep) {
        Some(range) => {
            let trials = sweep.running_arms().map(|(_, arm)| find_max::trials(sweep, &arm.name));
            trials.into_iter().any(|trials| matches!(range.next(&trials), find_max::Step::Try(_)))
        }
        None => (sweep.runs.len() as u32) < sweep.design.runs,
    }
}
