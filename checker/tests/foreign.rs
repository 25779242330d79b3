//! Foreign histories: round trips, the test data shipped with porcupine-rs, other models, and bad input.

mod common;

use common::{DrawParams, cases, random, stream};
use heckle_checker::search::{
    ForeignJudgement, InProcess, JudgeForeign, ModelKind, NoSearch, SearchAnswer, SearchReply, SearchRequest, SearchRunner, brute,
    judge_foreign,
};
use heckle_checker::{Options, Verdict, judge};
use heckle_history::foreign::{Foreign, Format, read, write};
use heckle_history::{Call, Current, History, Outcome, Seen};
use rand::RngExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn by<'a>(model: ModelKind, search: &'a dyn SearchRunner) -> JudgeForeign<'a> {
    JudgeForeign { model, initial: None, lenient: false, strict: false, options: Options::new(search) }
}

/// The crate itself reads no files, but this test does.
#[allow(clippy::disallowed_methods)]
fn file(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Returns the directory where cargo keeps the sources of porcupine-rs. Its test data have recorded verdicts.
fn porcupine_rs() -> PathBuf {
    // Without the filter, cargo requires the sources for every platform, and a fresh machine has only those for its
    // own.
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", &host()])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .output()
        .expect("cargo runs, since it runs this test");
    assert!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let ours = packages.iter().find(|p| p["name"] == "porcupine-rs").expect("porcupine-rs is a dependency");
    Path::new(ours["manifest_path"].as_str().expect("a path")).parent().expect("a folder").to_owned()
}

/// Returns the platform for which this test was built, as cargo names it.
fn host() -> String {
    let output = Command::new(env!("CARGO")).arg("-vV").output().expect("cargo runs, since it runs this test");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|l| l.strip_prefix("host: ")).expect("cargo names its host").to_owned()
}

/// Returns the lines of a test file that have the form `name(first, verdict)`, excluding comments.
fn recorded<'t>(tests: &'t str, name: &'t str) -> impl Iterator<Item = (&'t str, bool)> + 't {
    tests.lines().filter_map(move |line| {
        let (first, verdict) = line.trim().strip_prefix(name)?.strip_prefix('(')?.split_once(',')?;
        let verdict = verdict.trim().trim_end_matches([')', ';']);
        Some((first.trim_matches('"'), verdict.parse().ok()?))
    })
}

#[test]
fn verdicts_on_jepsens_etcd_logs_match_the_recorded_ones() {
    let folder = porcupine_rs();
    let tests = file(&folder.join("tests/etcd_jepsen.rs"));
    let mut judged = 0;
    for (number, linearizable) in recorded(&tests, "etcd_test!") {
        let log = file(&folder.join(format!("test_data/jepsen/etcd_{:03}.log", number.parse::<u32>().expect("a number"))));
        let foreign = read(Format::PorcupineLog, log.as_bytes()).unwrap_or_else(|e| panic!("log {number}: {e}"));
        let answer = judge_foreign(foreign, &by(ModelKind::CasRegister, &InProcess)).unwrap_or_else(|e| panic!("log {number}: {e}"));
        let report = answer.linearizability;
        assert_eq!(report.verdict == Verdict::Valid, linearizable, "log {number}: {report:#?}");
        assert_ne!(report.verdict, Verdict::Unknown, "log {number}");
        judged += 1;
    }
    assert_eq!(judged, 102, "as many logs as porcupine-rs judges itself");
}

/// Stands in for a child process with limits. On one key of `c50-bad`, porcupine-rs uses over 20 GB. Its own test
/// passes because it judges all keys at once and stops at the first invalid one.
struct Budgeted;

impl SearchRunner for Budgeted {
    fn run(&self, request: &SearchRequest) -> SearchReply {
        if request.shrink {
            return SearchReply::gave_up("not asked for");
        }
        match brute::order(request, 100_000) {
            None => SearchReply::gave_up("out of steps"),
            Some(order) => {
                let answer = if order.is_some() { SearchAnswer::Valid } else { SearchAnswer::Invalid };
                SearchReply { answer, order, core: vec![], certified: false, limit: None }
            }
        }
    }
}

