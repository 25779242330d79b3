//! Driver protocol 1: one JSON object per line, on the driver's standard input and output. Pure: converts lines to messages and back.
//!
//! ```text
//! > {"heckle":1,"nodes":[{"name":"n1","client":"127.0.0.1:4001"}],"options":{}}
//! < {"heckle":1,"calls":["read","write","cas"],"driver":"mydb-py 2.1"}
//! > {"id":7,"client":3,"node":"n1","call":"cas","key":"k1","expected":4,"new":9,"timeout_ms":1000}
//! < {"id":7,"ok":{"applied":false,"current":5}}     |  {"id":7,"fail":"refused: …"}  |  {"id":7,"unknown":"reset by peer"}
//! > {"leader":8}       < {"leader":8,"node":"n2"}
//! ```

use heckle_history::{Call, Current, Seen, Value};
use heckle_system_api::connection::{Op, Outcome, Reply};
use serde_json::{Map, Value as Json, json};

/// Protocol version spoken by this release.
pub(crate) const VERSION: u64 = 1;
/// Maximum length in bytes of a line from a driver.
pub(crate) const MAX_LINE: usize = 1 << 20;
/// Maximum number of characters of a line shown in an error message.
const SHOWN: usize = 120;

/// How a driver introduces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    /// Calls that the driver supports.
    pub(crate) calls: Vec<String>,
    /// Name and version of the driver.
    pub(crate) driver: String,
}

/// Any line from a driver after its first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    /// An answer to an operation. One that cannot be parsed is kept as `Malformed`, and its outcome is unknown.
    Answer { id: u64, reply: Answer },
    /// The node that leads; `None` if the driver does not know.
    Leader { id: u64, node: Option<String> },
}

/// The outcome of an operation, as reported by the driver.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// It happened; holds the members of `ok`.
    Ok(Map<String, Json>),
    /// It is known not to have happened.
    Fail(String),
    /// It may have happened.
    Unknown(String),
    /// The answer violates the protocol, so the outcome is unknown.
    Malformed(String),
}

/// Returns the first line sent to a driver. `nodes` holds names and client addresses.
pub(crate) fn first_line(nodes: &[(String, String)], options: &Json) -> String {
    let nodes: Vec<Json> = nodes.iter().map(|(name, client)| json!({ "name": name, "client": client })).collect();
    json!({ "heckle": VERSION, "nodes": nodes, "options": options }).to_string()
}

/// Parses a driver's first line.
///
/// # Errors
/// Fails if the line is not a JSON object, the protocol version differs, or `calls` is missing or invalid.
pub(crate) fn hello(line: &str) -> Result<Hello, String> {
    let object = object(line)?;
    match object.get("heckle").and_then(Json::as_u64) {
        Some(VERSION) => {}
        Some(other) => return Err(format!("it speaks protocol {other}; this release speaks {VERSION}")),
        None => return Err(format!("its first line is `{}`; it has to be {{\"heckle\":1,\"calls\":[…],\"driver\":\"…\"}}", shown(line))),
    }
    let calls = object.get("calls").and_then(Json::as_array).ok_or("its first line has no list `calls`")?;
    let calls = calls.iter().map(|call| call.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
    let calls = calls.ok_or("`calls` in its first line holds something that is no text")?;
    let driver = object.get("driver").and_then(Json::as_str).unwrap_or("unnamed").to_owned();
    Ok(Hello { calls, driver })
}

/// Returns the protocol's name for a call.
pub(crate) fn call_name(call: Call) -> &'static str {
    match call {
        Call::Read => "read",
        Call::Write { .. } => "write",
        Call::Cas { .. } => "cas",
    }
}

/// Returns the line that requests an operation.
pub(crate) fn request(id: u64, client: u64, node: &str, op: &Op) -> String {
    let timeout_ms = u64::try_from(op.timeout.as_millis()).unwrap_or(u64::MAX);
    let mut line =
        json!({ "id": id, "client": client, "node": node, "call": call_name(op.call), "key": &*op.key, "timeout_ms": timeout_ms });
    match op.call {
        Call::Read => {}
        Call::Write { new } => line["new"] = new.0.into(),
        Call::Cas { expected, new } => {
            line["expected"] = expected.map_or(Json::Null, |value| value.0.into());
            line["new"] = new.0.into();
        }
    }
    line.to_string()
}

/// Returns the line that asks which node leads.
pub(crate) fn leader_request(id: u64) -> String {
    json!({ "leader": id }).to_string()
}

/// Parses a line from a driver.
///
/// # Errors
/// Fails if the line is not a message of the protocol. The error text shows its contents.
pub(crate) fn message(line: &str) -> Result<Message, String> {
    let object = object(line)?;
    if let Some(id) = object.get("leader").and_then(Json::as_u64) {
        return Ok(Message::Leader { id, node: object.get("node").and_then(Json::as_str).map(str::to_owned) });
    }
    let id = object.get("id").and_then(Json::as_u64).ok_or_else(|| format!("`{}` has no id", shown(line)))?;
    let given: Vec<&str> = ["ok", "fail", "unknown"].into_iter().filter(|word| object.contains_key(*word)).collect();
    let text = |word: &str| object[word].as_str().map(str::to_owned);
    let reply = match given[..] {
        ["ok"] => object["ok"].as_object().map(|ok| Answer::Ok(ok.clone())),
        ["fail"] => text("fail").map(Answer::Fail),
        ["unknown"] => text("unknown").map(Answer::Unknown),
        _ => None,
    };
    Ok(Message::Answer { id, reply: reply.unwrap_or_else(|| Answer::Malformed(shown(line))) })
}

