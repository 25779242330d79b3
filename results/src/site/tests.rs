use super::query::IndexQuery;
use super::*;
use crate::catalogue::{Catalogue, Entry};
use crate::filter::{Ended, Filter, Kind};
use crate::index::RunLine;
use crate::results_json::{Results, RunVerdict, Status};

const HOSTILE: &str = "\"><script>alert('x')</script>\u{1b}[2J\u{202e}";

fn entry(kind: Kind, number: usize, name: &str) -> Entry {
    let path = format!("{}/20260101T000000Z-{number:04x}", name.replace(['"', '<', '>', '/'], "-"));
    let run = RunLine { path: path.clone(), ops: 1_234, p99_ms: 3.5, p50_ms: 1.0, achieved_per_s: 400.0, ..RunLine::default() };
    Entry {
        kind,
        path,
        name: name.into(),
        started_utc: "2026-01-01T00:00:00Z".into(),
        status: Status::Done,
        verdict: RunVerdict::Invalid,
        exit_code: 1,
        reason: format!("reason {HOSTILE}"),
        part_of: None,
        run: (kind == Kind::Run).then_some(run),
    }
}

fn index_of(entries: Vec<Entry>, query: &IndexQuery) -> String {
    index(IndexView { catalogue: &Catalogue { entries }, query, folder: HOSTILE })
}

/// Checks that a page loads nothing from other sites, and contains nothing that its policy forbids.
#[track_caller]
fn harmless(page: &str) {
    for bad in ["<script>", "alert('x')", "\u{1b}", "\u{202e}", "http://", "https://", " style=", "javascript:", " onload", " onerror"] {
        assert!(!page.contains(bad), "{bad}: {page}");
    }
    assert_eq!(page.matches('<').count(), page.matches('>').count(), "{page}");
}

#[test]
fn hostile_words_stay_words() {
    let mut part = entry(Kind::Run, 2, "part");
    part.part_of = Some(format!("suite/{HOSTILE}"));
    let entries = vec![entry(Kind::Run, 1, HOSTILE), entry(Kind::Suite, 3, HOSTILE), part];
    let filter = Filter { plans: vec!["*".into(), HOSTILE.into()], all: true, ..Filter::default() };
    let query = IndexQuery { filter, since: HOSTILE.into(), page: 1 };
    let shown = index_of(entries.clone(), &query);
    harmless(&shown);
    assert!(shown.contains("&lt;script&gt;") && shown.contains("3 of 3 shown"), "{shown}");
    let mut results = Results { reasons: vec![HOSTILE.into()], ..Results::default() };
    results.plan.labels.insert(HOSTILE.into(), HOSTILE.into());
    let items = [Item { name: HOSTILE.into(), bytes: Some(5) }, Item { name: format!("{HOSTILE}2"), bytes: None }];
    let view = FolderView {
        path: &format!("a/{HOSTILE}"),
        entry: Some(&entries[0]),
        results: Some(&results),
        parts: &[&entries[2]],
        items: &items,
        pictures: &[HOSTILE.into()],
        explanations: &[(HOSTILE.into(), HOSTILE.into())],
        cut: true,
    };
    harmless(&folder(view));
    harmless(&message(HOSTILE, HOSTILE));
}

#[test]
fn every_verdict_has_a_word_and_a_sign() {
    for (status, verdict, words) in [
        (Status::Done, RunVerdict::Valid, ["✓", "valid"]),
        (Status::Done, RunVerdict::Invalid, ["✗", "invalid"]),
        (Status::Done, RunVerdict::GateMissed, ["?", "gate missed"]),
        (Status::Killed, RunVerdict::Unknown, ["?", "killed"]),
        (Status::Running, RunVerdict::Unknown, ["…", "running"]),
    ] {
        let shown =
            index_of(vec![Entry { status, verdict, ..entry(Kind::Run, 1, "plan") }], &IndexQuery { page: 1, ..IndexQuery::default() });
        assert!(words.iter().all(|word| shown.contains(word)), "{words:?}: {shown}");
        assert_eq!(shown.contains("report.html"), status == Status::Done, "what is not over has no report");
    }
}

#[test]
fn a_long_list_has_pages_and_hides_parts() {
    let entries: Vec<Entry> =
        (0..450).map(|n| Entry { part_of: (n % 3 == 0).then(|| "night/1".to_owned()), ..entry(Kind::Run, n, "plan") }).collect();
    let first = index_of(entries.clone(), &IndexQuery { page: 1, ..IndexQuery::default() });
    assert!(first.contains("300 of 450 shown") && first.contains("href=\"/?all=1\"") && first.contains("page 1 of 2"), "{first}");
    assert_eq!(first.matches("<tr>").count(), 201, "a heading and 200 rows");
    assert!(first.contains("20260101T000000Z-01c1") && !first.contains("in <a href"), "newest first, and no parts");
    let filter = Filter { all: true, verdicts: vec![Ended::Failed], ..Filter::default() };
    let last = index_of(entries, &IndexQuery { filter, page: 99, ..IndexQuery::default() });
    assert!(last.contains("page 3 of 3") && last.contains("href=\"/?verdict=failed&amp;all=1&amp;page=2\""), "{last}");
}

#[test]
fn policies_and_assets_name_no_other_place() {
    for asset in ASSETS {
        let found = asset.content.replace("http://www.w3.org/2000/svg", "");
        assert!(!found.contains("http") && !found.contains("@import") && !found.contains("url("), "{}", asset.name);
    }
    for policy in [POLICY_OF_PAGES, POLICY_OF_FILES] {
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains('*'));
    }
    assert_eq!(url("/files/", "a b/ü/../c?d#e"), "/files/a%20b/%C3%BC/../c%3Fd%23e");
}
