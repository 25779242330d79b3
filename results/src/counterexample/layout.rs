//! Places the ops, faults and times of an argument. Every text has its own line or is left out, so no two texts can overlap.

use super::axis::{Axis, Cut};
use super::drawing::{Area, Drawing, LineStyle, Shape, Text, Tone, width, wrap};
use heckle_checker::explain::argument::{Argument, DrawnFault, DrawnOp, Role, pause_words};

use heckle_history::Nanos;

/// The frame of a drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frame {
    /// Width in pixels.
    pub(super) width: f64,
    /// Whether the drawing has its own title, because it stands alone.
    pub(super) title: bool,
}

const MARGIN: f64 = 12.0;
const TITLE: f64 = 17.0;
const WORDS: f64 = 15.0;
const NOTE: f64 = 12.5;
const SMALL: f64 = 11.5;
const BAR: f64 = 13.0;
/// Minimum width of a bar: an op of no duration must still be visible.
const MIN_BAR_WIDTH: f64 = 5.0;
/// Space for the duration of a pause.
const CUT: f64 = 62.0;
/// Space to the right of the last moment, into which ops without a known end extend.
const OPEN: f64 = 16.0;

/// Space around a text that covers the edge of a band.
const HALO: f64 = 2.0;

/// Explains the marks in the drawing of this argument.
pub(super) fn how_to_read(argument: &Argument) -> String {
    let any_op = |is: &dyn Fn(&DrawnOp) -> bool| argument.ops.iter().any(is);
    let sentences = [
        (true, "A bar reaches from sending to answer."),
        (any_op(&|op| op.ended.is_none()), "A dashed bar has no known end."),
        (any_op(&|op| op.role == Role::Lost), "Along the dotted line, the key must hold that value or a newer one."),
        (is_cut(argument), "Double strokes cut the time axis; the time left out is written above them."),
        (!argument.faults.is_empty(), "Grey bands are faults."),
    ];
    sentences.iter().filter(|(drawn, _)| *drawn).map(|(_, sentence)| *sentence).collect::<Vec<_>>().join(" ")
}

/// Draws an argument.
pub(super) fn draw(argument: &Argument, frame: Frame) -> Drawing {
    let mut page = Page { argument, frame, axis: axis(argument, frame), y: MARGIN, shapes: vec![] };
    if frame.title {
        page.title();
    }
    let top = page.y;
    for fault in &argument.faults {
        page.fault_name(fault);
    }
    for (_, words) in &argument.marks {
        page.paragraph(words, NOTE, Tone::Violation);
    }
    page.y += 8.0;
    let rows = page.y;
    for op in &argument.ops {
        page.op(op);
    }
    page.remarks();
    let bottom = page.y + 4.0;
    page.time_axis(bottom);
    if frame.title {
        page.paragraph(&how_to_read(argument), SMALL, Tone::Dim);
    }
    let mut shapes = page.bands(top, rows, bottom);
    shapes.append(&mut page.shapes);
    Drawing { width: frame.width, height: page.y + MARGIN / 2.0, shapes }
}

/// Whether a pause is left out of the time axis, which does not depend on the width of the drawing.
fn is_cut(argument: &Argument) -> bool {
    !axis(argument, Frame { width: 800.0, title: false }).cuts.is_empty()
}

fn axis(argument: &Argument, frame: Frame) -> Axis {
    let mut durations: Vec<u64> = argument.ops.iter().filter_map(|o| Some(o.ended?.since(o.invoked).0)).collect();
    durations.sort_unstable();
    let typical = Nanos(durations.get(durations.len().saturating_sub(1) / 2).copied().unwrap_or(1_000_000).max(1_000));
    Axis::new(&argument.moments(), typical, (MARGIN, frame.width - MARGIN - OPEN), CUT.min(frame.width / 6.0))
}

struct Page<'a> {
    argument: &'a Argument,
    frame: Frame,
    axis: Axis,
    /// Upper edge of the next row.
    y: f64,
    shapes: Vec<Shape>,
}

