//! The fast scanner and the general parser return the same results, on intact and on damaged lines.

use super::print::print;
use super::{format, format_any, parse, scan};
use crate::event::{Call, Completion, Consistency, Current, Event, Fate, FaultEvent, FaultState, Invoke, NodeEvent, Path, Seen};
use crate::figures::{Diagnostics, Figure, FigureInfo, Unit};
use crate::ids::{ClientId, FigureId, IntentId, KeyId, Nanos, NodeIx, OpId, ProcessId, Value};
use crate::names::Names;
use crate::prng::{Pcg64, Seed};
use rand::{Rng, RngExt};

const TEXTS: [&str; 6] = ["", "timeout", "not_sent: no connection in time", "said \"no\"", "back\\slash", "zwölf"];

fn names() -> Names {
    let mut names = Names::default();
    for name in ["k1", "k2", "a key", "ключ", "quoted \"k\""] {
        names.key(name);
    }
    for name in ["n1", "n2", "node-3"] {
        names.node(name);
    }
    let figure = |name, unit| FigureInfo::new(name, unit, "");
    let figures = [figure("rounds", Unit::Count), figure("phase", Unit::Text), figure("wait_ns", Unit::Ns), figure("op_id", Unit::Text)];
    names.declare_figures(&figures).expect("four names");
    names
}

fn number(rng: &mut Pcg64) -> u64 {
    rng.next_u64() >> rng.random_range(0..64)
}

fn value(rng: &mut Pcg64) -> Value {
    Value(number(rng) as i64)
}

fn maybe<T>(rng: &mut Pcg64, draw: impl FnOnce(&mut Pcg64) -> T) -> Option<T> {
    rng.random::<bool>().then(|| draw(rng))
}

fn text(rng: &mut Pcg64) -> Box<str> {
    TEXTS[rng.random_range(0..TEXTS.len())].into()
}

fn node(rng: &mut Pcg64) -> NodeIx {
    NodeIx(rng.random_range(0..3))
}

fn completion<S>(rng: &mut Pcg64, seen: S) -> Completion<S> {
    let diagnostics = maybe(rng, |rng| {
        let figures = [
            maybe(rng, |rng| (FigureId(0), Figure::Number(number(rng) as i64))),
            maybe(rng, |rng| (FigureId(1), Figure::from(text(rng).into_string()))),
            maybe(rng, |rng| (FigureId(2), Figure::Number(number(rng) as i64))),
            maybe(rng, |rng| (FigureId(3), Figure::from(text(rng).into_string()))),
        ];
        Diagnostics::pack(figures.into_iter().flatten())
    });
    let diagnostics = diagnostics.filter(|figures| !figures.is_empty());
    Completion { op: OpId(number(rng)), t: Nanos(number(rng)), seen, node: maybe(rng, node), reason: maybe(rng, text), diagnostics }
}

fn event(rng: &mut Pcg64) -> Event {
    match rng.random_range(0..9) {
        0..=3 => {
            let call = match rng.random_range(0..3) {
                0 => Call::Read,
                1 => Call::Write { new: value(rng) },
                _ => Call::Cas { expected: maybe(rng, value), new: value(rng) },
            };
            let level = if rng.random() { Consistency::One } else { Consistency::Quorum };
            let cheap = rng.random::<bool>() && !matches!(call, Call::Cas { .. });
            Event::Invoke(Invoke {
                op: OpId(number(rng)),
                process: ProcessId(number(rng) as u32),
                client: maybe(rng, |rng| ClientId(number(rng) as u32)),
                t: Nanos(number(rng)),
                intended: maybe(rng, |rng| Nanos(number(rng))),
                key: KeyId(rng.random_range(0..5)),
                call,
                node: maybe(rng, node),
                intent: maybe(rng, |rng| IntentId(number(rng))),
                attempt: maybe(rng, |rng| number(rng) as u32),
                payload: maybe(rng, |rng| value(rng).0),
                path: if cheap { Path::LastWriteWins(level) } else { Path::Consensus },
            })
        }
        4..=5 => {
            let seen = match rng.random_range(0..5) {
                0 => Seen::Value(maybe(rng, value)),
                1 => Seen::Written,
                2 => Seen::Applied,
                3 => Seen::ConditionNotMet(Current::Known(maybe(rng, value))),
                _ => Seen::ConditionNotMet(Current::NotReported),
            };
            Event::Ok(completion(rng, seen))
        }
        6 => Event::Fail(completion(rng, ())),
        7 => Event::Unknown(completion(rng, ())),
        _ => match rng.random_range(0..3) {
            0 => Event::Fate { op: OpId(number(rng)), t: Nanos(number(rng)), fate: Fate::Applied },
            1 => Event::Node(NodeEvent { t: Nanos(number(rng)), node: node(rng), what: text(rng), detail: [].into() }),
            _ => {
                let (kind, targets) = (text(rng), vec!["n1".to_owned()]);
                let (id, t) = (number(rng), Nanos(number(rng)));
                Event::Fault(FaultEvent { id, t, kind, targets, state: FaultState::Began, evidence: [].into() })
            }
        },
    }
}

