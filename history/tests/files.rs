//! Properties of history files: round trips, torn tails, and an error for every malformed line.

use heckle_history::drawn;
use heckle_history::operation::{History, Keep};
use heckle_history::reader::{MAX_LINE_BYTES, ReadError};
use heckle_history::writer::{Writer, write_plain};
use heckle_history::{Completeness, Diagnostics, Event, FaultEvent, FaultState, FigureId, FigureInfo, Header, Nanos, NodeEvent, Unit};
use rand::{Rng, SeedableRng};
use std::io::Write;

const DRAWING: &str = "
c1  |w 1---->      r 2------>n1    |
c2  |     cas 1 2-----?            |
c3  |  cas 7 8 saw null-->n3  w 9! |
c4@b|          r null--->          |
fate|                          2=applied|";

fn rich() -> (Header, heckle_history::Names, Vec<Event>) {
    let (mut header, mut names, mut events) = drawn::events(DRAWING);
    let figures = vec![FigureInfo::new("tries", Unit::Count, "attempts it took"), FigureInfo::new("stage", Unit::Text, "how far it got")];
    names.declare_figures(&figures).expect("two names");
    header.figures = Some(figures);
    for event in &mut events {
        if let Event::Ok(completion) = event {
            completion.diagnostics = Some(Diagnostics::pack([(FigureId(0), 300u32.into()), (FigureId(1), "done \"quoted\"".into())]));
        }
    }
    let t = events.last().expect("drawn").t();
    let evidence = [("blocked_frames".to_owned(), 118.into())].into();
    let targets = vec!["n1".to_owned(), "n2|n3".to_owned()];
    events.push(Event::Fault(FaultEvent { id: 7, t, kind: "partition".into(), targets, state: FaultState::Ended, evidence }));
    let detail = [("code".to_owned(), 74.into())].into();
    events.push(Event::Node(NodeEvent { t, node: names.node("n1"), what: "exit \"quoted\"".into(), detail }));
    (header, names, events)
}

fn compressed() -> Vec<u8> {
    let (header, names, events) = rich();
    let mut writer = Writer::new(vec![], &header).expect("a Vec takes everything");
    for event in &events {
        writer.write(event, &names).expect("a Vec takes everything");
    }
    writer.finish([].into()).expect("a Vec takes everything").0
}

fn plain() -> Vec<u8> {
    let (header, names, events) = rich();
    let mut out = vec![];
    write_plain(&mut out, &header, &names, &events).expect("a Vec takes everything");
    out
}

#[test]
fn both_encodings_read_back_as_what_was_written() {
    let (header, names, events) = rich();
    let expected = History::from_events(header, names, events).expect("well-formed");
    for file in [compressed(), plain()] {
        let read = History::read(&file[..], Keep::Details).expect("well-formed");
        assert_eq!(read.ops, expected.ops);
        assert_eq!((read.fates, read.faults, read.warnings), (expected.fates.clone(), expected.faults.clone(), vec![]));
        assert_eq!(read.node_events, expected.node_events);
    }
}

#[test]
fn a_writer_that_dies_leaves_what_it_flushed() {
    #[derive(Clone, Default)]
    struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, b: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("one thread").write(b)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (header, names, events) = rich();
    let disk = Shared::default();
    let mut writer = Writer::new(disk.clone(), &header).expect("memory");
    for event in &events[..4] {
        writer.write(event, &names).expect("memory");
    }
    writer.flush().expect("memory");
    for event in &events[4..] {
        writer.write(event, &names).expect("memory");
    }
    std::mem::forget(writer); // SIGKILL: no data after the last flush reaches the disk in order.
    let left = disk.0.lock().expect("one thread").clone();
    let read = History::read(&left[..], Keep::OpsOnly).expect("a readable prefix");
    assert!(read.ops.len() >= 2, "the flushed events are there");
    assert_eq!(read.warnings.len(), 1, "{:?}", read.warnings);
}

#[test]
fn every_prefix_of_a_file_reads_or_is_refused_by_name() {
    for file in [compressed(), plain()] {
        let mut readable = 0;
        for cut in 0..file.len() {
            match History::read(&file[..cut], Keep::OpsOnly) {
                Ok(_) => readable += 1,
                Err(e) => assert!(!e.to_string().is_empty()),
            }
        }
        assert!(readable > 10, "prefixes beyond the header are histories");
    }
}

