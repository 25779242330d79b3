use super::*;
use crate::experiment::Disqualified;
use crate::summary::View;
use crate::sweep::conclude::{Ending, conclude};
use crate::sweep::{sample, text};
use crate::terminal::Colour;

/// Returns a sweep with markup in every external string.
fn hostile() -> Sweep {
    const MARKUP: &str = "<script>alert(1)</script>\"'&\u{1b}[2J|`";
    let mut sweep = sample::contention(&["off", "priority", "read"], 2);
    for field in [&mut sweep.head.name, &mut sweep.head.seed, &mut sweep.head.again, &mut sweep.head.build.git, &mut sweep.sweep_id] {
        *field = MARKUP.into();
    }
    sweep.design.subject = Some(MARKUP.into());
    sweep.arms[0].settings.insert(MARKUP.into(), MARKUP.into());
    sweep.arms[1].disqualified = Some(Disqualified { path: MARKUP.into(), why: MARKUP.into() });
    sweep.arms[2].left_out = Some(MARKUP.into());
    for arm in &mut sweep.arms {
        arm.name += MARKUP;
    }
    for run in &mut sweep.runs {
        run.arm += MARKUP;
        run.path += MARKUP;
        run.seed += MARKUP;
        run.limited_by.push(MARKUP.into());
        if run.repeat == 2 {
            run.not_counted = Some(MARKUP.into());
        }
    }
    conclude(sweep, &Ending::Failed(MARKUP.into()))
}

#[test]
fn nothing_from_outside_becomes_markup_and_a_page_loads_nothing() {
    let html = page(&hostile());
    assert!(!html.contains("<script"), "a name became markup");
    assert!(html.matches("&lt;script&gt;").count() > 40, "the names are shown");
    assert!(html.contains("Content-Security-Policy") && html.contains("default-src 'none'"));
    for outside in ["http://", "https://", "url(", "@import", "style=\""] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.contains("<p class=\"bad\">DISQUALIFIED: arm priority"), "what is red says so");
    let view = View { folder: "f", width: 100, colour: Colour::Never };
    let sweep = hostile();
    let said = text::text(&sweep, view) + &text::announcement(&sweep) + &text::run_line(&sweep, &sweep.runs[0], 3.0);
    assert!(!said.contains('\u{1b}'), "a name steers the terminal");
}

#[test]
fn charts_show_every_point_knees_and_hollow_ones() {
    let mut sweep = sample::sweep(&["classic", "fast"], 3);
    sweep.runs.iter_mut().filter(|r| r.value.number > 1_000.0).for_each(|r| r.limited_by.push("machine_busy".into()));
    let sweep = conclude(sweep, &Ending::AsPlanned);
    let html = page(&sweep);
    // Two arms, five panels, five values. The last value is a knee and hollow.
    assert_eq!(html.matches("class=\"ring\"").count(), 2 * 5 + 1, "one more in the legend");
    assert_eq!(html.matches("class=\"hollow\"").count(), 2 * 5 + 1);
    let samples = 2 + 2 + 1;
    assert_eq!(html.matches("class=\"dot\"").count(), 2 * 5 * 4 + samples);
    assert!(html.contains("classic at 1,600/s: answered/s") && html.contains("limited by machine_busy"), "points have words");
    assert!(html.contains("p99_ms&lt;50</text>"), "the limit is drawn");
}

#[test]
fn the_answer_comes_first() {
    let html = page(&sample::contention(&["off", "priority", "read"], 3));
    let at = |words: &str| html.find(words).unwrap_or_else(|| panic!("{words} is missing"));
    assert!(at("Without fair queueing (off)") < at("exit code 0") && at("exit code 0") < at("id=\"charts\""));
    let without = page(&sample::sweep(&["classic"], 1));
    assert!(!without.contains("class=\"answer\""), "no answer, no box");
}

#[test]
fn the_terminal_ends_with_verdict_folder_and_the_next_command() {
    let view = View { folder: "results/runs/s/20260131T120000Z-5a3e", width: 120, colour: Colour::Never };
    let last = |sweep: &Sweep| text::text(sweep, view).lines().rev().take(2).map(str::to_owned).collect::<Vec<_>>();
    let sweep = sample::sweep(&["classic"], 2);
    assert_eq!(
        last(&sweep),
        ["next      open results/runs/s/20260131T120000Z-5a3e/sweep.html", "folder    results/runs/s/20260131T120000Z-5a3e"]
    );
    let mut stopped = sweep.clone();
    stopped.runs.pop();
    assert_eq!(last(&conclude(stopped, &Ending::Interrupted))[0], "next      heckle sweep --resume results/runs/s/20260131T120000Z-5a3e");
    let text = text::text(&sweep, view);
    assert!(text.contains("verdict   classic: the knee is at 1,600/s"), "{text}");
}
