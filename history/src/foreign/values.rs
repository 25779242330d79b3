//! Maps values of any type to numbers, which the checkers can compare.
//!
//! Integers map to themselves. Every other value gets a unique number at the lower end of the 64-bit range, so equal
//! values get equal numbers, and different values get different ones. A value of an unexpected type never becomes 0 or
//! the empty text.

use super::process::whole;
use rustc_hash::FxHashMap;
use serde_json::Value as Json;

/// Maximum number of values other than integers in one history.
const ROOM: i64 = 1 << 32;

/// The number of the first value that is not an integer.
const FIRST: i64 = i64::MIN;

/// Number of decimal digits of the assigned numbers.
const DIGITS: usize = 19;

/// The numbers assigned to values.
#[derive(Debug, Clone, Default)]
pub struct Values {
    ids: FxHashMap<String, i64>,
    names: Vec<String>,
    numbers: bool,
    in_room: bool,
}

impl Values {
    /// Returns the number of a value.
    ///
    /// # Errors
    /// If the value is `NaN`, which is not equal to itself, or if a history mixes other values with integers near the
    /// lower end of the 64-bit range.
    pub fn id(&mut self, value: &Json) -> Result<i64, String> {
        if let Some(number) = value.as_i64() {
            self.numbers = true;
            self.in_room |= number < FIRST + ROOM;
            return self.unambiguous(number);
        }
        let name = value.to_string();
        if name == r###"{"##":"NaN"}"### {
            return Err("##NaN equals nothing, not even itself, so no answer can be checked against it".to_owned());
        }
        if let Some(&id) = self.ids.get(&name) {
            return Ok(id);
        }
        let id = i64::try_from(self.names.len()).ok().filter(|n| *n < ROOM).map(|n| FIRST + n);
        let id = id.ok_or_else(|| format!("over {ROOM} values that are not whole numbers"))?;
        self.names.push(name.clone());
        self.ids.insert(name, id);
        self.unambiguous(id)
    }

    fn unambiguous(&self, number: i64) -> Result<i64, String> {
        if self.in_room && !self.names.is_empty() {
            return Err(format!("numbers below {} cannot stand beside values that are not whole numbers", FIRST + ROOM));
        }
        Ok(number)
    }

    /// Describes the types of the values for the user.
    pub fn words(&self) -> &'static str {
        match (self.numbers, self.names.is_empty()) {
            (_, true) => "whole numbers",
            (false, false) => "values compared as they stand, none of them whole numbers",
            (true, false) => "values compared as they stand, some of them whole numbers",
        }
    }

    /// Replaces the assigned numbers in a text with the original values.
    pub fn restore(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('-') {
            let digits = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
            let end = at + 1 + digits;
            let name = if digits == DIGITS { rest[at..end].parse().ok().and_then(|id| self.name(id)) } else { None };
            out.push_str(&rest[..at]);
            out.push_str(name.unwrap_or(&rest[at..end]));
            rest = &rest[end..];
        }
        out.push_str(rest);
        out
    }

    fn name(&self, id: i64) -> Option<&str> {
        let place = usize::try_from(id.checked_sub(FIRST)?).ok()?;
        self.names.get(place).map(String::as_str)
    }
}

/// Converts floats with integer values to integers, recursively.
pub(super) fn normalize(value: &mut Json) {
    match value {
        Json::Number(number) if number.is_f64() => {
            if let Some(whole) = whole(number) {
                *value = whole.into();
            }
        }
        Json::Array(items) => items.iter_mut().for_each(normalize),
        Json::Object(map) => map.values_mut().for_each(normalize),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_values_have_equal_numbers_and_no_others() {
        let mut values = Values::default();
        let all = [json!(0), json!(""), json!("0"), json!([]), json!({}), json!(false), json!(0.5), json!({"#ratio": "1/3"}), json!("1/3")];
        let ids: Vec<i64> = all.iter().map(|v| values.id(v).unwrap()).collect();
        for (i, a) in ids.iter().enumerate() {
            assert_eq!(ids.iter().filter(|b| *b == a).count(), 1, "{}", all[i]);
        }
        assert_eq!(all.iter().map(|v| values.id(v).unwrap()).collect::<Vec<_>>(), ids);
        assert_eq!(ids[0], 0);
        assert_eq!(values.restore(&format!("set {} to {}, -5, --", ids[1], ids[7])), "set \"\" to {\"#ratio\":\"1/3\"}, -5, --");
    }

    #[test]
    fn values_that_cannot_be_distinguished_are_refused() {
        let nan = json!({"##": "NaN"});
        assert!(Values::default().id(&nan).is_err());
        for both in [[json!(i64::MIN), json!("a")], [json!("a"), json!(i64::MIN + 5)]] {
            let mut values = Values::default();
            assert!(values.id(&both[0]).is_ok() && values.id(&both[1]).is_err(), "{both:?}");
        }
    }
}
