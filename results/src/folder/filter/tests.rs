use super::*;

#[test]
fn a_star_stands_for_any_letters() {
    for (pattern, text, want) in [
        ("quick", "quick", true),
        ("quick", "quick-2", false),
        ("quick*", "quick-2", true),
        ("*quick", "not-quick", true),
        ("*", "", true),
        ("", "", true),
        ("", "a", false),
        ("a*b*c", "a1b2c", true),
        ("a*b*c", "acb", false),
        ("a*a", "a", false),
        ("*é*", "café au lait", true),
        ("**x", "x", true),
    ] {
        assert_eq!(wildcard(pattern, text), want, "{pattern} {text}");
    }
}

#[test]
fn ages_and_dates_are_points_in_time() {
    let now = UnixSeconds(1_709_251_199);
    for (text, want) in [
        ("2h", "2024-02-29T21:59:59Z"),
        (" 1.5 h", "2024-02-29T22:29:59Z"),
        ("90s", "2024-02-29T23:58:29Z"),
        ("7d", "2024-02-22T23:59:59Z"),
        ("2w", "2024-02-15T23:59:59Z"),
        ("2024-02-01", "2024-02-01T00:00:00Z"),
        ("2024-02-01T10:20", "2024-02-01T10:20:00Z"),
        ("999999w", "1970-01-01T00:00:00Z"),
    ] {
        assert_eq!(since(text, now).map(UnixSeconds::iso).as_deref(), Ok(want), "{text}");
    }
    for bad in ["", "2", "h", "-2h", "infh", "2 years", "yesterday", "2024-13-01", "naNs", "2hh"] {
        assert!(since(bad, now).is_err_and(|e| e.contains("2026-01-31")), "{bad}");
    }
}

#[test]
fn words_have_a_nearest_one() {
    assert_eq!("Gate-Missed".parse(), Ok(Ended::GateMissed));
    let error = "vaild".parse::<Ended>().expect_err("no verdict");
    assert!(error.contains("did you mean `valid`") && error.contains("killed"), "{error}");
    assert!("suit".parse::<Kind>().is_err_and(|e| e.contains("`suite`")));
    assert!("x".repeat(10_000).parse::<Kind>().is_err_and(|e| e.len() < 300));
}

#[test]
fn every_part_of_a_filter_can_hide_an_entry() {
    let entry = Facts {
        kind: Kind::Run,
        name: "quick",
        status: Status::Done,
        verdict: RunVerdict::GateMissed,
        exit_code: 3,
        started: Some(UnixSeconds(100)),
        is_part: false,
    };
    let base = Filter {
        kinds: vec![Kind::Run],
        plans: vec!["q*".into()],
        verdicts: vec![Ended::GateMissed],
        since: Some(UnixSeconds(100)),
        all: false,
    };
    assert!(base.shows(entry) && Filter::default().shows(entry));
    for hiding in [
        Filter { kinds: vec![Kind::Suite], ..base.clone() },
        Filter { plans: vec!["other".into()], ..base.clone() },
        Filter { verdicts: vec![Ended::Valid, Ended::Running], ..base.clone() },
        Filter { since: Some(UnixSeconds(101)), ..base.clone() },
    ] {
        assert!(!hiding.shows(entry), "{hiding:?}");
    }
    let part = Facts { is_part: true, ..entry };
    assert!(!base.shows(part) && base.selects(part) && Filter { all: true, ..base.clone() }.shows(part));
    assert!(!base.shows(Facts { started: None, ..entry }), "what has no time is not known to be recent");
}

#[test]
fn verdicts_count_once_something_is_over() {
    use RunVerdict as V;
    for (ended, status, verdict, code, want) in [
        (Ended::Valid, Status::Done, V::Valid, 0, true),
        (Ended::Unknown, Status::Running, V::Unknown, 2, false),
        (Ended::Running, Status::Running, V::Unknown, 2, true),
        (Ended::Running, Status::Running, V::Error, 4, false),
        (Ended::Error, Status::Running, V::Error, 4, true),
        (Ended::Failed, Status::Running, V::Unknown, 2, false),
        (Ended::Failed, Status::Done, V::Invalid, 1, true),
        (Ended::Failed, Status::Done, V::Valid, 0, false),
        (Ended::Killed, Status::Killed, V::Unknown, 2, true),
        (Ended::Interrupted, Status::Interrupted, V::Unknown, 130, true),
    ] {
        assert_eq!(ended.matches(status, verdict, code), want, "{ended} {status} {verdict}");
    }
}
