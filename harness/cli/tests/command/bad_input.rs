//! Bad input gives one clear error and the right exit code, and leaves nothing running.

use crate::common::*;

/// Runs the command, which must exit with 64 and mention all of `parts` on few lines.
#[track_caller]
fn refused(folder: &Folder, args: &[&str], parts: &[&str]) {
    let out = expect_code(folder, args, 64);
    let text = said(&out);
    for part in parts {
        assert!(text.contains(part), "heckle {} does not say `{part}`:\n{text}", args.join(" "));
    }
    assert!(!text.contains("panicked") && text.trim().lines().count() <= 12, "{text}");
    assert_eq!(nodes_alive(folder), Vec::<u32>::new());
}

fn write(folder: &Folder, name: &str, text: impl AsRef<[u8]>) {
    std::fs::write(folder.path().join(name), text).expect("a writable folder");
}

#[test]
fn flags_and_plans() {
    let f = Folder::new();
    refused(&f, &["run", "--duratoin", "20s"], &["--duration"]);
    refused(&f, &["rnu"], &["rnu", "--help"]);
    refused(&f, &["run", "--duration", "20"], &["unit"]);
    refused(&f, &["run", "--faults", "kil"], &["did you mean `kill`"]);
    refused(&f, &["run", "--mutant", "quorum-to-small"], &["did you mean `quorum-too-small`"]);
    refused(&f, &["run", "--gate", "p99_m<50"], &["did you mean `p99_ms`"]);
    refused(&f, &["run", "--net", "direct", "--faults", "partition"], &["needs the relay"]);
    refused(&f, &["run", "missing.toml"], &["missing.toml"]);
    refused(&f, &["run", "--schedule", "missing.jsonl"], &["missing.jsonl"]);
    write(&f, "plan.toml", "schema = \"heckle.plan/1\"\n[load]\nratee = 3\n");
    refused(&f, &["run", "plan.toml"], &["line 3, column 1", "did you mean `rate`"]);
    write(&f, "schedule.jsonl", "{\"t\":1,\"kind\":\"kill\",\"targets\":[\"n9\"],\"state\":\"begin\"}\n");
    refused(&f, &["run", "--schedule", "schedule.jsonl"], &["line 1", "n9"]);
    assert!(!f.path().join("results").exists(), "nothing was begun");
}

#[test]
fn an_unwritable_output_is_named() {
    let f = Folder::new();
    write(&f, "file", "in the way");
    let out = expect_code(&f, &["run", "--quiet", "--duration", "1s", "--faults", "none", "--out", "file/runs"], 4);
    assert!(said(&out).contains("file/runs") && said(&out).contains("--out"), "{}", said(&out));
}

#[test]
fn runs_and_histories() {
    let f = Folder::new();
    refused(&f, &["show", "latest"], &["no run `latest`", "heckle run"]);
    refused(&f, &["rerun", "2026"], &["no run `2026`"]);
    refused(&f, &["explain", "latest-failed"], &["no run"]);
    refused(&f, &["check", "nowhere"], &["nowhere"]);
    write(&f, "web.log", "GET / HTTP/1.1\n");
    refused(&f, &["check", "web.log"], &["line 1", "header"]);
    let head = "{\"schema\":\"heckle.history/1\"}\n";
    write(&f, "torn.jsonl", format!("{head}{{\"e\":\"ok\",\"op\":1,\"t\":5,\"f\":\"read\",\"value\":1}}\n"));
    refused(&f, &["check", "torn.jsonl"], &["line 2", "without an invoke"]);
    write(&f, "empty.jsonl", "");
    refused(&f, &["check", "empty.jsonl"], &["empty"]);
}

#[test]
fn a_bad_history_is_invalid_and_a_good_one_is_not() {
    let f = Folder::new();
    let (header, names, events) = heckle_history::drawn::events(
        "c1 |w 1--> w 2-->                  |
         c2 |               r 2---> r 1---> |",
    );
    let mut file = vec![];
    heckle_history::writer::write_plain(&mut file, &header, &names, &events).expect("memory");
    write(&f, "stale.jsonl", &file);
    let out = expect_code(&f, &["check", "stale.jsonl"], 1);
    assert!(said(&out).contains("stale_read"), "{}", said(&out));
    let (header, names, events) = heckle_history::drawn::events("c1 |w 1--> r 1-->|");
    let mut file = vec![];
    heckle_history::writer::write_plain(&mut file, &header, &names, &events).expect("memory");
    write(&f, "good.jsonl", &file);
    expect_code(&f, &["check", "good.jsonl"], 0);
    // The same history has too few ops to decide anything, which `--strict` does not accept.
    expect_code(&f, &["check", "good.jsonl", "--strict"], 2);
}

#[test]
fn nodes_refuse_what_they_cannot_be() {
    let f = Folder::new();
    refused(&f, &["node", "--id", "x1", "--cluster-id", "c", "--data", "d"], &["x1"]);
    refused(&f, &["node", "--id", "n1", "--cluster-id", "c", "--data", "d", "--control-listen", "0.0.0.0:0"], &["loopback"]);
    refused(&f, &["node", "--id", "n1", "--cluster-id", "c", "--data", "d", "--peer", "n2"], &["n2=127.0.0.1:7001"]);
}

#[test]
fn histories_travel_to_other_formats_and_back() {
    let f = Folder::new();
    for (name, drawing, code) in [("good", "c1 |w 1--> r 1-->  cas 1 2-->|", 0), ("stale", "c1 |w 1--> cas 1 2--> r 1-->|", 1)] {
        let (header, names, events) = heckle_history::drawn::events(drawing);
        let mut file = vec![];
        heckle_history::writer::write_plain(&mut file, &header, &names, &events).expect("memory");
        write(&f, &format!("{name}.jsonl"), &file);
        for format in ["jepsen-edn", "knossos-json", "csv"] {
            expect_code(&f, &["export", &format!("{name}.jsonl"), "--format", format, "--to", name], 0);
            expect_code(&f, &["check", &format!("{name}/k1.{format}"), "--format", format], code);
        }
    }
    refused(&f, &["export", "good.jsonl", "--format", "xml"], &["xml", "jepsen-edn"]);
    refused(&f, &["check", "good.jsonl", "--format", "jepsen-edn", "--model", "stack"], &["stack", "queue"]);
    refused(&f, &["check", "good.jsonl", "--format", "knossos-json"], &["line"]);
}

#[test]
fn capacity() {
    let f = Folder::new();
    refused(&f, &["capacity", "--ttl", "5"], &["no unit"]);
    refused(&f, &["capacity", "--ttl", "1us"], &["paxos_ttl", "10ms"]);
    refused(&f, &["capacity", "--prune", "of"], &["did you mean `off`"]);
    refused(&f, &["capacity", "--key-bytes", "0"], &["--key-bytes 0 is not within 1 to 1024"]);
    refused(&f, &["capacity", "--value-bytes", "2000000"], &["--value-bytes 2000000", "1048576"]);
    refused(&f, &["capacity", "--keys", "5", "--hot-keys", "6"], &["--hot-keys 6 is not within 0 to 5"]);
    refused(&f, &["capacity", "--new-keys-per-s", "nan"], &["--new-keys-per-s"]);
    refused(&f, &["capacity", "--nodes", "65"], &["--nodes 65"]);
}
