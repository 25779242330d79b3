//! The states of the key step by step. Without scripts it is a list. A script adds buttons and keys to step through it.

use crate::report::markup::{Html, note};
use heckle_checker::explain::argument::{Argument, Blocked};

/// Returns the list, which is empty if the states are not known.
pub(super) fn of(argument: &Argument) -> Html {
    let walk = &argument.walk;
    if walk.start.is_empty() {
        return Html::default();
    }
    let mut items = item("", &format!("{} at the beginning", holds(argument, &walk.start)), Html::default());
    for step in &walk.steps {
        let words = format!("{}: {}", capital(&argument.step_words(step)), holds(argument, &step.state));
        items.push(item(&step.op.to_string(), &words, Html::default()));
    }
    let why: Html = walk.blocked.iter().map(|blocked| Html::element("li", &[], blocked_words(argument, blocked))).collect();
    let ops: Vec<String> = walk.blocked.iter().map(|b| b.op.to_string()).collect();
    items.push(item(&ops.join(" "), "No step is possible now.", Html::element("ul", &[], why)));
    let mut out = Html::element("h4", &[], format!("The value of {}, step by step", argument.key));
    let button = |class: &'static str, words: &'static str| Html::element("button", &[("type", "button"), ("class", class)], words);
    let buttons = button("walk-back", "Previous").and(button("walk-on", "Next")).and(Html::element(
        "span",
        &[("class", "walk-now"), ("aria-live", "polite")],
        "",
    ));
    out.push(Html::element("p", &[("class", "tools walk-tools"), ("hidden", "")], buttons));
    out.push(Html::element("ol", &[("class", "walk-steps"), ("start", "0")], items));
    if walk.exhaustive {
        out.push(note("Every other order of these operations was tried, and none gets further."));
    }
    let attributes = [("class", "walk"), ("tabindex", "0"), ("role", "group"), ("aria-label", "Steps; the arrow keys move between them")];
    Html::element("section", &attributes, out)
}

fn item(ops: &str, words: &str, more: Html) -> Html {
    Html::element("li", &[("data-ops", ops)], Html::element("span", &[], words).and(more))
}

fn holds(argument: &Argument, state: &str) -> String {
    format!("{} = {state}", argument.key)
}

fn blocked_words(argument: &Argument, blocked: &Blocked) -> String {
    let words = argument.ops.iter().find(|o| o.op == blocked.op).map_or(String::new(), |o| format!(", {}", o.words));
    format!("Op {}{words}: {}.", blocked.op, blocked.why)
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