#[test]
fn mutated_bytes_never_panic() {
    let mut rng = heckle_history::prng::Pcg64::seed_from_u64(1);
    for file in [compressed(), plain()] {
        for _ in 0..20_000 {
            let mut bad = file.clone();
            for _ in 0..1 + rng.next_u32() % 4 {
                let at = rng.next_u32() as usize % bad.len();
                bad[at] = rng.next_u32() as u8;
            }
            let _ = History::read(&bad[..], Keep::Details);
        }
    }
}

/// Cuts the plain file after each of its lines, with and without compressing it again, and also modifies it in place.
#[test]
fn what_is_cut_at_a_lines_end_or_changed_is_not_whole() {
    let file = plain();
    let read = |file: &[u8]| History::read(file, Keep::OpsOnly).expect("readable");
    let text = String::from_utf8(file.clone()).expect("JSON is UTF-8");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let packed = |text: &str| zstd::encode_all(text.as_bytes(), 3).expect("memory");
    assert_eq!(read(&file).completeness, Completeness::Whole);
    assert_eq!(read(&compressed()).completeness, Completeness::Whole);
    assert_eq!(read(&packed(&text)).completeness, Completeness::Whole, "the hash is of what is written, however it is packed");
    for kept in 1..lines.len() {
        let cut = lines[..kept].concat();
        for history in [read(cut.as_bytes()), read(&packed(&cut))] {
            assert_eq!((history.completeness.clone(), history.warnings), (Completeness::Cut, vec![]), "{kept} of {} lines", lines.len());
            assert!(history.completeness.problem().expect("said").contains("no end record"));
        }
    }
    let events = lines.len() - 2;
    let end = read(&file).end_record.expect("written last");
    assert_eq!((end.events, end.xxh3.len()), (events as u64, 16));
    let without_one = lines.iter().enumerate().filter(|(i, _)| *i != events).map(|(_, l)| *l).collect::<String>();
    let last_first = lines[..events - 1].concat() + lines[events] + lines[events - 1] + lines[events + 1];
    for (changed, how) in [
        (without_one, "counts"),
        (last_first, "hash"),
        (text.replacen("\"new\":1", "\"new\":3", 1), "hash"),
        (text.replacen("cas-register", "cas-registes", 1), "hash"),
        (text.replacen(",\"end\":true", "", 1), "hash"),
        (text.replacen("\"xxh3\":\"", "\"xxh3\":\"f", 1), "hash"),
        (text.clone() + lines[events], "after its end record"),
        (text.clone() + lines[events + 1], "after its end record"),
    ] {
        assert_ne!(changed, text);
        let problem = read(changed.as_bytes()).completeness.problem().unwrap_or_else(|| panic!("taken as whole ({how}):\n{changed}"));
        assert!(problem.contains("was changed") && problem.contains(how), "{problem}");
    }
}

#[test]
fn an_end_record_is_known_in_whatever_spacing_and_carries_what_is_added() {
    let (header, names, events) = rich();
    let mut writer = Writer::new(vec![], &header).expect("a Vec takes everything");
    events.iter().for_each(|event| writer.write(event, &names).expect("a Vec takes everything"));
    let (file, end) = writer.finish([("ending".to_owned(), "done".into())].into()).expect("a Vec takes everything");
    let read = History::read(&file[..], Keep::OpsOnly).expect("well-formed");
    assert_eq!((read.end_record.as_ref(), &end.more["ending"]), (Some(&end), &"done".into()));
    let text = String::from_utf8(zstd::decode_all(&file[..]).expect("ours")).expect("JSON is UTF-8");
    let spaced = text.replacen("{\"e\":\"end\",\"events\":", "{ \"e\" : \"end\", \"events\": ", 1);
    assert_ne!(spaced, text);
    assert_eq!(History::read(spaced.as_bytes(), Keep::OpsOnly).expect("well-formed").completeness, Completeness::Whole);
    refused("{\"e\":\"end\",\"events\":-1,\"xxh3\":\"0\"}", 2, "not an end record");
}

/// Histories recorded before end records existed do not announce one, and are judged as before.
#[test]
fn a_history_that_promises_no_end_record_lacks_none() {
    let text = String::from_utf8(plain()).expect("JSON is UTF-8").replacen(",\"end\":true", "", 1);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let old = lines[..lines.len() - 1].concat();
    let read = History::read(old.as_bytes(), Keep::OpsOnly).expect("well-formed");
    assert_eq!((read.completeness.clone(), read.completeness.problem()), (Completeness::NotPromised, None));
}