fn object(line: &str) -> Result<Map<String, Json>, String> {
    match serde_json::from_str(line) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) | Err(_) => Err(format!("`{}` is no JSON object", shown(line))),
    }
}

/// Returns the beginning of a line, escaped for an error message.
pub(crate) fn shown(line: &str) -> String {
    let mut text: String = line.chars().take(SHOWN).flat_map(char::escape_default).collect();
    if line.chars().nth(SHOWN).is_some() {
        text.push('…');
    }
    text.replace("\\\"", "\"")
}

/// Converts the answer to a call into a reply. If the answer does not fit the call, the outcome is unknown.
pub(crate) fn reply(call: Call, answer: Answer) -> Reply {
    let (ok, why) = match answer {
        Answer::Fail(why) => return Reply::because(Outcome::NotApplied, why),
        Answer::Unknown(why) => return Reply::because(Outcome::Unknown, why),
        Answer::Malformed(line) => (None, line),
        Answer::Ok(ok) => {
            let line = Json::Object(ok.clone()).to_string();
            (seen(call, &ok), shown(&line))
        }
    };
    match ok {
        Some(seen) => Reply { outcome: Outcome::Ok(seen), payload: None, reason: None, diagnostics: None },
        None => Reply::because(Outcome::Unknown, format!("malformed_answer: {why} to a {}", call_name(call))),
    }
}

fn seen(call: Call, ok: &Map<String, Json>) -> Option<Seen> {
    let value = |name: &str| match ok.get(name) {
        Some(Json::Null) => Some(None),
        Some(number) => number.as_i64().map(|value| Some(Value(value))),
        None => None,
    };
    match call {
        Call::Read => value("value").map(Seen::Value),
        Call::Write { .. } => Some(Seen::Written),
        Call::Cas { .. } => match ok.get("applied")?.as_bool()? {
            true => Some(Seen::Applied),
            false if ok.contains_key("current") => Some(Seen::ConditionNotMet(Current::Known(value("current")?))),
            // The system rejected the condition without reporting the current value.
            false => Some(Seen::ConditionNotMet(Current::NotReported)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAS: Call = Call::Cas { expected: Some(Value(4)), new: Value(9) };
    const WRITE: Call = Call::Write { new: Value(9) };

    #[track_caller]
    fn check(call: Call, line: &str, want: Outcome) {
        let Ok(Message::Answer { id: 7, reply: answer }) = message(line) else { panic!("{line} is no answer to 7") };
        assert_eq!(reply(call, answer).outcome, want, "{line}");
    }

    #[test]
    fn what_is_not_exactly_an_answer_is_unknown() {
        check(Call::Read, r#"{"id":7,"ok":{"value":5}}"#, Outcome::Ok(Seen::Value(Some(Value(5)))));
        check(Call::Read, r#"{"id":7,"ok":{"value":null}}"#, Outcome::Ok(Seen::Value(None)));
        check(WRITE, r#"{"id":7,"ok":{}}"#, Outcome::Ok(Seen::Written));
        check(CAS, r#"{"id":7,"ok":{"applied":true}}"#, Outcome::Ok(Seen::Applied));
        check(CAS, r#"{"id":7,"ok":{"applied":false,"current":5}}"#, Outcome::Ok(Seen::ConditionNotMet(Current::Known(Some(Value(5))))));
        check(CAS, r#"{"id":7,"ok":{"applied":false}}"#, Outcome::Ok(Seen::ConditionNotMet(Current::NotReported)));
        check(CAS, r#"{"id":7,"fail":"refused"}"#, Outcome::NotApplied);
        check(CAS, r#"{"id":7,"unknown":"reset"}"#, Outcome::Unknown);
        for line in [
            r#"{"id":7}"#,
            r#"{"id":7,"ok":{},"fail":"both"}"#,
            r#"{"id":7,"fail":true}"#,
            r#"{"id":7,"ok":{"applied":"yes"}}"#,
            r#"{"id":7,"ok":{"applied":false,"current":"5"}}"#,
            r#"{"id":7,"ok":{"applied":false,"current":1.5}}"#,
            r#"{"id":7,"ok":[]}"#,
        ] {
            check(CAS, line, Outcome::Unknown);
        }
        check(Call::Read, r#"{"id":7,"ok":{}}"#, Outcome::Unknown);
        check(Call::Read, r#"{"id":7,"ok":{"value":"5"}}"#, Outcome::Unknown);
    }

    #[test]
    fn lines_that_are_no_message_are_shown() {
        for line in ["", "ok", "[7]", "7", r#"{"ok":{}}"#, r#"{"id":-1,"ok":{}}"#, r#"{"id":"7","ok":{}}"#] {
            message(line).expect_err(line);
        }
        let error = message(&"x".repeat(500)).expect_err("no message");
        assert!(error.len() < 200 && error.contains('…'), "{error}");
        assert!(message("\u{1b}[31mred").expect_err("no message").contains("\\u{1b}"), "no control codes reach the terminal");
    }

    #[test]
    fn a_driver_introduces_itself() {
        let hello = |line: &str| super::hello(line);
        assert_eq!(
            hello(r#"{"heckle":1,"calls":["read"],"driver":"x 1"}"#),
            Ok(Hello { calls: vec!["read".into()], driver: "x 1".into() })
        );
        for (line, what) in [
            ("hello", "no JSON object"),
            (r#"{"heckle":2,"calls":[]}"#, "protocol 2"),
            (r#"{"calls":[]}"#, "its first line"),
            (r#"{"heckle":1}"#, "`calls`"),
            (r#"{"heckle":1,"calls":[1]}"#, "no text"),
        ] {
            assert!(hello(line).expect_err(line).contains(what), "{line}");
        }
    }
}
