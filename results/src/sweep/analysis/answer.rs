//! The answer of a sweep, in at most three sentences for readers who do not want charts: who waits and for how long, what the other
//! arms change, and from which value on. It is given only for sweeps with intents whose plan states how its arms differ.
//!
//! A difference is stated only if the ranges of the repeats do not overlap. With three repeats that happens by chance one
//! time in twenty per arm, so these sentences only describe the runs. For a decision, use `heckle compare`.

use super::axis_words::at_words;
use crate::charts::axis::digits;
use crate::sweep::figures::{self, ANSWERED_PER_S, JAIN, LONGEST_WAIT_MS, UNFINISHED_RATIO};
use crate::sweep::sweep_json::{Point, Spread, Sweep};

/// Returns the sentences. There are none if the sweep has no subject, or if fewer than two arms have waits at a common value.
pub fn answer(sweep: &Sweep) -> Vec<String> {
    let Some(subject) = &sweep.design.subject else { return vec![] };
    let arms: Vec<&str> = sweep.running_arms().filter(|(_, a)| a.disqualified.is_none()).map(|(_, a)| a.name.as_str()).collect();
    let [reference, others @ ..] = &arms[..] else { return vec![] };
    let common: Vec<&Point> =
        sweep.points_of(reference).filter(|p| wait(p).is_some() && others.iter().all(|arm| twin(sweep, p, arm).is_some())).collect();
    // Clients contend most on few keys.
    let hardest = if sweep.design.axis == "keys" { common.first() } else { common.last() };
    let (Some(hardest), false) = (hardest, others.is_empty()) else { return vec![] };
    let at: Vec<&Point> = others.iter().filter_map(|arm| twin(sweep, hardest, arm)).collect();
    let mut sentences = vec![who_waits(sweep, subject, hardest)];
    let shorter: Vec<&Point> = at.iter().copied().filter(|p| below(p, hardest)).collect();
    sentences.push(what_changes(subject, hardest, &shorter, &at));
    sentences.push(from_where(sweep, &common, &shorter, hardest));
    sentences
}

fn wait(point: &Point) -> Option<Spread> {
    point.figures.get(LONGEST_WAIT_MS).copied()
}

/// Returns the point of another arm at the same value, if it has waits.
fn twin<'a>(sweep: &'a Sweep, point: &Point, arm: &str) -> Option<&'a Point> {
    sweep.points.iter().find(|p| p.arm == *arm && p.value.text == point.value.text && wait(p).is_some())
}

/// Whether every run of `a` has a shorter longest wait than every run of `b`.
fn below(a: &Point, b: &Point) -> bool {
    wait(a).zip(wait(b)).is_some_and(|(a, b)| a.max < b.min)
}

fn words(point: &Point, figure: &str) -> Option<String> {
    Some(figures::find(figure)?.spread_words(*point.figures.get(figure)?))
}

fn short(point: &Point, figure: &str) -> Option<String> {
    Some(figures::find(figure)?.words(point.median(figure)?))
}

fn who_waits(sweep: &Sweep, subject: &str, point: &Point) -> String {
    let longest = words(point, LONGEST_WAIT_MS).unwrap_or_default();
    let mut out = format!(
        "Without {subject} ({}), at {}, the client that waits longest waits {longest}",
        point.arm,
        at_words(sweep, &point.value.text)
    );
    if let Some(never) = point.median(UNFINISHED_RATIO).filter(|x| *x > 0.0) {
        out += &format!(", and {} of what clients want is unfinished when the load ends", figures::percent(never));
    }
    if let Some(jain) = short(point, JAIN) {
        out += &format!("; Jain's index is {jain}");
    }
    out + "."
}

fn what_changes(subject: &str, reference: &Point, shorter: &[&Point], all: &[&Point]) -> String {
    let best = shorter
        .iter()
        .min_by(|a, b| a.median(LONGEST_WAIT_MS).unwrap_or(f64::MAX).total_cmp(&b.median(LONGEST_WAIT_MS).unwrap_or(f64::MAX)));
    let Some(best) = best else {
        let each: Vec<String> = all.iter().filter_map(|p| Some(format!("{} with {}", words(p, LONGEST_WAIT_MS)?, p.arm))).collect();
        return format!("No shorter wait is shown with {subject}: the longest is {}.", each.join(", "));
    };
    let saved = best.median(LONGEST_WAIT_MS).zip(reference.median(LONGEST_WAIT_MS)).map_or(0.0, |(a, b)| 1.0 - a / b);
    let mut out = format!(
        "With {subject} ({}) the longest wait is {}, {} less",
        best.arm,
        words(best, LONGEST_WAIT_MS).unwrap_or_default(),
        figures::percent(saved)
    );
    if let Some(jain) = short(best, JAIN) {
        out += &format!(", Jain's index is {jain}");
    }
    if let (Some(with), Some(without)) = (best.median(ANSWERED_PER_S), reference.median(ANSWERED_PER_S)) {
        out += &format!(", and {} instead of {} succeed per second", digits(with), digits(without));
    }
    let rest =
        all.iter().filter(|p| p.arm != best.arm).filter_map(|p| Some(format!("with {} it is {}", p.arm, short(p, LONGEST_WAIT_MS)?)));
    rest.fold(out, |out, words| format!("{out}; {words}")) + "."
}