#[test]
fn verdicts_on_key_value_logs_match_the_recorded_ones() {
    let folder = porcupine_rs();
    let tests = file(&folder.join("tests/kv_log.rs"));
    let mut judged = 0;
    for (name, linearizable) in recorded(&tests, "check_kv") {
        let log = file(&folder.join(format!("test_data/kv/{name}.txt")));
        let foreign = read(Format::PorcupineLog, log.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let answer = judge_foreign(foreign, &by(ModelKind::Text, &Budgeted)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let report = answer.linearizability;
        let verdict = if linearizable { Verdict::Valid } else { Verdict::Invalid };
        assert_eq!(report.verdict, verdict, "{name}: {:#?}", report.keys);
        judged += 1;
    }
    assert_eq!(judged, 6);
}

/// Returns what every format preserves: client, call, times and outcome. In Jepsen's formats, a refusal that reports
/// the current value is read back as a read, and one that does not as a failure.
fn kept(history: &History, answers: Format, times: Format) -> Vec<String> {
    let mut ops: Vec<String> = vec![];
    for op in &history.ops {
        let (call, outcome) = match (answers, op.call, op.outcome) {
            (Format::Csv, call, outcome) => (call, outcome),
            (_, Call::Cas { .. }, Outcome::Ok(Seen::ConditionNotMet(Current::Known(v)))) => (Call::Read, Outcome::Ok(Seen::Value(v))),
            (Format::JepsenEdn | Format::KnossosJson, Call::Cas { .. }, Outcome::Ok(Seen::ConditionNotMet(Current::NotReported))) => {
                (op.call, Outcome::Failed)
            }
            (Format::PorcupineLog, Call::Cas { .. }, Outcome::Failed) => {
                (op.call, Outcome::Ok(Seen::ConditionNotMet(Current::NotReported)))
            }
            (_, call, outcome) => (call, outcome),
        };
        // Line formats preserve the order. Where times are equal, the order of lines shows that the ops overlap.
        let times = if times == Format::Csv { format!("{}..{}", op.invoked.0, op.completed.0) } else { String::new() };
        ops.push(format!("{times} {call:?} {outcome:?}"));
    }
    ops
}

/// Returns which ops had completed before which others began, with the ops in a fixed order.
fn precedence(history: &History) -> Vec<(String, String)> {
    let name = |o: &heckle_history::Operation| o.process.to_string();
    let over = |o: &heckle_history::Operation| o.completed;
    let pairs = history.ops.iter().flat_map(|a| history.ops.iter().filter(move |b| over(a) < b.invoked).map(move |b| (name(a), name(b))));
    let mut pairs: Vec<(String, String)> = pairs.collect();
    pairs.sort();
    pairs
}

/// Puts every op in its own process, because random histories have several ops open at once.
fn tidy(mut history: History) -> History {
    for (i, op) in history.ops.iter_mut().enumerate() {
        op.process = heckle_history::ProcessId(i as u32);
    }
    history.fates.clear();
    history
}

#[test]
fn histories_survive_the_round_trip() {
    for (format, word) in Format::ALL {
        assert_eq!(word.parse(), Ok(format));
        for n in 0..cases(500) {
            let history = tidy(random(&mut stream("round trip", n), DrawParams { ops: 12, silent: true, fates: false }));
            let key = history.ops[0].key;
            let text = write(format, &history, key);
            let back =
                read(format, text.as_bytes()).and_then(Foreign::into_history).unwrap_or_else(|e| panic!("{word}, case {n}: {e}\n{text}"));
            assert_eq!(kept(&back, Format::Csv, format), kept(&history, format, format), "{word}, case {n}\n{text}");
            assert_eq!(precedence(&back), precedence(&history), "{word}, case {n}\n{text}");
        }
    }
}

#[test]
fn the_verdict_survives_a_format_that_keeps_everything() {
    for n in 0..cases(2_000) {
        let history = tidy(random(&mut stream("csv verdict", n), DrawParams { ops: 12, silent: false, fates: false }));
        let back = read(Format::Csv, write(Format::Csv, &history, history.ops[0].key).as_bytes())
            .and_then(Foreign::into_history)
            .expect("just written");
        let verdict = |h: &History| judge(h, &Options::new(&NoSearch)).linearizability.verdict;
        assert_eq!(verdict(&back), verdict(&history), "case {n}");
    }
}

#[track_caller]
fn model(model: ModelKind, edn: &str, verdict: Verdict) {
    let foreign = read(Format::JepsenEdn, edn.as_bytes()).expect("it is EDN");
    let ForeignJudgement { linearizability: report, history, .. } =
        judge_foreign(foreign, &by(model, &InProcess)).expect("its ops are the model's");
    assert_eq!((report.verdict, history.is_none()), (verdict, true), "{report:#?}");
    assert!(report.violations.iter().all(|v| v.certified && !v.ops.is_empty()), "{report:#?}");
}

#[test]
fn other_models_are_judged_by_search() {
    let set = |seen: &str| {
        format!(
            "{{:process 0 :type :invoke :f :add :value 1}} {{:process 0 :type :ok :f :add :value 1}}
             {{:process 1 :type :invoke :f :add :value 2}} {{:process 1 :type :info :f :add :value 2}}
             {{:process 2 :type :invoke :f :read :value nil}} {{:process 2 :type :ok :f :read :value #{{{seen}}}}}"
        )
    };
    model(ModelKind::Set, &set("1"), Verdict::Valid);
    model(ModelKind::Set, &set("2 1"), Verdict::Valid);
    model(ModelKind::Set, &set("2"), Verdict::Invalid);
    let queue = |came: &str| {
        format!(
            "; a comment\n[{{:process 0, :type :invoke, :f :enqueue, :value 1}} {{:process 0, :type :ok, :f :enqueue, :value 1}}
              {{:process 0, :type :invoke, :f :enqueue, :value 2}} {{:process 0, :type :ok, :f :enqueue, :value 2}}
              #jepsen.history.Op{{:process 1, :type :invoke, :f :dequeue, :value nil}} {{:process 1, :type :ok, :f :dequeue, :value {came}}}]"
        )
    };
    model(ModelKind::Queue, &queue("1"), Verdict::Valid);
    model(ModelKind::Queue, &queue("2"), Verdict::Invalid);
    model(ModelKind::Queue, &queue("nil"), Verdict::Invalid);
    let counter = |seen: &str| {
        format!(
            "{{:process 0 :type :invoke :f :add :value 5}} {{:process 0 :type :ok :f :add :value 5}}
             {{:process 0 :type :invoke :f :read :value nil}} {{:process 0 :type :ok :f :read :value {seen}}}"
        )
    };
    model(ModelKind::Counter, &counter("5"), Verdict::Valid);
    model(ModelKind::Counter, &counter("4"), Verdict::Invalid);
    let mutex = |released: &str| {
        format!(
            "{{:process 0 :type :invoke :f :acquire :value nil}} {{:process 0 :type :ok :f :acquire :value nil}} {released}
             {{:process 1 :type :invoke :f :acquire :value nil}} {{:process 1 :type :ok :f :acquire :value nil}}"
        )
    };
    model(ModelKind::Mutex, &mutex("{:process 0 :type :invoke :f :release} {:process 0 :type :info :f :release}"), Verdict::Valid);
    model(ModelKind::Mutex, &mutex(""), Verdict::Invalid);
}

#[track_caller]
fn refused(format: Format, text: &str, words: &str) {
    let error = read(format, text.as_bytes()).and_then(Foreign::into_history).expect_err("it is no history").to_string();
    assert!(error.contains(words), "`{words}` is not in `{error}`");
}

#[test]
fn bad_input_is_named_by_its_line() {
    let (edn, json, log) = (Format::JepsenEdn, Format::KnossosJson, Format::PorcupineLog);
    refused(
        edn,
        "{:process 0 :type :invoke :f :read}\n{:process 0 :type :invoke :f :read}",
        "line 2: process 0 invokes while its op of line 1 is open",
    );
    refused(edn, "\n{:process 0 :type :ok :f :read :value 1}", "line 2: process 0 completes without an open op");
    refused(
        edn,
        "{:process 0 :type :invoke :f :read}\n{:process 0 :type :info :f :read}\n{:process 0 :type :invoke :f :read}",
        "line 3: process 0 goes on after its unknown outcome on line 2",
    );
    refused(
        edn,
        "{:process 0 :type :invoke :f :read}\n{:process 0 :type :ok :f :write :value 1}",
        "line 2: process 0 invoked `read` on line 1 and completes `write`",
    );
    refused(
        edn,
        "{:process 0 :type :invoke :f :read :index 9}\n{:process 1 :type :invoke :f :read :index 8}",
        "line 2: index 8 after index 9 on line 1",
    );
    refused(edn, "{:process 0 :type :oK :f :read}", "line 1: an event's :type is one of :invoke, :ok, :fail, :info, not \"oK\"");
    refused(edn, "{:process nil :type :ok :f :read}", "line 1: an event whose :process is null");
    refused(edn, "{:process [1] :type :ok :f :read}", "line 1: an event whose :process is a collection");
    refused(edn, "{:process 0 :type :invoke :f :read}\n{:process 0 :type :ok :f :read}", "line 2: an ok of `read` without :value");
    refused(
        edn,
        "{:process 0 :type :invoke :f :write :value 1}\n{:process 0 :type :ok :f :write :value 2}",
        "line 1: `write` was asked 1 and its ok answers 2",
    );
    refused(
        edn,
        "{:process 0 :type :invoke :f :cas :value [1 2]}\n{:process 0 :type :ok :f :cas :value false}",
        "what did not happen is :fail",
    );
    refused(edn, "{:process 0 :type :invoke :f :write :value ##NaN}", "equals nothing");
    refused(edn, "{:process 0 :type :invoke :f :write :value \"\\ud83d\"}", "half a pair");
    refused(edn, "{:process 0 :process 1 :type :invoke :f :read}", "key `process` stands twice");
    refused(edn, "[{:process 0 :type :invoke :f :read}", "line 1: a vector without its closing");
    refused(json, "[{\"process\":0,\"type\":\"invoke\",\"f\":\"read\"}\n{}]", "line 2: not JSON: expected `,` or `]`");
    refused(json, &"[".repeat(100_000), "line 1: not JSON");
    refused(
        json,
        "{\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"key\":7}\n{\"process\":1,\"type\":\"invoke\",\"f\":\"read\",\"key\":\"7\"}",
        "key \"7\" stands",
    );
    refused(log, "INFO  jepsen.util - 0\t:oK\t:read\t1", "line 1: `0\t:oK\t:read\t1` is no event");
    refused(edn, "{:process 0 :type :invoke :f :read", "line 1: the text ends in the middle of a form");
    refused(edn, "{:process 0 :type :invoke :f :write :value 99999999999999999999}", "is no number of 64 bits");
    refused(edn, "{:process 0 :type :invoke :f :enqueue :value 1}", "line 1: `enqueue` is no op of a register");
    refused(edn, "{:process 0 :type :invoke :f :cas :value 1}", "line 1: a cas takes [expected new], not 1");
    refused(edn, &"[".repeat(100_000), "nested deeper than");
    refused(edn, "{:process 0 :type :began :f :read}", "line 1: an event's :type is one of");
    refused(json, "{\"process\":0,\"type\":\"invoke\",\"f\":\"read\"}\n{\"process\":0,", "line 2: not JSON");
    refused(json, "{}", "line 1: an event without :process");
    refused(log, "nothing here\nis a log", "is it another format?");
    refused(log, "INFO  jepsen.util - 0\t:ok\t:read\t1", "line 1: process 0 completes without an open op");
    refused(Format::Csv, "a,b\n", "line 1: the first line is not `process,key");
    let csv = |row: &str| format!("{}\n{row}\n", heckle_history::foreign::csv::HEADER);
    refused(Format::Csv, &csv("0,k,read,,ok,1,5,4"), "line 2: it completes before it is invoked");
    refused(Format::Csv, &csv("0,k,read,,ok,1,5,9\n0,k,read,,ok,1,7,8"), "line 3: process 0 invokes while its op of line 2 is open");
    refused(Format::Csv, &csv("0,k,read,,ok,1,5.5,9"), "line 2: `invoked` is a whole number of nanoseconds, not `5.5`");
    refused(Format::Csv, &csv("0,k,read,,ok,1,5"), "line 2: 7 fields instead of 8");
    refused(Format::Csv, &csv("0,k,read,,maybe,1,5,6"), "line 2: outcome `maybe` is none of");
    refused(Format::Csv, &csv("0,k,write,1,refused,2,5,6"), "only a cas can be refused");
    refused(Format::Csv, &csv("0,k,\"read,,ok,1,5,6"), "line 2: a quoted field without its closing quote");
    refused(edn, "\u{1}\u{2}", "an event is a map");
    let error = read(edn, &b"{:process 0}\n\xff\xfe"[..]).expect_err("not text").to_string();
    assert!(error.contains("line 2: not UTF-8"), "{error}");
}

#[test]
fn mutated_input_never_panics() {
    let history = tidy(random(&mut stream("mutation seed", 3), DrawParams { ops: 12, silent: true, fates: false }));
    for (format, word) in Format::ALL {
        let text = write(format, &history, history.ops[0].key).into_bytes();
        let (mut read_back, mut refused) = (0, 0);
        for n in 0..cases(3_000) {
            let mut rng = stream(word, n);
            let mut bytes = text.clone();
            for _ in 0..rng.random_range(1..6u32) {
                if bytes.is_empty() {
                    break;
                }
                let at = rng.random_range(0..bytes.len());
                match rng.random_range(0..4u32) {
                    0 => bytes[at] = rng.random(),
                    1 => bytes.insert(at, b"{}[]\"#:\\,\n-0"[rng.random_range(0..12usize)]),
                    2 => drop(bytes.remove(at)),
                    _ => bytes.truncate(at.max(1)),
                }
            }
            match read(format, &bytes[..]).and_then(Foreign::into_history) {
                Ok(history) => {
                    read_back += 1;
                    judge(&history, &Options::new(&NoSearch));
                }
                Err(_) => refused += 1,
            }
        }
        assert!(read_back > 0 && refused > 0, "{word}: {read_back} read, {refused} refused");
    }
}
