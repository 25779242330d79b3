//! Collects the positions of drawn text, so that tests can find text that is cut off or overlaps other text. Nothing is
//! collected outside of [`record`].

use std::cell::RefCell;

/// The texts of one picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sheet {
    /// Width of the picture in pixels.
    pub width: f64,
    /// Height of the picture in pixels.
    pub height: f64,
    /// Every text, in drawing order.
    pub texts: Vec<TextBox>,
}

/// The box of a text, without the empty space above and below its letters.
#[derive(Debug, Clone, PartialEq)]
pub struct TextBox {
    /// Its characters.
    pub words: String,
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// Maximum overlap, in pixels, that is not reported.
const TOLERANCE: f64 = 1.0;

thread_local! {
    static SHEETS: RefCell<Option<Vec<Sheet>>> = const { RefCell::new(None) };
}

/// Runs `draw` and returns its result with a sheet for each picture that it drew.
pub fn record<T>(draw: impl FnOnce() -> T) -> (T, Vec<Sheet>) {
    SHEETS.with_borrow_mut(|sheets| *sheets = Some(vec![]));
    let drawn = draw();
    (drawn, SHEETS.take().unwrap_or_default())
}

/// Starts recording a picture of this size.
pub(crate) fn begin(width: f64, height: f64) {
    SHEETS.with_borrow_mut(|sheets| {
        if let Some(sheets) = sheets {
            sheets.push(Sheet { width, height, texts: vec![] });
        }
    });
}

/// Adds a text to the last picture.
pub(crate) fn add(text: impl FnOnce() -> TextBox) {
    SHEETS.with_borrow_mut(|sheets| {
        if let Some(sheet) = sheets.as_mut().and_then(|s| s.last_mut()) {
            sheet.texts.push(text());
        }
    });
}

impl TextBox {
    fn overlaps(&self, other: &TextBox) -> bool {
        let meet = |a: f64, wide_a: f64, b: f64, wide_b: f64| (a + wide_a).min(b + wide_b) - a.max(b) > TOLERANCE;
        meet(self.x, self.width, other.x, other.width) && meet(self.y, self.height, other.y, other.height)
    }

    /// Whether this is the second copy of a bold text, which is drawn twice, one pixel apart.
    fn is_bold_of(&self, other: &TextBox) -> bool {
        self.words == other.words && (self.x - other.x).abs() <= TOLERANCE && (self.y - other.y).abs() <= TOLERANCE
    }
}

impl Sheet {
    /// Describes every text that is cut off, and every pair of overlapping texts.
    pub fn complaints(&self) -> Vec<String> {
        let mut found = vec![];
        for (i, text) in self.texts.iter().enumerate() {
            let TextBox { words, x, y, width, height } = text;
            let inside =
                *x >= -TOLERANCE && *y >= -TOLERANCE && x + width <= self.width + TOLERANCE && y + height <= self.height + TOLERANCE;
            if !inside {
                found.push(format!("`{words}` at {x:.0}, {y:.0} with {width:.0} x {height:.0} leaves {} x {}", self.width, self.height));
            }
            for other in self.texts[..i].iter().filter(|other| text.overlaps(other) && !text.is_bold_of(other)) {
                found.push(format!("`{words}` at {x:.0}, {y:.0} overlaps `{}` at {:.0}, {:.0}", other.words, other.x, other.y));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &str, x: f64, y: f64) -> TextBox {
        TextBox { words: words.into(), x, y, width: 40.0, height: 12.0 }
    }

    #[test]
    fn text_that_is_cut_off_or_overlaps_is_found() {
        let sheet = |texts: &[TextBox]| Sheet { width: 100.0, height: 50.0, texts: texts.to_vec() };
        assert!(sheet(&[text("a", 0.0, 0.0), text("b", 41.0, 0.0), text("c", 0.0, 13.0)]).complaints().is_empty());
        assert_eq!(sheet(&[text("a", 0.0, 0.0), text("b", 30.0, 5.0)]).complaints().len(), 1);
        assert_eq!(sheet(&[text("a", 70.0, 0.0), text("b", 0.0, 45.0), text("c", -5.0, 10.0)]).complaints().len(), 3);
        assert!(sheet(&[text("a", 0.0, 0.0), text("a", 1.0, 0.0)]).complaints().is_empty(), "bold");
    }

    #[test]
    fn texts_are_collected_only_on_request() {
        begin(10.0, 10.0);
        add(|| unreachable!("nothing is recorded"));
        let ((), sheets) = record(|| {
            begin(100.0, 50.0);
            add(|| text("a", 0.0, 0.0));
        });
        assert_eq!((sheets.len(), sheets[0].texts.len()), (1, 1));
        add(|| unreachable!("nothing is recorded"));
    }
}