/// Describes the values at which the difference appears, and whether the machine determined the figures.
fn from_where(sweep: &Sweep, common: &[&Point], shorter: &[&Point], hardest: &Point) -> String {
    let outside: Vec<&str> = hardest.limited_by.keys().map(String::as_str).collect();
    let beware = if outside.is_empty() { String::new() } else { format!("; this machine was a limit there ({})", outside.join(", ")) };
    let Some(best) = shorter.first() else {
        return format!("So these runs show no reason for {}{beware}.", sweep.design.subject.as_deref().unwrap_or("a change"));
    };
    let values = |holds: &dyn Fn(&Point, &Point) -> bool| -> Vec<&str> {
        let holds = |p: &&&Point| twin(sweep, p, &best.arm).is_some_and(|other| holds(other, p));
        common.iter().filter(holds).map(|p| p.value.text.as_str()).collect()
    };
    let (shorter, longer) = (values(&|other, p| below(other, p)), values(&|other, p| below(p, other)));
    if shorter.len() == common.len() {
        return format!("The wait is shorter in every run at every value of this sweep{beware}.");
    }
    let mut rest = format!("at {} = {}", sweep.design.axis, shorter.join(", "));
    if !longer.is_empty() {
        rest += &format!(", and longer in every run at {}", longer.join(", "));
    }
    if shorter.len() + longer.len() < common.len() {
        rest += "; elsewhere the ranges of the repeats overlap";
    }
    format!("The wait is shorter in every run {rest}{beware}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::points::points;
    use crate::sweep::sample;

    #[test]
    fn three_sentences_say_who_waits_and_what_is_gained() {
        let sweep = sample::contention(&["off", "priority", "read"], 3);
        let answer = answer(&sweep);
        assert_eq!(answer.len(), 3, "{answer:#?}");
        assert!(answer[0].starts_with("Without fair queueing (off), at 32 clients, the client that waits longest waits 5."), "{answer:#?}");
        assert!(
            answer[0].contains("0.4 % of what clients want is unfinished when the load ends")
                && answer[0].contains("Jain's index is 0.904"),
            "{answer:#?}"
        );
        assert!(answer[1].contains(" less, Jain's index is 0.987, and ") && answer[1].contains("succeed per second; with "), "{answer:#?}");
        assert!(answer[2].contains("elsewhere the ranges of the repeats overlap"), "{answer:#?}");
    }

    #[test]
    fn no_gain_is_stated_if_ranges_overlap() {
        let mut sweep = sample::contention(&["off", "priority"], 3);
        // One slow run is enough.
        let run = sweep.runs.iter_mut().find(|r| r.arm == "priority" && r.value.text == "32").expect("a run");
        run.figures.insert(LONGEST_WAIT_MS.into(), 1e5);
        sweep.points = points(&sweep);
        let answer = answer(&sweep);
        assert!(answer[1].starts_with("No shorter wait is shown with fair queueing"), "{answer:#?}");
        assert!(answer[2].starts_with("So these runs show no reason for fair queueing"), "{answer:#?}");
    }

    #[test]
    fn a_longer_wait_is_stated_as_well() {
        let mut sweep = sample::contention(&["off", "priority"], 3);
        for run in sweep.runs.iter_mut().filter(|r| r.arm == "priority" && r.value.text == "1") {
            run.figures.insert(LONGEST_WAIT_MS.into(), 1e5);
        }
        sweep.points = points(&sweep);
        let answer = answer(&sweep);
        assert!(answer[2].contains(", and longer in every run at 1"), "{answer:#?}");
        for run in sweep.runs.iter_mut().filter(|r| r.arm == "priority" && r.value.text != "1") {
            run.figures.insert(LONGEST_WAIT_MS.into(), 1.0);
        }
        sweep.points = points(&sweep);
        let answer = super::answer(&sweep);
        assert!(answer[2].ends_with(", and longer in every run at 1."), "no range overlaps: {answer:#?}");
    }

    #[test]
    fn without_subject_arms_or_waits_there_is_no_answer() {
        let mut sweep = sample::contention(&["off", "priority"], 2);
        sweep.design.subject = None;
        assert!(answer(&sweep).is_empty());
        assert!(answer(&sample::contention(&["off"], 2)).is_empty());
        let mut rate = sample::sweep(&["a", "b"], 2);
        rate.design.subject = Some("b".into());
        assert!(answer(&rate).is_empty());
    }

    #[test]
    fn few_keys_are_the_hardest() {
        let mut sweep = sample::contention(&["off", "priority"], 3);
        sweep.design.axis = "keys".into();
        assert!(answer(&sweep)[0].contains("at 1 key,"), "{:?}", answer(&sweep));
    }
}
