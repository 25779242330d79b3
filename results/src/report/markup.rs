//! HTML that is always escaped.
//!
//! An [`Html`] is created either from constant markup in the program or from text, which is escaped. There is no third way, so no
//! name, key or reason in a history can become an element. A template engine would serve the same purpose, but none of its other
//! features are needed here.

use heckle_history::printable::{escape, needs_escape};

/// Escaped HTML.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Creates HTML from constant markup.
    pub fn fixed(markup: &'static str) -> Self {
        Html(markup.to_owned())
    }

    /// Escapes text from any source.
    pub fn text(words: &str) -> Self {
        let mut out = String::with_capacity(words.len());
        for c in words.chars() {
            match entity(c) {
                Some(entity) => out += entity,
                // A page does not need control characters, and browsers may handle them in unexpected ways.
                None if needs_escape(c) && c != '\n' && c != '\t' => out += &escape(c),
                None => out.push(c),
            }
        }
        Html(out)
    }

    /// Creates an element. The values of its attributes are escaped.
    pub fn element(tag: &'static str, attributes: &[(&'static str, &str)], content: impl Into<Html>) -> Self {
        let mut out = Html::open(tag, attributes);
        out.0 += &content.into().0;
        out.0 += &format!("</{tag}>");
        out
    }

    /// Creates a start tag, or an element without an end tag.
    pub fn open(tag: &'static str, attributes: &[(&'static str, &str)]) -> Self {
        let attributes: String = attributes.iter().map(|(name, value)| format!(" {name}=\"{}\"", Html::text(value).0)).collect();
        Html(format!("<{tag}{attributes}>"))
    }

    /// Appends HTML.
    pub fn push(&mut self, more: impl Into<Html>) {
        self.0 += &more.into().0;
    }

    /// Appends HTML and returns the result, for chaining.
    #[must_use]
    pub fn and(mut self, more: impl Into<Html>) -> Self {
        self.push(more);
        self
    }

    /// Formats data as JSON for a `<script type="application/json">`. No `<` in it can end that element.
    pub fn json(data: &impl serde::Serialize) -> Self {
        let text = serde_json::to_string(data).expect("numbers and strings serialize").replace('<', "\\u003c");
        // Control characters can occur only in JSON strings, and are written as escapes.
        Html(text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
            if needs_escape(c) {
                out.extend(["\\", &escape(c)])
            } else {
                out.push(c)
            }
            out
        }))
    }

    /// Appends an asset of the program without escaping; see `assets`.
    pub(super) fn append_asset(&mut self, content: &str) {
        self.0 += content;
    }

    /// Returns the HTML text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Html {
    fn from(words: &str) -> Self {
        Html::text(words)
    }
}

impl From<String> for Html {
    fn from(words: String) -> Self {
        Html::text(&words)
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<I: IntoIterator<Item = Html>>(parts: I) -> Self {
        let mut out = Html::default();
        parts.into_iter().for_each(|part| out.push(part));
        out
    }
}

/// Creates a heading that can be linked to.
pub fn heading(tag: &'static str, id: &'static str, words: &str) -> Html {
    Html::element(tag, &[("id", id)], words)
}

/// Creates a paragraph of secondary text.
pub fn note(words: &str) -> Html {
    Html::element("p", &[("class", "dim")], words)
}

/// Creates a table. The columns in `numbers` are right-aligned.
pub fn table(heading: &[&str], numbers: &[usize], rows: impl IntoIterator<Item = Vec<Html>>) -> Html {
    let class = |i: usize| if numbers.contains(&i) { "n" } else { "" };
    let head: Html = heading.iter().enumerate().map(|(i, h)| Html::element("th", &[("scope", "col"), ("class", class(i))], *h)).collect();
    let line = |cells: Vec<Html>| -> Html {
        Html::element(
            "tr",
            &[],
            cells.into_iter().enumerate().map(|(i, c)| Html::element("td", &[("class", class(i))], c)).collect::<Html>(),
        )
    };
    let body: Html = rows.into_iter().map(line).collect();
    let inner = Html::element("thead", &[], Html::element("tr", &[], head)).and(Html::element("tbody", &[], body));
    // A wide table can be scrolled separately, including by keyboard.
    let scroll = [("class", "scroll"), ("tabindex", "0"), ("role", "group"), ("aria-label", "table")];
    Html::element("div", &scroll, Html::element("table", &[], inner)).and(Html::fixed("\n"))
}

/// Returns the entity for a character that would otherwise be markup in HTML and XML.
pub(crate) fn entity(c: char) -> Option<&'static str> {
    match c {
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '&' => Some("&amp;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let hostile = "</script><img src=x onerror=\"a\">'&\u{1b}[2J";
        let page = Html::element("a", &[("href", hostile)], hostile);
        assert_eq!(page.as_str().matches('<').count(), 2, "{}", page.as_str());
        assert_eq!(page.as_str().matches('"').count(), 2, "{}", page.as_str());
        assert!(!page.as_str().contains('\u{1b}'));
        assert!(!Html::json(&hostile).as_str().contains('<'));
        assert_eq!(serde_json::from_str::<String>(Html::json(&hostile).as_str()).unwrap(), hostile);
    }
}
