//! Output for people and machines, compared with golden files. `HECKLE_BLESS=1 cargo test -p heckle-results` rewrites them.

use heckle_results::report::{self, PageInput};
use heckle_results::results_json::Results;
use heckle_results::sample::{self, Sample};
use heckle_results::summary::{self, View};
use heckle_results::terminal::Colour;
use heckle_results::{index::RunLine, junit, measure, sample_results, schemas};
use std::path::Path;

fn golden(file: &str, want: &str) {
    let bless = std::env::var_os("HECKLE_BLESS").is_some();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    schemas::compare(&path, want, bless).unwrap();
}

fn view(width: usize, colour: Colour) -> View<'static> {
    View { folder: "results/runs/cas-register/20260131T120000Z-5a3e", width, colour }
}

#[test]
fn the_terminal_shows() {
    let history = sample::history(Sample::default());
    golden("tests/golden/valid.txt", &summary::text(&sample_results::valid(&history), view(100, Colour::Never)));
    golden("tests/golden/violated.txt", &summary::text(&sample_results::violated(&history), view(80, Colour::Never)));
    golden("tests/golden/started.txt", &summary::text(&Results::default(), view(80, Colour::Never)));
}

#[test]
fn the_last_lines_are_verdict_why_folder_and_next() {
    let history = sample::history(Sample::default());
    for (results, next) in
        [(sample_results::valid(&history), "heckle report 2026"), (sample_results::violated(&history), "heckle explain 2026")]
    {
        let text = summary::text(&results, view(72, Colour::Never));
        let mut last: Vec<&str> = text.lines().rev().take_while(|l| !l.starts_with("verdict")).collect();
        last.reverse();
        assert!(last[0].starts_with("why "), "{last:#?}");
        assert!(last[last.len() - 2].starts_with("folder    results/runs/"), "{last:#?}");
        assert!(last[last.len() - 1].starts_with(&format!("next      {next}")), "{last:#?}");
    }
}

#[test]
fn colour_is_only_where_it_is_asked_for_and_never_from_outside() {
    let results = sample_results::violated(&sample::history(Sample::default()));
    assert!(!summary::text(&results, view(90, Colour::Never)).contains('\x1b'));
    let coloured = summary::text(&results, view(90, Colour::Ansi));
    assert!(coloured.contains("\x1b[1;31mINVALID\x1b[0m"));
    assert!(!coloured.contains("\x1b[2J"), "a name cannot clear the screen");
}

#[test]
fn lines_fit_the_terminal() {
    let results = sample_results::valid(&sample::history(Sample::default()));
    for width in [72, 100, 160] {
        let text = summary::text(&results, view(width, Colour::Never));
        let long: Vec<&str> =
            text.lines().filter(|l| l.chars().count() > width && !l.starts_with("folder") && !l.starts_with("next")).collect();
        assert!(long.is_empty(), "{width}: {long:#?}");
    }
}

#[test]
fn a_list_shows() {
    let history = sample::history(Sample::default());
    let runs = [
        sample_results::valid(&history),
        sample_results::violated(&history),
        Results { run_id: "20260201T000000Z-0001".into(), ..Results::default() },
    ];
    let lines: Vec<RunLine> = runs.iter().map(|r| RunLine::of(r, "p/r")).collect();
    golden("tests/golden/list.txt", &summary::list(&lines, 100, Colour::Never));
    assert!(summary::list(&[], 100, Colour::Never).contains("`heckle run`"));
}

#[test]
fn machines_read() {
    let history = sample::history(Sample::default());
    golden("tests/golden/valid.md", &summary::markdown(&sample_results::valid(&history), "results/runs/x"));
    golden("tests/golden/violated.md", &summary::markdown(&sample_results::violated(&history), "results/runs/x"));
    golden("tests/golden/valid.xml", &junit::xml(&sample_results::valid(&history)));
    golden("tests/golden/violated.xml", &junit::xml(&sample_results::violated(&history)));
}

#[test]
fn nothing_from_outside_becomes_markup() {
    let history = sample::history(Sample::default());
    let results = sample_results::violated(&history);
    let page = page(&history, &results);
    assert!(!page.contains("<script>alert"), "a name became markup");
    assert!(page.matches("&lt;script&gt;").count() > 12, "the names are shown");
    for (name, text) in [("markdown", summary::markdown(&results, "x")), ("junit", junit::xml(&results))] {
        assert!(!text.contains("<script"), "{name}");
        assert!(!text.contains('\x1b'), "{name}");
    }
}

#[test]
fn a_page_loads_nothing() {
    let history = sample::history(Sample::default());
    let page = page(&history, &sample_results::valid(&history));
    assert!(page.contains("Content-Security-Policy") && page.contains("default-src &#39;none&#39;"));
    // Our own scripts are checked for this in `report::assets`. The first comment of the library contains its address.
    let outside_of_scripts: String = page.split("<script>").map(|part| part.rsplit("</script>").next().unwrap_or(part)).collect();
    for outside in ["http://", "https://", "url(", "@import", "style=\"", "onclick", "onload", "onerror"] {
        assert!(!outside_of_scripts.contains(outside), "{outside}");
    }
}

fn page(history: &heckle_history::History, results: &Results) -> String {
    let measured = measure::analyze(history);
    report::page(PageInput { history, measured: &measured, results, nodes: &[], pictures: &[], rerun: "heckle rerun 'x'" })
}

#[test]
fn schemas_are_those_of_the_types() {
    for schema in schemas::all() {
        golden(&format!("schemas/{}", schema.file), &schema.text());
    }
}

#[test]
fn a_changed_golden_file_is_noticed() {
    let path = std::env::temp_dir().join(format!("heckle-golden-{}.json", std::process::id()));
    std::fs::write(&path, "a\nb\n").unwrap();
    let error = schemas::compare(&path, "a\nc\n", false).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    assert!(error.contains("line 2") && error.contains("HECKLE_BLESS=1"), "{error}");
}

#[test]
fn written_histories_are_of_the_schema() {
    use heckle_history::{drawn, writer};
    let schema = schemas::all().into_iter().find(|s| s.file == "history.schema.json").unwrap().schema;
    let kinds = schema["oneOf"].as_array().unwrap();
    let (header, names, events) = drawn::events(
        "c1  |w 1---> cas 1 2 saw 1-->n1 r null-->  |
         c2  |  cas null 3---?  |
         c3  |  r 1--!          |
         fate|                       3=not_applied|",
    );
    let mut text = vec![];
    writer::write_plain(&mut text, &header, &names, &events).unwrap();
    let mut lines = 0;
    for line in std::str::from_utf8(&text).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let title = line["e"].as_str().unwrap_or("header");
        let kind = kinds.iter().find(|k| k["title"] == title).unwrap_or_else(|| panic!("no schema for {title}"));
        for required in kind["required"].as_array().unwrap() {
            assert!(line.get(required.as_str().unwrap()).is_some(), "{line} lacks {required}");
        }
        for field in line.as_object().unwrap().keys() {
            assert!(kind["properties"].get(field).is_some(), "{title} has no {field}");
        }
        lines += 1;
    }
    assert_eq!(lines, 13, "header, five invokes, five completions, a fate, an end record");
}
