//! What a page carries beside its content: style sheets, scripts, and the policy that names them by their hashes.
//!
//! The scripts are plain sources that a browser runs as they stand; there is no build step. uPlot draws the lines: it
//! is 50 KB with everything, draws to a canvas at once where libraries of ten times the size build a node a point,
//! and leaves the drawing of what is special here (density, faults, marks) to hooks.

use super::markup::Html;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// Style sheets in their order.
const STYLES: [&str; 2] = [include_str!("../../assets/uplot/uPlot.min.css"), include_str!("../../assets/report/report.css")];

/// The library, with its licence as its terms ask.
const LIBRARY: &str = include_str!("../../assets/uplot/uPlot.iife.min.js");
const LIBRARY_LICENCE: &str = include_str!("../../assets/uplot/LICENSE");

/// Our own scripts in their order; each adds to the one object `H`.
const SCRIPTS: [&str; 7] = [
    include_str!("../../assets/report/core.js"),
    include_str!("../../assets/report/ops.js"),
    include_str!("../../assets/report/time.js"),
    include_str!("../../assets/report/latency.js"),
    include_str!("../../assets/report/curve.js"),
    include_str!("../../assets/report/lanes.js"),
    include_str!("../../assets/report/main.js"),
];

/// Style sheets and scripts of a page.
pub(super) struct Assets {
    style: String,
    scripts: [String; 2],
}

impl Assets {
    pub(super) fn new() -> Self {
        let library = format!("/*\nuPlot\n{}\n*/\n{LIBRARY}", LIBRARY_LICENCE.trim());
        Assets { style: STYLES.join("\n"), scripts: [library, SCRIPTS.join("\n")] }
    }

    /// The policy: nothing is loaded, and only what is named here by its hash applies or runs.
    pub(super) fn policy(&self) -> String {
        let scripts: Vec<String> = self.scripts.iter().map(|s| hash(s)).collect();
        format!(
            "default-src 'none'; img-src data:; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
            hash(&self.style),
            scripts.join(" ")
        )
    }

    pub(super) fn style(&self) -> Html {
        Html::verbatim("style", &self.style)
    }

    pub(super) fn scripts(&self) -> Html {
        self.scripts.iter().map(|script| Html::verbatim("script", script)).collect()
    }
}

fn hash(content: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(content)))
}

impl Html {
    /// A style sheet or script of ours. Their content is not escaped, so it must not contain the element's end.
    fn verbatim(tag: &'static str, content: &str) -> Html {
        assert!(!content.contains(&format!("</{tag}")), "an asset would end its own element");
        let mut out = Html::open(tag, &[]);
        out.append_asset(content);
        out.and(match tag {
            "style" => Html::fixed("</style>\n"),
            _ => Html::fixed("</script>\n"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_make_no_markup_of_text_and_load_nothing() {
        for script in SCRIPTS {
            for word in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "fetch(", "XMLHttp", "import(", "http"] {
                // The namespace of SVG is a name, not an address.
                let found = script.replace("http://www.w3.org/2000/svg", "");
                assert!(!found.contains(word), "{word}");
            }
        }
    }
}
