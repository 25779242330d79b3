//! Validation of settings, with errors that name the valid values.

/// Returns the given word if it is one of `all`, or the first of `all` if none is given.
///
/// # Errors
/// Fails if it is none of them. The message names the most similar word.
pub fn one_of<'a>(what: &str, given: Option<&'a str>, all: &[&'a str]) -> Result<&'a str, String> {
    match given {
        None => Ok(all[0]),
        Some(word) if all.contains(&word) => Ok(word),
        Some(word) => Err(format!("{what} = `{word}`: {}", did_you_mean(word, all))),
    }
}

/// Reads the settings of a system from their table.
///
/// # Errors
/// Names the invalid setting, and what would be valid.
pub fn parse<T: serde::de::DeserializeOwned>(settings: &toml::Table) -> Result<T, String> {
    settings.clone().try_into().map_err(|e: toml::de::Error| e.message().to_owned())
}

/// Returns settings as a table that [`parse`] can read.
///
/// # Panics
/// Panics if they are not plain data with names.
pub fn table(settings: &impl serde::Serialize) -> toml::Table {
    toml::Table::try_from(settings).expect("settings are plain data")
}

/// Checks that a value is between `least` and `most`, inclusive.
///
/// # Errors
/// Fails if it is not. The message names the bounds. NaN is also refused.
pub fn within<T: PartialOrd + std::fmt::Display + Copy>(what: &str, value: T, least: T, most: T) -> Result<T, String> {
    if (least..=most).contains(&value) { Ok(value) } else { Err(format!("{what} = {value} is not between {least} and {most}")) }
}

/// Returns `did you mean …?`, or the whole list if no word is similar.
pub fn did_you_mean<'a>(word: &str, all: impl IntoIterator<Item = &'a &'a str>) -> String {
    let all: Vec<&str> = all.into_iter().copied().collect();
    let near = all.iter().map(|w| (strsim::damerau_levenshtein(word, w), *w)).min();
    match near {
        Some((distance, w)) if distance <= 1 + word.len() / 3 => format!("did you mean `{w}`?"),
        _ => format!("available: {}", all.join(", ")),
    }
}

/// Whether the settings type of a system accepts a value under a key. Implements
/// [`SystemKind::accepts`](crate::SystemKind::accepts) for settings read by serde.
///
/// # Errors
/// Returns the message from serde.
pub fn accepts<T: serde::de::DeserializeOwned>(key: &str, value: &toml::Value) -> Result<(), String> {
    let one = toml::Table::from_iter([(key.to_owned(), value.clone())]);
    one.try_into::<T>().map(drop).map_err(|e| e.message().trim_end().to_owned())
}
