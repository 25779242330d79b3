//! Words and bounds of settings, with the error that names what would be right.

/// The word given, if it is one of `all`; the first of them where none is given.
///
/// # Errors
/// Names the nearest one.
pub fn one_of<'a>(what: &str, given: Option<&'a str>, all: &[&'a str]) -> Result<&'a str, String> {
    match given {
        None => Ok(all[0]),
        Some(word) if all.contains(&word) => Ok(word),
        Some(word) => Err(format!("{what} = `{word}`: {}", did_you_mean(word, all))),
    }
}

/// A value within bounds, both included.
///
/// # Errors
/// Names the bounds. What is no number at all is refused too.
pub fn within<T: PartialOrd + std::fmt::Display + Copy>(what: &str, value: T, least: T, most: T) -> Result<T, String> {
    if (least..=most).contains(&value) { Ok(value) } else { Err(format!("{what} = {value} is not between {least} and {most}")) }
}

/// `did you mean …?`, or the whole list where nothing is near.
pub fn did_you_mean<'a>(word: &str, all: impl IntoIterator<Item = &'a &'a str>) -> String {
    let all: Vec<&str> = all.into_iter().copied().collect();
    let near = all.iter().map(|w| (strsim::damerau_levenshtein(word, w), *w)).min();
    match near {
        Some((distance, w)) if distance <= 1 + word.len() / 3 => format!("did you mean `{w}`?"),
        _ => format!("there are: {}", all.join(", ")),
    }
}

/// Whether a type with the settings of a system takes a value under a key: an implementation of
/// [`SystemKind::accepts`](crate::SystemKind::accepts) for settings that serde reads.
///
/// # Errors
/// What serde says.
pub fn accepts<T: serde::de::DeserializeOwned>(key: &str, value: &toml::Value) -> Result<(), String> {
    let one = toml::Table::from_iter([(key.to_owned(), value.clone())]);
    one.try_into::<T>().map(drop).map_err(|e| e.message().trim_end().to_owned())
}
