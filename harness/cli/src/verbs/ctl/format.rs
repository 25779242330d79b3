//! Answers as text and as JSON, and their exit codes.

use crate::cli::ValueForm;
use crate::exit;
use heckle_history::printable::needs_escape;
use heckle_server::client_protocol::{Diagnostics, Fate, OpId, Outcome, Response};
use serde_json::{Value as Json, json};
use std::fmt::Write as _;

/// Parses a value into bytes.
///
/// # Errors
/// If the text does not have the given form.
pub(super) fn parse_value(text: &str, form: ValueForm) -> Result<Vec<u8>, String> {
    match form {
        ValueForm::Text => Ok(text.as_bytes().to_vec()),
        ValueForm::Number => {
            let number: i64 = text.parse().map_err(|_| format!("`{text}` is not a whole number; leave out --as number to send text"))?;
            Ok(number.to_be_bytes().to_vec())
        }
    }
}

/// Formats bytes as text.
pub(super) fn format_value(bytes: &[u8], form: ValueForm) -> String {
    match (form, bytes.first_chunk::<8>()) {
        (ValueForm::Number, Some(number)) => i64::from_be_bytes(*number).to_string(),
        (ValueForm::Number, None) | (ValueForm::Text, _) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.chars().any(needs_escape) => text.to_owned(),
            _ => bytes.escape_ascii().to_string(),
        },
    }
}

/// Returns the exit code of an answer. An unmet condition is an answer, not a failure, but scripts need to branch on it.
pub(super) fn exit_code(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Applied | Outcome::Value { .. } | Outcome::Fate { fate: Fate::Applied } => exit::OK,
        Outcome::ConditionNotMet { .. } => exit::GATE,
        Outcome::NotApplied { .. } | Outcome::Fate { fate: Fate::NotApplied } => exit::BROKEN,
        Outcome::Unknown { .. } | Outcome::Fate { fate: Fate::Evicted | Fate::Superseded } => exit::INCONCLUSIVE,
        Outcome::Invalid { .. } => exit::USAGE,
    }
}

/// Returns the data of an answer: the value that was read, or the value that did not match. Returns `None` for a key that
/// was never written.
pub(super) fn outcome_value(outcome: &Outcome, form: ValueForm) -> Option<String> {
    match outcome {
        Outcome::Value { value } | Outcome::ConditionNotMet { current: value } => value.as_deref().map(|v| format_value(v, form)),
        Outcome::Fate { fate } => Some(fate.as_str().to_owned()),
        Outcome::Applied | Outcome::NotApplied { .. } | Outcome::Unknown { .. } | Outcome::Invalid { .. } => None,
    }
}

/// Describes the outcome in one sentence.
pub(super) fn outcome_sentence(key: &str, response: &Response, form: ValueForm) -> String {
    match &response.outcome {
        Outcome::Applied => format!("{key} is set"),
        Outcome::ConditionNotMet { current: Some(v) } => {
            format!("condition not met: {key} was {}, nothing was changed", format_value(v, form))
        }
        Outcome::ConditionNotMet { current: None } => format!("condition not met: {key} was never written, nothing was changed"),
        Outcome::Value { value: Some(_) } => format!("{key} was read"),
        Outcome::Value { value: None } => format!("{key} was never written"),
        Outcome::NotApplied { why } => format!("not applied, and never will be: {why}"),
        Outcome::Fate { fate } => match fate {
            Fate::Applied => format!("it was applied to {key}, once"),
            Fate::NotApplied => format!("it was not applied to {key}, and never will be"),
            Fate::Evicted => format!("{key} no longer remembers operations of that age: its fate is unknown"),
            Fate::Superseded => format!("a later operation of the same client on {key} took its place: its fate is unknown"),
        },
        Outcome::Unknown { why } => {
            format!("unknown ({why}): operation {} on {key} may have been applied, and may yet be at any later time", response.op)
        }
        Outcome::Invalid { why } => format!("refused: {why}"),
    }
}

