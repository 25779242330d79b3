use super::*;
use heckle_checker::explain::argument::Walk;
use heckle_history::OpId;

const FRAMES: [Frame; 3] =
    [Frame { width: 860.0, title: false }, Frame { width: 350.0, title: false }, Frame { width: 853.0, title: true }];

fn op(id: u64, role: Role, words: &str, (from, to): (u64, Option<u64>)) -> DrawnOp {
    DrawnOp {
        op: OpId(id),
        place: id as u32,
        role,
        words: words.to_owned(),
        call: words.to_owned(),
        answer: "ok".to_owned(),
        who: "c3 via n1".to_owned(),
        when: "acknowledged at 4.200 s".to_owned(),
        meaning: "from then on k1 must hold 17 or a newer value".to_owned(),
        invoked: Nanos(from),
        ended: to.map(Nanos),
    }
}

fn fault(id: u64, words: &str, from: u64, to: u64) -> DrawnFault {
    DrawnFault { id, words: words.to_owned(), began: Nanos(from), ended: Nanos(to) }
}

fn argument(ops: Vec<DrawnOp>, faults: Vec<DrawnFault>) -> Argument {
    let title =
        "17 was written to k1, acknowledged by n2 at 4.200 s; n2 was killed at 4.500 s; a read sent at 5.000 s still found 12".to_owned();
    Argument { key: "k1".into(), title, ops, left_out: 0, faults, marks: vec![], more_faults: 0, walk: Walk::default(), decimals: 3 }
}

/// Returns arguments of many shapes: without duration, at one instant, over hours, with long names, with many parts.
fn all() -> Vec<Argument> {
    let s = |ms: u64| ms * 1_000_000;
    let usual = argument(
        vec![
            op(1, Role::Part, "write 12 ok", (s(100), Some(s(103)))),
            op(2, Role::Lost, "cas 12 -> 17 ok", (s(4_197), Some(s(4_200)))),
            op(3, Role::Observer, "read -> 12", (s(5_000), Some(s(5_002)))),
        ],
        vec![fault(1, "all nodes killed (n1, n2, n3)", s(4_500), s(4_900))],
    );
    let long = "k".repeat(90);
    let many = argument(
        (0..16)
            .map(|i| op(i, Role::Part, &format!("cas {i}000000000 -> {long} {long}"), (s(i * 7), (i % 3 > 0).then_some(s(i * 7 + 400)))))
            .collect(),
        (0..6).map(|i| fault(i, &format!("partition:one-way on {long}"), s(i), s(100))).collect(),
    );
    let instant = argument(
        vec![op(1, Role::Observer, "read -> 7", (s(5), Some(s(5)))), op(2, Role::Part, "write 7 failed", (s(5), Some(s(5))))],
        vec![],
    );
    let hours = argument(
        (0..12).map(|i| op(i, Role::Part, "write 1 ok", (s(i * 600_000), Some(s(i * 600_000 + 1))))).collect(),
        (0..6).map(|i| fault(i, "n1 paused", s(i * 900_000), s(i * 900_000 + 200))).collect(),
    );
    let crash = Argument { marks: vec![(Nanos(s(4_600)), format!("n1 crashed at 4.600 s ({long} {long})"))], ..usual.clone() };
    let cut = Argument { left_out: 30, more_faults: 9, ..usual.clone() };
    let empty = argument(vec![], vec![]);
    vec![usual, many, instant, hours, crash, cut, empty]
}

#[test]
fn no_text_overlaps_or_leaves_the_drawing() {
    for (i, argument) in all().iter().enumerate() {
        for frame in FRAMES {
            let drawing = draw(argument, frame);
            let complaints = drawing.sheet().complaints();
            assert_eq!(complaints, Vec::<String>::new(), "argument {i} at {}", frame.width);
        }
    }
}

#[test]
fn an_overlap_would_be_found() {
    let mut drawing = draw(&all()[0], FRAMES[0]);
    let first = drawing.texts()[0].clone();
    drawing.shapes.push(Shape::Text(Text { x: first.x + 5.0, ..first }));
    assert_eq!(drawing.sheet().complaints().len(), 1);
}

/// Edges are drawn before the ops, so the boxes that cover them must come later.
#[test]
fn texts_cover_the_edges_of_bands() {
    for frame in FRAMES {
        let drawing = draw(&all()[0], frame);
        let edges: Vec<f64> = drawing.shapes.iter().filter_map(edge).collect();
        assert_eq!(edges.len(), 2, "one fault");
        let inner = drawing.shapes.iter().filter_map(|shape| if let Shape::Op(_, inner) = shape { Some(inner) } else { None });
        for pair in inner.flat_map(|inner| inner.windows(2)) {
            let [before, Shape::Text(text)] = pair else { continue };
            let letters = text.covers();
            let crosses = edges.iter().any(|x| letters.x < *x && *x < letters.x + letters.width);
            assert!(!crosses || matches!(before, Shape::Fill(_, Tone::Paper)), "`{}` at {}", text.words, frame.width);
        }
    }
}

fn edge(shape: &Shape) -> Option<f64> {
    if let Shape::Line(points, Tone::Fault, _) = shape { Some(points[0].0) } else { None }
}

#[test]
fn marks_are_explained_only_where_they_are_drawn() {
    let says = |argument: &Argument, part: &str| how_to_read(argument).contains(part);
    let [usual, many, instant, ..] = &all()[..] else { unreachable!("there are more") };
    assert!(says(usual, "dotted") && says(usual, "Grey bands") && !says(usual, "dashed"));
    assert!(says(many, "dashed") && !says(many, "dotted") && !says(instant, "bands"));
    assert!(says(usual, "Double strokes") && !says(instant, "Double strokes"));
}

#[test]
fn every_op_and_fault_has_its_words() {
    let argument = &all()[0];
    for frame in FRAMES {
        let drawing = draw(argument, frame);
        let words: Vec<&str> = drawing.texts().iter().map(|t| t.words.as_str()).collect();
        let has = |part: &str| words.iter().any(|w| w.contains(part));
        for op in &argument.ops {
            assert!(has(&op.words), "{}: {words:?}", op.words);
        }
        assert!(has("fault 1: all nodes killed") && has("c3 via n1"), "{words:?}");
        assert!(has("300 ms"), "the pause before the fault is named: {words:?}");
        assert!(has("4.200 s") && has("5.000 s"), "the times that matter are on the axis: {words:?}");
        assert_eq!(has("17 was written"), frame.title);
    }
}

#[test]
fn bars_keep_the_order_of_time() {
    let bars = |shapes: &[Shape]| -> Vec<Area> {
        let bar = |shape: &Shape| match shape {
            Shape::Op(_, inner) => inner.iter().find_map(|s| match s {
                Shape::Fill(area, _) | Shape::Outline(area, _) => Some(*area),
                _ => None,
            }),
            _ => None,
        };
        shapes.iter().filter_map(bar).collect()
    };
    for frame in FRAMES {
        let bars = bars(&draw(&all()[0], frame).shapes);
        assert!(bars.windows(2).all(|w| w[0].x + w[0].width < w[1].x && w[0].y < w[1].y), "{bars:?}");
        assert!(bars.iter().all(|b| b.width >= MIN_BAR_WIDTH && b.x + b.width <= frame.width - MARGIN + 0.1), "{bars:?}");
    }
}
