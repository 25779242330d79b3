//! The filters of the index as query parameters, so that a filtered view has an address: `/?kind=run&plan=quick*&since=2h`.

use crate::filter::{self, Ended, Filter, Kind};
use crate::utc::UnixSeconds;

/// A filter, and the page of its results.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexQuery {
    /// The entries to show.
    pub filter: Filter,
    /// The words of `since`, as given.
    pub since: String,
    /// The page number, counted from 1.
    pub page: usize,
}

impl IndexQuery {
    /// Parses the decoded parameters of an address. Empty values count as absent, since forms send them.
    ///
    /// # Errors
    /// Names the parameter and states the valid values.
    pub fn parse(parameters: &[(String, String)], now: UnixSeconds) -> Result<Self, String> {
        let mut query = IndexQuery { page: 1, ..IndexQuery::default() };
        for (key, value) in parameters.iter().filter(|(_, value)| !value.trim().is_empty()) {
            let words = || value.split(',').filter(|word| !word.trim().is_empty());
            let wrong = |why: String| format!("{key}: {why}");
            match key.as_str() {
                "kind" => query.filter.kinds.extend(words().map(str::parse::<Kind>).collect::<Result<Vec<_>, _>>().map_err(wrong)?),
                "verdict" => query.filter.verdicts.extend(words().map(str::parse::<Ended>).collect::<Result<Vec<_>, _>>().map_err(wrong)?),
                "plan" => query.filter.plans.push(value.trim().to_owned()),
                "since" => {
                    query.filter.since = Some(filter::since(value, now).map_err(wrong)?);
                    value.trim().clone_into(&mut query.since);
                }
                "all" => {
                    query.filter.all = match value.as_str() {
                        "1" | "true" | "on" => true,
                        "0" | "false" | "off" => false,
                        _ => return Err(wrong("write 1 to show the runs of suites, comparisons and sweeps too, or 0".into())),
                    }
                }
                "page" => {
                    let page = value.parse().ok().filter(|n| (1..=1_000_000).contains(n));
                    query.page = page.ok_or_else(|| wrong("write a number from 1".into()))?;
                }
                _ => {
                    return Err(format!(
                        "there is no parameter `{}`; there are kind, plan, verdict, since, all, page",
                        crate::terminal::shorten(key, 40)
                    ));
                }
            }
        }
        Ok(query)
    }

    /// Returns the address of this view, relative to the server.
    pub fn address(&self) -> String {
        let mut parts = vec![];
        let mut add = |key: &str, value: &str| parts.push(format!("{key}={}", encode(value)));
        self.filter.kinds.iter().for_each(|kind| add("kind", kind.word()));
        self.filter.plans.iter().for_each(|plan| add("plan", plan));
        self.filter.verdicts.iter().for_each(|verdict| add("verdict", verdict.word()));
        if !self.since.is_empty() {
            add("since", &self.since);
        }
        if self.filter.all {
            add("all", "1");
        }
        if self.page > 1 {
            add("page", &self.page.to_string());
        }
        if parts.is_empty() { "/".to_owned() } else { format!("/?{}", parts.join("&")) }
    }
}

/// Encodes text for an address: bytes other than letters, digits, `-`, `_`, `.` and `~` as `%` and two hexadecimal digits.
pub fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<IndexQuery, String> {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        IndexQuery::parse(&pairs, UnixSeconds(1_709_251_199))
    }

    #[test]
    fn a_view_has_an_address() {
        let query = parse(&[
            ("kind", "run,suite"),
            ("plan", "a b*"),
            ("verdict", "failed"),
            ("since", "2h"),
            ("all", "1"),
            ("page", "3"),
            ("plan", ""),
        ]);
        let query = query.expect("well-formed");
        assert_eq!(query.address(), "/?kind=run&kind=suite&plan=a%20b%2A&verdict=failed&since=2h&all=1&page=3");
        assert_eq!((query.filter.since, query.filter.kinds.len()), (Some(UnixSeconds(1_709_243_999)), 2));
        assert_eq!(parse(&[]).map(|q| q.address()).as_deref(), Ok("/"));
    }

    #[test]
    fn mistakes_are_named() {
        for (pair, what) in [
            (("kind", "runs"), "kind: `runs` is no kind; did you mean `run`?"),
            (("verdict", "green"), "verdict: `green`"),
            (("since", "later"), "since: `later`"),
            (("page", "0"), "page: write a number"),
            (("page", "99999999999999999999"), "page: "),
            (("all", "yes please"), "all: write 1"),
            (("order", "x"), "there is no parameter `order`"),
        ] {
            let error = parse(&[pair]).expect_err("wrong");
            assert!(error.contains(what), "{pair:?}: {error}");
        }
    }
}