/// Describes how far the operation got, in one line.
pub(super) fn progress_line(node: &str, op: OpId, d: &Diagnostics) -> String {
    let mut text = format!(
        "{node} coordinated {op}: phase {}, {}, {}, {} promises and {} accepts of {} needed",
        d.phase.as_str(),
        counted(d.rounds, "round"),
        counted(d.round_trips, "round trip"),
        d.promises,
        d.accepts,
        d.needed
    );
    for (n, what) in [(d.rejects, "rejects"), (d.preempted, "times outbid"), (d.repairs, "earlier updates finished first")] {
        if n > 0 {
            // Writing to a string cannot fail.
            let _ = write!(text, ", {n} {what}");
        }
    }
    if let Some(ballot) = d.ballot {
        let _ = write!(text, ", ballot {ballot}");
    }
    if let Some(seen) = d.max_seen_ballot.filter(|seen| Some(*seen) > d.ballot) {
        let _ = write!(text, ", a higher one is {seen}");
    }
    text
}

fn counted(n: u32, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Returns the whole answer as JSON. Fields that also occur in the history have the same names.
pub(super) fn json(node: &str, key: &str, response: &Response, form: ValueForm) -> Json {
    let (outcome, why, value) = match &response.outcome {
        Outcome::Applied => ("applied", None, None),
        Outcome::ConditionNotMet { current } => ("condition_not_met", None, Some(("current", current))),
        Outcome::Value { value } => ("value", None, Some(("value", value))),
        Outcome::NotApplied { why } => ("not_applied", Some(why.to_string()), None),
        Outcome::Unknown { why } => ("unknown", Some(why.to_string()), None),
        Outcome::Fate { fate } => ("fate", Some(fate.as_str().to_owned()), None),
        Outcome::Invalid { why } => ("invalid", Some(why.clone()), None),
    };
    let mut all = json!({
        "node": node, "op": response.op.to_string(), "key": key, "outcome": outcome,
        "exit_code": exit_code(&response.outcome), "diagnostics": diagnostics(&response.diagnostics),
    });
    if let Some(why) = why {
        all["reason"] = why.into();
    }
    if let Some((name, value)) = value {
        all[name] = value.as_deref().map(|v| format_value(v, form)).into();
        all[format!("{name}_hex")] = value.as_deref().map(|v| v.iter().map(|b| format!("{b:02x}")).collect::<String>()).into();
    }
    all
}

fn diagnostics(d: &Diagnostics) -> Json {
    json!({
        "phase": d.phase.as_str(), "ballot": d.ballot.map(|b| b.to_string()), "promises": d.promises, "accepts": d.accepts,
        "rejects": d.rejects, "needed": d.needed, "max_seen_ballot": d.max_seen_ballot.map(|b| b.to_string()),
        "repaired_op": d.repaired_op.map(|op| op.to_string()), "repairs": d.repairs, "rounds": d.rounds, "preempted": d.preempted,
        "round_trips": d.round_trips, "backoff_ns": d.backoff_ns, "learned_by": d.learned_by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_server::client_protocol::{BallotTag, Phase, Reason, parse_printed_id};

    fn response(outcome: Outcome) -> Response {
        let diagnostics = Diagnostics {
            phase: Phase::Propose,
            ballot: Some(BallotTag { us: 300, node: 2, nonce: 5 }),
            max_seen_ballot: Some(BallotTag { us: 400, node: 1, nonce: 6 }),
            rounds: 1,
            round_trips: 2,
            accepts: 1,
            needed: 2,
            preempted: 3,
            ..Diagnostics::default()
        };
        Response { op: OpId { client: 7, seq: 1 }, outcome, diagnostics }
    }

    #[test]
    fn every_outcome_has_a_sentence_and_an_exit_code() {
        let value = Some(b"v1".to_vec());
        for (outcome, code, says, data_says) in [
            (Outcome::Applied, 0, "k is set", None),
            (Outcome::Value { value: value.clone() }, 0, "k was read", Some("v1")),
            (Outcome::Value { value: None }, 0, "k was never written", None),
            (Outcome::ConditionNotMet { current: value }, 3, "k was v1, nothing was changed", Some("v1")),
            (Outcome::ConditionNotMet { current: None }, 3, "k was never written, nothing", None),
            (Outcome::NotApplied { why: Reason::Busy }, 4, "not applied, and never will be: busy", None),
            (Outcome::Unknown { why: Reason::Timeout }, 2, "unknown (timeout): operation c7.1 on k may have", None),
            (Outcome::Fate { fate: Fate::Applied }, 0, "was applied to k, once", Some("applied")),
            (Outcome::Fate { fate: Fate::NotApplied }, 4, "was not applied to k, and never", Some("not_applied")),
            (Outcome::Fate { fate: Fate::Evicted }, 2, "its fate is unknown", Some("evicted")),
            (Outcome::Fate { fate: Fate::Superseded }, 2, "its fate is unknown", Some("superseded")),
            (Outcome::Invalid { why: "the key is empty".into() }, 64, "refused: the key is empty", None),
        ] {
            let r = response(outcome);
            let text = outcome_sentence("k", &r, ValueForm::Text);
            assert!(text.contains(says), "{text:?} lacks {says:?}");
            assert_eq!(exit_code(&r.outcome), code, "{text}");
            assert_eq!(outcome_value(&r.outcome, ValueForm::Text).as_deref(), data_says, "{text}");
            assert_eq!(json("n1", "k", &r, ValueForm::Text)["exit_code"], code, "{text}");
        }
        let line = progress_line("n1", OpId { client: 7, seq: 1 }, &response(Outcome::Applied).diagnostics);
        for part in
            ["phase propose", "1 round,", "2 round trips", "1 accepts of 2 needed", "3 times outbid", "300.n2.5", "higher one is 400.n1.6"]
        {
            assert!(line.contains(part), "{line:?} lacks {part:?}");
        }
    }

    #[test]
    fn printed_ids_can_be_parsed() {
        let op = OpId { client: 7, seq: 1 };
        let born = BallotTag { us: 300, node: 2, nonce: 0x5f };
        assert_eq!(parse_printed_id(&op.to_string()), Ok((op, None)));
        assert_eq!(parse_printed_id(&format!("{op}@{born}")), Ok((op, Some(born))));
        for (text, says) in [("7.1", "operation's id"), ("c7", "operation's id"), ("c7.x", "operation's id"), ("c7.1@300", "a ballot")] {
            let refused = parse_printed_id(text).unwrap_err();
            assert!(refused.contains(says), "{text}: {refused}");
        }
    }

    #[test]
    fn values_are_printed_in_the_given_form() {
        for (text, form, bytes) in [("héllo", ValueForm::Text, "héllo".as_bytes()), ("-2", ValueForm::Number, &(-2_i64).to_be_bytes())] {
            assert_eq!(parse_value(text, form).as_deref(), Ok(bytes));
            assert_eq!(format_value(bytes, form), text);
        }
        assert!(parse_value("two", ValueForm::Number).is_err());
        // A value written by the harness, and bytes that would garble a terminal.
        assert_eq!(format_value(&[0, 0, 0, 0, 0, 0, 0, 17, 1, 1], ValueForm::Number), "17");
        assert_eq!(format_value(b"\x1b[2J\xff", ValueForm::Text), "\\x1b[2J\\xff");
        let none = json("n1", "k", &response(Outcome::Value { value: None }), ValueForm::Text);
        assert_eq!((&none["value"], &none["value_hex"]), (&Json::Null, &Json::Null));
        let some = json("n1", "k", &response(Outcome::Value { value: Some(vec![0xff, 1]) }), ValueForm::Text);
        assert_eq!((&some["value"], &some["value_hex"]), (&json!("\\xff\\x01"), &json!("ff01")));
    }
}