/// Returns everything that reading a line may change in the names.
fn contents(names: &Names) -> String {
    format!("{names:?}")
}

/// Reads `line` both ways. Returns whether the scanner accepted it, and whether the parser did.
fn read_both_ways(line: &[u8]) -> (bool, bool) {
    let shown = String::from_utf8_lossy(line);
    let (mut scanned, mut parsed) = (names(), names());
    let fast = scan(line, &mut scanned);
    let general = parse(line, &mut parsed);
    match (&fast, &general) {
        (Some((event, length)), Ok(expected)) => {
            assert_eq!((event, *length), (expected, line.len()), "{shown}");
            assert_eq!(contents(&scanned), contents(&parsed), "{shown}");
        }
        (Some((event, _)), Err(why)) => panic!("the scanner reads {event:?}, the parser refuses it ({why}): {shown}"),
        (None, _) => assert_eq!(contents(&scanned), contents(&names()), "a line that is not read adds no name: {shown}"),
    }
    (fast.is_some(), general.is_ok())
}

/// Damages a line in ways that bad disks, editors and other programs do.
fn damage(line: &mut Vec<u8>, rng: &mut Pcg64) {
    const PIECES: &[&str] = &[
        "\"",
        "{",
        "}",
        ",",
        ":",
        " ",
        "-",
        "0",
        "1",
        "9",
        "00",
        ".",
        "e",
        "\\",
        "null",
        "true",
        "99999999999999999999",
        "-0",
        "\u{7f}",
        "é",
        "\t",
        "\r",
        ",\"op\":1",
        ",\"node\":\"n9\"",
        ",\"rounds\":1",
        ",\"phase\":2",
        ",\"later\":3",
        ",\"later\":[]",
        ",\"value\":null",
        ",\"key\":\"k\"",
    ];
    for _ in 0..rng.random_range(1..4) {
        let end = line.len() - 1;
        let at = rng.random_range(0..end);
        let to = rng.random_range(at..end.min(at + 12));
        let piece = PIECES[rng.random_range(0..PIECES.len())].bytes();
        match rng.random_range(0..5) {
            0 => drop(line.splice(at..at, piece)),
            1 => drop(line.splice(at..=at, piece)),
            2 => drop(line.drain(at..to)),
            3 => drop(line.splice(at..at, line[at..to].to_vec())),
            // Insert before the closing brace, where figures are.
            _ => drop(line.splice(end - 1..end - 1, piece)),
        }
        if line.len() < 3 {
            return;
        }
    }
}

#[test]
fn both_writers_write_the_same() {
    let mut rng = Seed(5).stream("lines");
    let (names, mut printed) = (names(), 0);
    for _ in 0..50_000 {
        let event = event(&mut rng);
        let (mut general, mut fast) = (b"before".to_vec(), b"before".to_vec());
        format_any(&event, &names, &mut general);
        let done = print(&event, &names, &mut fast);
        let expected = if done { &general[..] } else { b"before" };
        assert_eq!(String::from_utf8_lossy(&fast), String::from_utf8_lossy(expected), "{event:?}");
        printed += usize::from(done);
    }
    assert!(printed > 20_000, "{printed} lines went the fast way");
}

#[test]
fn written_lines_are_read_the_same_both_ways() {
    let mut rng = Seed(3).stream("lines");
    let (names, mut scanned) = (names(), 0);
    for _ in 0..20_000 {
        let (event, mut line) = (event(&mut rng), vec![]);
        format(&event, &names, &mut line);
        let (fast, general) = read_both_ways(&line);
        assert!(general, "{event:?}");
        scanned += usize::from(fast);
        // The general parser handles long numbers and texts that contain an escape.
        let plain = |line: &[u8]| line.is_ascii() && !line.contains(&b'\\');
        let short = !line.split(|b| !b.is_ascii_digit()).any(|digits| digits.len() > 18);
        let of_op = matches!(event, Event::Invoke(_) | Event::Ok(_) | Event::Fail(_) | Event::Unknown(_));
        assert_eq!(fast, plain(&line) && short && of_op, "{}", String::from_utf8_lossy(&line));
    }
    assert!(scanned > 5_000, "{scanned} lines went the fast way");
}

#[test]
fn damaged_lines_are_read_the_same_both_ways() {
    let mut rng = Seed(4).stream("lines");
    let names = names();
    let (mut scanned, mut refused) = (0, 0);
    for _ in 0..200_000 {
        let mut line = vec![];
        format(&event(&mut rng), &names, &mut line);
        damage(&mut line, &mut rng);
        let (fast, general) = read_both_ways(&line);
        scanned += usize::from(fast);
        refused += usize::from(!general);
    }
    assert!(scanned > 2_000 && refused > 50_000, "{scanned} damaged lines went the fast way, {refused} were refused");
}