impl Page<'_> {
    fn room(&self) -> f64 {
        self.frame.width - 2.0 * MARGIN
    }

    /// Returns a text whose line begins at `top`, as near to `x` as its width allows.
    fn text(&self, x: f64, top: f64, words: &str, size: f64, strong: bool, tone: Tone) -> Text {
        let last = self.frame.width - MARGIN - width(words, size, strong);
        Text { x: x.min(last).max(MARGIN), y: top + size, size, strong, tone, words: words.to_owned() }
    }

    /// Returns a text of an op. It covers the edges of bands that it crosses, so that it stays readable.
    fn label(&self, x: f64, words: &str, size: f64, strong: bool, tone: Tone) -> impl Iterator<Item = Shape> + use<> {
        let text = self.text(x, self.y, words, size, strong, tone);
        let (left, right) = (text.x - HALO, text.x + width(words, size, strong) + HALO);
        let mut edges = self.argument.faults.iter().flat_map(|fault| [fault.began, fault.ended]).map(|t| self.axis.place(t));
        let crosses = edges.any(|edge| left < edge && edge < right);
        let halo = Area { x: left, y: self.y, width: right - left, height: size + HALO };
        crosses.then_some(Shape::Fill(halo, Tone::Paper)).into_iter().chain([Shape::Text(text)])
    }

    /// Draws lines of text from the left margin.
    fn paragraph(&mut self, words: &str, size: f64, tone: Tone) {
        for line in wrap(words, size, false, self.room()) {
            self.shapes.push(Shape::Text(self.text(MARGIN, self.y, &line, size, false, tone)));
            self.y += size + 5.0;
        }
    }

    fn title(&mut self) {
        for line in wrap(&self.argument.title, TITLE, false, self.room()) {
            self.shapes.push(Shape::Text(self.text(MARGIN, self.y, &line, TITLE, false, Tone::Ink)));
            self.y += TITLE + 7.0;
        }
        self.y += 6.0;
    }

    /// Draws the label of a fault above its band, on a separate line.
    fn fault_name(&mut self, fault: &DrawnFault) {
        let time = |t| self.argument.time(t);
        let words = format!("fault {}: {}, {} to {}", fault.id, fault.words, time(fault.began), time(fault.ended));
        for line in wrap(&words, NOTE, false, self.room()) {
            let text = self.text(self.axis.place(fault.began), self.y, &line, NOTE, false, Tone::Fault);
            self.shapes.push(Shape::Text(text));
            self.y += NOTE + 5.0;
        }
    }

    /// Returns the bands of the faults and the marks, from `top` to `bottom`. They are drawn first.
    fn bands(&self, top: f64, rows: f64, bottom: f64) -> Vec<Shape> {
        let mut shapes = vec![];
        for fault in &self.argument.faults {
            let (from, to) = (self.axis.place(fault.began), self.axis.place(fault.ended));
            let area = Area { x: from, y: top, width: (to - from).max(2.0), height: bottom - top };
            shapes.push(Shape::Fill(area, Tone::Band));
        }
        for fault in &self.argument.faults {
            for t in [fault.began, fault.ended] {
                let x = self.axis.place(t);
                shapes.push(Shape::Line(vec![(x, rows), (x, bottom)], Tone::Fault, LineStyle::Solid));
            }
        }
        for (t, _) in &self.argument.marks {
            let x = self.axis.place(*t);
            shapes.push(Shape::Line(vec![(x, rows - 6.0), (x, bottom)], Tone::Violation, LineStyle::Solid));
        }
        shapes
    }

    fn op(&mut self, op: &DrawnOp) {
        let from = self.axis.place(op.invoked);
        let to = op.ended.map_or(self.axis.end() + OPEN, |t| self.axis.place(t)).max(from + MIN_BAR_WIDTH);
        let mut inner = vec![];
        let strong = op.role != Role::Part;
        for line in wrap(&op.words, WORDS, strong, self.room()) {
            inner.extend(self.label(from, &line, WORDS, strong, Tone::Ink));
            self.y += WORDS + 4.0;
        }
        let area = Area { x: from, y: self.y + 1.0, width: to - from, height: BAR };
        let tone = match (op.role, op.ended) {
            (Role::Observer, _) => Tone::Violation,
            (_, None) => Tone::Open,
            _ if op.answer == "failed" => Tone::Failed,
            _ => Tone::Answered,
        };
        if op.ended.is_some() {
            inner.push(Shape::Fill(area, tone));
        } else {
            inner.push(Shape::Outline(area, tone));
        }
        if op.role == Role::Lost {
            // An acknowledged effect holds from then on.
            let y = area.y + BAR / 2.0;
            inner.push(Shape::Line(vec![(to, y), (self.frame.width - MARGIN, y)], tone, LineStyle::Dotted));
        }
        let crossed: Vec<Cut> = self.axis.cuts.iter().filter(|c| from < c.from + 0.5 && c.to - 0.5 < to).copied().collect();
        inner.extend(crossed.iter().flat_map(|c| slashes((c.from + c.to) / 2.0, area.y - 2.0, area.y + BAR + 2.0, Tone::Paper)));
        self.y += BAR + 5.0;
        for line in wrap(&op.note(), NOTE, false, self.room()) {
            inner.extend(self.label(from, &line, NOTE, false, Tone::Dim));
            self.y += NOTE + 4.0;
        }
        self.y += 11.0;
        self.shapes.push(Shape::Op(op.op.0, inner));
    }

    /// Adds remarks on the ops and faults that were left out.
    fn remarks(&mut self) {
        let (ops, faults) = (self.argument.left_out, self.argument.more_faults);
        let remarks = [(ops, "more ops of the proof are left out"), (faults, "more faults in this time are left out")];
        for (n, words) in remarks.into_iter().filter(|(n, _)| *n > 0) {
            self.paragraph(&format!("{n} {words}"), NOTE, Tone::Dim);
        }
    }

    /// Draws the axis, with cuts and their durations above it and times below it.
    fn time_axis(&mut self, bottom: f64) {
        let y = bottom + SMALL + 8.0;
        let (left, right) = (MARGIN, self.frame.width - MARGIN);
        let mut x = left;
        let mut free = f64::MIN;
        for cut in self.axis.cuts.clone() {
            let middle = (cut.from + cut.to) / 2.0;
            self.shapes.push(Shape::Line(vec![(x, y), (middle - 4.0, y)], Tone::Dim, LineStyle::Solid));
            self.shapes.extend(slashes(middle, y - 5.0, y + 5.0, Tone::Dim));
            x = middle + 4.0;
            let words = pause_words(cut.ns);
            let wide = width(&words, SMALL, false);
            let text = self.text(middle - wide / 2.0, bottom, &words, SMALL, false, Tone::Dim);
            if text.x >= free {
                free = text.x + wide + 8.0;
                self.shapes.push(Shape::Text(text));
            }
        }
        self.shapes.push(Shape::Line(vec![(x, y), (right, y)], Tone::Dim, LineStyle::Solid));
        self.times(y + 8.0);
        self.y = y + 8.0 + SMALL + 6.0;
    }

    /// Draws times below the axis, most important first, as many as fit.
    fn times(&mut self, top: f64) {
        let mut taken: Vec<(f64, f64)> = vec![];
        for t in self.important() {
            let words = self.argument.time(t);
            let (x, wide) = (self.axis.place(t), width(&words, SMALL, false));
            let text = self.text(x - wide / 2.0, top, &words, SMALL, false, Tone::Dim);
            let (from, to) = (text.x - 6.0, text.x + wide + 6.0);
            if taken.iter().all(|(a, b)| to < *a || *b < from) {
                taken.push((from, to));
                self.shapes.push(Shape::Line(vec![(x, top - 8.0), (x, top - 4.0)], Tone::Dim, LineStyle::Solid));
                self.shapes.push(Shape::Text(text));
            }
        }
    }

    /// Returns the moments, most important to the reader first.
    fn important(&self) -> Vec<Nanos> {
        let lost = self.argument.ops.iter().filter(|o| o.role == Role::Lost).filter_map(|o| o.ended);
        let observer = self.argument.ops.iter().filter(|o| o.role == Role::Observer).map(|o| o.invoked);
        let marks = self.argument.marks.iter().map(|(t, _)| *t);
        let faults = self.argument.faults.iter().map(|f| f.began);
        lost.chain(observer).chain(marks).chain(faults).chain(self.argument.moments()).collect()
    }
}

/// Returns the two strokes of a cut.
fn slashes(x: f64, top: f64, bottom: f64, tone: Tone) -> [Shape; 2] {
    [-2.5, 2.5].map(|d| Shape::Line(vec![(x + d - 2.0, bottom), (x + d + 2.0, top)], tone, LineStyle::Solid))
}

#[cfg(test)]
mod tests;
