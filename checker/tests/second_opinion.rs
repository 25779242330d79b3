//! A second opinion is distinguished from the judge's own verdict. It names the checker that gave it, or the reason why
//! there is none.

use heckle_checker::judge::Checker;
use heckle_checker::search::{SearchAnswer, SearchReply, SearchRequest, SearchRunner};
use heckle_checker::verdict::SecondOpinion;
use heckle_checker::{InProcess, Options, bench, judge};
use heckle_history::{History, drawn};
use std::cell::Cell;

/// Counts its searches.
struct Counted<'a>(&'a dyn SearchRunner, Cell<u32>);

impl SearchRunner for Counted<'_> {
    fn run(&self, request: &SearchRequest) -> SearchReply {
        self.1.set(self.1.get() + 1);
        self.0.run(request)
    }
}

/// Reaches a limit in every search.
struct Limited;

impl SearchRunner for Limited {
    fn run(&self, _: &SearchRequest) -> SearchReply {
        SearchReply::gave_up("time limit of 1 s")
    }
}

/// Returns the opposite of the correct verdict.
struct Liar;

impl SearchRunner for Liar {
    fn run(&self, request: &SearchRequest) -> SearchReply {
        let mut reply = InProcess.run(request);
        reply.answer = if reply.answer == SearchAnswer::Valid { SearchAnswer::Invalid } else { SearchAnswer::Valid };
        reply
    }
}

#[track_caller]
fn check(history: &History, checker: Checker, second: &dyn SearchRunner, want: &SecondOpinion, asked: u32) {
    let (search, second) = (Counted(&InProcess, Cell::new(0)), Counted(second, Cell::new(0)));
    let judgement = judge(history, &Options { checker, second: &second, cross_check_up_to: 50, ..Options::new(&search) });
    let key = &judgement.linearizability.keys[0];
    assert_eq!(&key.second_opinion, want, "{key:#?}");
    // The judge's own searches are counted separately from second opinions.
    assert_eq!((second.1.get(), search.1.get()), (asked, 0));
    assert_eq!(want.words().starts_with("none: "), !want.confirms() && *want != SecondOpinion::Disagreed, "{}", want.words());
}

#[test]
fn every_key_says_what_a_second_engine_said_or_why_none_did() {
    let small = drawn::history("c1 |w 1-->  r 1-->|");
    let large = bench::history(bench::Shape::contended(60, 3, 0.0));
    let stale = drawn::history("c1 |w 1-->  w 2-->  r 1-->|");
    let gave_up = SecondOpinion::GaveUp("time limit of 1 s".into());
    check(&small, Checker::Auto, &InProcess, &SecondOpinion::Agreed, 1);
    check(&small, Checker::Auto, &Limited, &gave_up, 1);
    check(&small, Checker::Auto, &Liar, &SecondOpinion::Disagreed, 1);
    check(&small, Checker::Chain, &InProcess, &SecondOpinion::NotAsked, 0);
    check(&large, Checker::Auto, &InProcess, &SecondOpinion::TooLarge { up_to: 50 }, 0);
    check(&large, Checker::Both, &InProcess, &SecondOpinion::Agreed, 1);
    check(&stale, Checker::Auto, &InProcess, &SecondOpinion::Refuted, 0);
}
