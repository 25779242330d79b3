//! The assets of a page: style sheets, scripts, and the content security policy with their hashes.
//!
//! The scripts are plain sources that browsers run unchanged, without a build step. uPlot draws the lines. It is only 50 KB in
//! size, draws to a canvas in one pass where libraries ten times as large create a DOM node per point, and has hooks for the
//! additions made here (density, faults, marks).

use super::markup::Html;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// Style sheets, in order.
const STYLES: [&str; 3] = [
    include_str!("../../assets/uplot/uPlot.min.css"),
    include_str!("../../assets/report/report.css"),
    include_str!("../../assets/report/argument.css"),
];

/// The library, including its licence, as the licence requires.
const LIBRARY: &str = include_str!("../../assets/uplot/uPlot.iife.min.js");
const LIBRARY_LICENCE: &str = include_str!("../../assets/uplot/LICENSE");

/// Our own scripts, in order. Each adds to the global object `H`.
const SCRIPTS: [&str; 8] = [
    STEPS,
    include_str!("../../assets/report/core.js"),
    include_str!("../../assets/report/ops.js"),
    include_str!("../../assets/report/time.js"),
    include_str!("../../assets/report/latency.js"),
    include_str!("../../assets/report/curve.js"),
    include_str!("../../assets/report/lanes.js"),
    include_str!("../../assets/report/main.js"),
];

/// Steps through a counterexample. It is the only script that needs no data.
const STEPS: &str = include_str!("../../assets/report/steps.js");

/// The style sheets and scripts of a page.
pub(crate) struct Assets {
    style: String,
    scripts: Vec<String>,
}

impl Assets {
    pub(super) fn new() -> Self {
        let library = format!("/*\nuPlot\n{}\n*/\n{LIBRARY}", LIBRARY_LICENCE.trim());
        Assets { style: STYLES.join("\n"), scripts: vec![library, SCRIPTS.join("\n")] }
    }

    /// Returns the assets of a page that contains only a counterexample.
    pub(crate) fn of_counterexample() -> Self {
        Assets { style: STYLES[1..].join("\n"), scripts: vec![STEPS.to_owned()] }
    }

    /// Returns the content security policy: nothing is loaded, and only the style and scripts with these hashes are allowed.
    pub(crate) fn policy(&self) -> String {
        let scripts: Vec<String> = self.scripts.iter().map(|s| hash(s)).collect();
        format!(
            "default-src 'none'; img-src data:; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
            hash(&self.style),
            scripts.join(" ")
        )
    }

    pub(crate) fn style(&self) -> Html {
        Html::verbatim("style", &self.style)
    }

    pub(crate) fn scripts(&self) -> Html {
        self.scripts.iter().map(|script| Html::verbatim("script", script)).collect()
    }
}

fn hash(content: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(content)))
}

impl Html {
    /// Embeds one of our style sheets or scripts. The content is not escaped, so it must not contain the end tag.
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
    fn scripts_create_no_markup_from_text_and_load_nothing() {
        for script in SCRIPTS {
            for word in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "fetch(", "XMLHttp", "import(", "http"] {
                // The SVG namespace is a name, not an address.
                let found = script.replace("http://www.w3.org/2000/svg", "");
                assert!(!found.contains(word), "{word}");
            }
        }
    }
}
