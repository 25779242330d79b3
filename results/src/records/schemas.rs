//! JSON Schemas of the files, for editors and for authors of readers. They are generated from the types. Golden files in
//! `results/schemas/` make format changes visible in review.

use crate::compare::compare_json;
use crate::input;
use crate::suite::suite_json;
use crate::sweep::sweep_json;
use crate::{env_json, live_json, results_json, series};
use heckle_history::Measure;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value as Json, json};

/// A schema and its file name.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedSchema {
    /// Name of the file, such as `results.schema.json`.
    pub file: &'static str,
    /// The schema.
    pub schema: Json,
}

impl NamedSchema {
    /// Returns the text of the file.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(&self.schema).expect("JSON serializes") + "\n"
    }
}

/// Returns the schemas of all files of this crate.
pub fn all() -> Vec<NamedSchema> {
    vec![
        NamedSchema { file: "results.schema.json", schema: of::<results_json::Results>(results_json::SCHEMA) },
        NamedSchema { file: "env.schema.json", schema: of::<env_json::Env>(env_json::SCHEMA) },
        NamedSchema { file: "timeseries.schema.json", schema: of::<series::Series>(series::SCHEMA) },
        NamedSchema { file: "live.schema.json", schema: of::<live_json::LiveRun>(live_json::SCHEMA) },
        NamedSchema { file: "suite.schema.json", schema: of::<suite_json::SuiteResults>(suite_json::SCHEMA) },
        NamedSchema { file: "compare.schema.json", schema: of::<compare_json::Comparison>(compare_json::SCHEMA) },
        NamedSchema { file: "sweep.schema.json", schema: of::<sweep_json::Sweep>(sweep_json::SCHEMA) },
        NamedSchema { file: "history.schema.json", schema: history() },
    ]
}

/// Returns the schema of `T`, a file whose `schema` field is `id`. Also used for the plan, whose type is in the harness.
pub fn of<T: JsonSchema>(id: &str) -> Json {
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    schema["title"] = json!(id);
    // Defaults that are not constants depend on the code, not on the format.
    if let Some(properties) = schema["properties"].as_object_mut()
        && let Some(field) = properties.get_mut("schema")
    {
        field["const"] = json!(id);
    }
    schema
}

/// Compares a golden file with the expected text. If `bless` is set (callers take it from `HECKLE_BLESS`), writes the file instead.
///
/// # Errors
/// A message that states the command to bless the file.
pub fn compare(path: &std::path::Path, want: &str, bless: bool) -> Result<(), String> {
    if bless {
        return std::fs::write(path, want).map_err(|e| format!("{}: {e}", path.display()));
    }
    let got = input::text(path, input::SUITE).unwrap_or_default();
    if got == want {
        return Ok(());
    }
    let line = got.lines().zip(want.lines()).position(|(a, b)| a != b).unwrap_or(got.lines().count().min(want.lines().count())) + 1;
    Err(format!(
        "{} differs from the types at line {line}; if that is meant, run the test again with HECKLE_BLESS=1 and review the change",
        path.display()
    ))
}

/// Returns the schema of one line of a history. It is written by hand, since the reader is hand-written for speed. A test
/// compares it with real histories.
fn history() -> Json {
    let integer = || json!({"type": "integer"});
    let natural = || json!({"type": "integer", "minimum": 0});
    let text = || json!({"type": "string"});
    let value = || json!({"type": ["integer", "null"]});
    let calls = || json!({"enum": ["read", "write", "cas"]});
    let figure = json!({"type": "object", "required": ["name", "unit", "about"], "properties": {
        "name": text(), "unit": {"enum": ["count", "ns", "bytes", "text"]}, "about": text(),
        "measure": {"enum": Measure::ALL}
    }});
    let event = |e: &str, what: &str, required: &[&str], more: Json| {
        let mut properties =
            json!({"e": {"const": e}, "t": {"type": "integer", "minimum": 0, "description": "nanoseconds since the start of the run"}});
        properties.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let required: Vec<&str> = ["e", "t"].iter().chain(required).copied().collect();
        json!({"title": e, "description": what, "type": "object", "properties": properties, "required": required})
    };
    // The other fields of a completion are the figures described by the header.
    let completion = json!({"node": text(), "reason": text(), "op_id": text()});
    let with = |more: Json| {
        let mut all = completion.clone();
        all.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        all
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": heckle_history::event::SCHEMA,
        "description": "A line of a history: the header first, then events in time order.",
        "oneOf": [
            {"title": "header", "type": "object", "required": ["schema"], "properties": {
                "schema": {"const": heckle_history::event::SCHEMA}, "run_id": text(), "seed": text(), "clock": {"const": "ns"},
                "keys": {"type": "array", "items": text()}, "nodes": {"type": "array", "items": text()}, "model": text(), "mono_origin_ns": natural(),
                "load_window": {"type": "array", "items": natural(), "minItems": 2, "maxItems": 2}, "op_timeout_ns": natural(), "max_in_flight": natural(), "intent_timeout_ns": natural(),
                "load_stages": {"type": "array", "description": "the stages of a load that changes over time", "items": {"type": "object", "properties": {
                    "start_ns": natural(), "end_ns": natural(), "unit": {"enum": ["rate", "clients"]}, "from": {"type": "number"}, "to": {"type": "number"}
                }}},
                "figures": {"type": "array", "description": "figures that the system reports, as fields of completions", "items": figure},
                "system_checks": {"type": "array", "description": "additional checks for this system", "items": text()},
                "end": {"type": "boolean", "description": "the last line is an end record"},
                "terms": {"type": "object", "description": "requirements of the run: plan, coverage rules, gates"}
            }},
            event("invoke", "An operation was handed to its client.", &["op", "process", "key", "f"], json!({
                "op": natural(), "process": natural(), "client": text(), "intended": natural(), "key": text(), "f": calls(), "expected": value(), "new": integer(),
                "node": text(), "intent": natural(), "attempt": natural(), "payload": integer(),
                "path": {"enum": ["paxos", "cheap"]}, "consistency": {"enum": ["one", "quorum"]}
            })),
            event("ok", "The operation happened between its invoke and this event.", &["op", "f"], with(json!({"op": natural(), "f": calls(), "value": value(), "applied": {"type": "boolean"}, "current": value()}))),
            event("fail", "The operation is proved not to have happened.", &["op"], with(json!({"op": natural()}))),
            event("unknown", "The operation may have happened or may still happen.", &["op"], with(json!({"op": natural()}))),
            event("fault", "A fault began, ended or healed.", &["id", "kind", "targets", "state"], json!({
                "id": natural(), "kind": text(), "targets": {"type": "array", "items": text()}, "state": {"enum": ["began", "ended", "healed"]}, "evidence": {"type": "object"}
            })),
            event("fate", "The fate of an operation with an unknown outcome.", &["op", "fate"], json!({"op": natural(), "fate": {"enum": ["applied", "not_applied", "evicted", "unresolved"]}})),
            {"title": "end", "description": "The last line. A history without it is incomplete.", "type": "object", "required": ["e", "events", "xxh3"], "properties": {
                "e": {"const": "end"}, "events": natural(), "xxh3": {"type": "string", "pattern": "^[0-9a-f]{16}$", "description": "hash of all bytes before it, decompressed"},
                "load_ended_ns": {"type": "integer", "minimum": 0, "description": "when the load ended, if that was before the end of its window"},
                "run": {"type": "object", "description": "how the run ended, and figures of its nodes"}
            }},
            event("node", "An event of a node.", &["node", "what"], json!({"node": text(), "what": text()})),
        ]
    })
}