#[track_caller]
fn refused(lines: &str, at: u64, what: &str) {
    let file = format!("{{\"schema\":\"heckle.history/1\"}}\n{lines}\n");
    match History::read(file.as_bytes(), Keep::OpsOnly) {
        Err(ReadError::IllFormed { line, what: said }) => {
            assert_eq!(line, at, "{said}");
            assert!(said.contains(what), "`{said}` does not say `{what}`");
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn ill_formed_lines_are_named() {
    let read =
        |op: u32, p: u32, t: u32| format!("{{\"e\":\"invoke\",\"op\":{op},\"process\":{p},\"t\":{t},\"key\":\"k\",\"f\":\"read\"}}\n");
    let ok = |op: u32, t: u32| format!("{{\"e\":\"ok\",\"op\":{op},\"t\":{t},\"f\":\"read\",\"value\":null}}\n");
    let unknown = |op: u32, t: u32| format!("{{\"e\":\"unknown\",\"op\":{op},\"t\":{t}}}\n");
    refused("nonsense", 2, "not an event");
    refused(r#"{"e":"dance","t":1}"#, 2, "dance");
    refused(r#"{"e":"invoke","op":1,"process":1,"t":1,"key":"k","f":"cas","new":1}"#, 2, "expected");
    refused(r#"{"e":"invoke","op":1,"process":1,"t":1,"key":"k","f":"write"}"#, 2, "new");
    refused(r#"{"e":"invoke","op":1,"process":-1,"t":1,"key":"k","f":"read"}"#, 2, "not an event");
    refused(r#"{"e":"ok","op":1,"t":1,"f":"read","value":1}"#, 2, "without an invoke");
    refused(&(read(1, 1, 5) + &ok(1, 4)), 3, "time goes back");
    refused(&(read(1, 1, 5) + &ok(1, 6) + &ok(1, 7)), 4, "completes twice");
    refused(&(read(1, 1, 5) + &read(1, 2, 6)), 3, "invoked twice");
    refused(&(read(1, 1, 5) + &read(2, 1, 6)), 3, "is open");
    refused(&(read(1, 1, 5) + &unknown(1, 6) + &read(2, 1, 7)), 4, "another process takes over");
    refused(&(read(1, 1, 5) + r#"{"e":"ok","op":1,"t":6,"f":"write"}"#), 3, "something else");
    refused(&(read(1, 1, 5) + r#"{"e":"ok","op":1,"t":6,"f":"read"}"#), 3, "value");
    refused(&(read(1, 1, 5) + r#"{"e":"fate","op":1,"t":6,"fate":"applied"}"#), 3, "still open");
    refused(&(read(1, 1, 5) + &ok(1, 6) + r#"{"e":"fate","op":1,"t":6,"fate":"applied"}"#), 4, "already known");
    refused(r#"{"e":"fate","op":1,"t":6,"fate":"applied"}"#, 2, "never invoked");
}

#[test]
fn a_value_is_written_once() {
    let write = |op: u32, t: u32, v: i32| {
        format!("{{\"e\":\"invoke\",\"op\":{op},\"process\":{op},\"t\":{t},\"key\":\"k{op}\",\"f\":\"write\",\"new\":{v}}}\n")
    };
    refused(&(write(0, 1, 7) + &write(1, 2, 7)), 3, "writes 7");
    refused(&(write(0, 1, 7) + &write(1, 2, 9) + &write(2, 3, 8) + &write(3, 4, 9)), 5, "writes 9");
    let falling = write(0, 1, 9) + &write(1, 2, 8) + &write(2, 3, 7);
    let file = format!("{{\"schema\":\"heckle.history/1\"}}\n{falling}");
    assert_eq!(History::read(file.as_bytes(), Keep::OpsOnly).expect("all different").ops.len(), 3);
}

#[test]
fn ids_need_not_be_dense() {
    let file = r#"{"schema":"heckle.history/1"}
{"e":"invoke","op":0,"process":0,"t":1,"key":"k","f":"read"}
{"e":"invoke","op":900,"process":1,"t":2,"key":"k","f":"read"}
{"e":"ok","op":0,"t":3,"f":"read","value":null}
{"e":"ok","op":900,"t":4,"f":"read","value":null}
"#;
    let h = History::read(file.as_bytes(), Keep::OpsOnly).expect("well-formed");
    assert!(h.ops.iter().all(|o| o.completed < Nanos::NEVER));
}

#[test]
fn what_is_no_history_is_refused_at_its_first_line() {
    let long = vec![b'x'; MAX_LINE_BYTES as usize * 2];
    for (file, what) in [
        (&b""[..], "empty"),
        (b"{\"schema\":\"heckle.history/1\"", "not a header"),
        (b"{\"schema\":\"heckle.history/2\"}\n", "heckle.history/2"),
        (b"{\"schema\":\"heckle.history/1\",\"clock\":\"us\"}\n", "clock"),
        (b"GET / HTTP/1.1\n", "--format"),
        (&long, "longer than"),
    ] {
        let error = History::read(file, Keep::OpsOnly).expect_err("refused").to_string();
        assert!(error.contains("line 1") && error.contains(what), "{error}");
    }
}

#[test]
fn a_line_of_a_hundred_megabytes_is_refused_without_being_held() {
    let head = b"{\"schema\":\"heckle.history/1\"}\n";
    let file = std::io::Read::chain(&head[..], std::io::Read::take(std::io::repeat(b'x'), 100 << 20));
    let error = History::read(file, Keep::OpsOnly).expect_err("refused").to_string();
    assert!(error.contains("line 2") && error.contains("longer than"), "{error}");
}

/// Checks that a history read within a limit is rejected with the message `what`, or accepted if `what` is empty.
#[track_caller]
fn bounded(file: impl std::io::Read, max_bytes: u64, what: &str) {
    match History::read_within(file, Keep::Details, max_bytes) {
        Err(e) => assert!(e.to_string().contains(what) && !what.is_empty(), "{e}"),
        Ok(history) => assert!(what.is_empty(), "read, {} ops, where `{what}` was expected", history.ops.len()),
    }
}

#[test]
fn no_small_file_takes_much_memory_or_time() {
    const HEAD: &[u8] = b"{\"schema\":\"heckle.history/1\"}\n";
    let squeezed = |line: &[u8], times: usize| {
        let mut out = zstd::Encoder::new(vec![], 3).expect("memory");
        out.write_all(HEAD).expect("memory");
        line.repeat(times).chunks(1 << 20).for_each(|chunk| out.write_all(chunk).expect("memory"));
        out.finish().expect("memory")
    };
    let node = b"{\"e\":\"node\",\"t\":1,\"node\":\"n1\",\"what\":\"start\",\"detail\":{\"x\":1}}\n";
    bounded(&squeezed(node, 10_000)[..], 1 << 20, "fault and node events take over 131072 bytes");
    bounded(&squeezed(node, 10_000)[..], 1 << 30, "");
    let spaces = [b" ".repeat(1_023), b"\n".to_vec()].concat();
    bounded(&squeezed(&spaces, 900)[..], 100_000, "longer than 100000 bytes after decompression; --max-bytes");
    bounded(&squeezed(b"\n", 2_000)[..], 1 << 20, "blank lines in a row");
    bounded(std::io::Read::chain(HEAD, std::io::repeat(b'\n')), u64::MAX, "blank lines in a row");
    bounded(std::io::repeat(0), u64::MAX, "longer than");
    use heckle_history::foreign::{Format, ReadOptions, read_with};
    let options = ReadOptions { max_bytes: 3 << 20, ..ReadOptions::default() };
    for (format, word) in Format::ALL {
        for (byte, what) in [(0, "not UTF-8 text"), (0xff, "not UTF-8 text"), (b'\n', "--max-bytes")] {
            let error = read_with(format, std::io::repeat(byte), options).expect_err("refused").to_string();
            assert!(error.contains(what), "{word}, {byte}: {error}");
        }
    }
}

#[test]
fn an_interrupted_read_is_repeated() {
    struct Interrupted<'f>(&'f [u8], bool);
    impl std::io::Read for Interrupted<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(std::io::ErrorKind::Interrupted.into());
            }
            let n = buffer.len().min(7);
            self.0.read(&mut buffer[..n])
        }
    }
    for file in [compressed(), plain()] {
        let expected = History::read(&file[..], Keep::Details).expect("just written");
        let read = History::read(Interrupted(&file, false), Keep::Details).expect("the same bytes");
        assert_eq!((read.ops, read.details, read.warnings), (expected.ops, expected.details, vec![]));
    }
}

#[test]
fn a_line_that_is_too_long_is_refused_by_its_number() {
    // Once in the form written by the writer, once with a space that only the general parser accepts.
    for space in ["", " "] {
        let long = "x".repeat(MAX_LINE_BYTES as usize);
        let header = r#"{"schema":"heckle.history/1","keys":["k1"]}"#;
        let line = format!(r#"{{"type":{space}"node","t":5,"node":"n1","what":"{long}"}}"#);
        let error = History::read(format!("{header}\n{line}\n").as_bytes(), Keep::OpsOnly).expect_err("over a megabyte");
        assert!(error.to_string().starts_with("line 2") && error.to_string().contains("longer than"), "{error}");
    }
}
