//! UTC dates and times from seconds since 1970. The seconds are an argument: no clock is read here.

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// Formats as `20260131T120000Z`, which sorts by time and is a valid folder name everywhere.
    pub fn compact(self) -> String {
        let (y, mo, d, h, mi, s) = self.to_civil();
        format!("{y:04}{mo:02}{d:02}T{h:02}{mi:02}{s:02}Z")
    }

    /// Formats as `2026-01-31T12:00:00Z`.
    pub fn iso(self) -> String {
        let (y, mo, d, h, mi, s) = self.to_civil();
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}Z")
    }

    /// Parses a time in the form of [`compact`](Self::compact) at the beginning of `text`, such as a run id.
    pub fn from_compact(text: &str) -> Option<Self> {
        let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
        let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
        let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
        UnixSeconds::from_civil((year, month, day), (hour, minute, second))
    }

    /// Parses a date, `2026-01-31`, or a time, `2026-01-31T12:00` or `2026-01-31T12:00:00`, with or without `Z`.
    pub fn from_iso(text: &str) -> Option<Self> {
        let (date, time) = text.trim().split_once(['T', ' ']).unwrap_or((text.trim(), "00:00"));
        let numbers = |text: &str, mark: char| -> Option<Vec<u64>> {
            let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten();
            text.split(mark).map(number).collect()
        };
        let [year, month, day] = numbers(date, '-')?[..] else { return None };
        let time = match numbers(time.strip_suffix('Z').unwrap_or(time), ':')?[..] {
            [hour, minute] => (hour, minute, 0),
            [hour, minute, second] => (hour, minute, second),
            _ => return None,
        };
        UnixSeconds::from_civil((year, month, day), time)
    }

    /// Inverts `to_civil`. Returns `None` for an invalid date or time.
    fn from_civil((year, month, day): (u64, u64, u64), (hour, minute, second): (u64, u64, u64)) -> Option<Self> {
        if !(1970..=9999).contains(&year)
            || !(1..=12).contains(&month)
            || !(1..=31).contains(&day)
            || hour > 23
            || minute > 59
            || second > 60
        {
            return None;
        }
        // Years begin in March, so a leap day is the last day of its year.
        let (shifted_year, shifted_month) = (year - u64::from(month <= 2), (month + 9) % 12);
        let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
        let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
        let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Some(UnixSeconds((days - 719_468) * 86_400 + hour * 3_600 + minute * 60 + second))
    }

    /// Returns year, month, day, hour, minute and second. The conversion of days to a date follows Howard Hinnant's
    /// `chrono`-compatible date algorithms, which count 400-year eras from a first of March.
    fn to_civil(self) -> (u64, u64, u64, u64, u64, u64) {
        let (days, second) = (self.0 / 86_400 + 719_468, self.0 % 86_400);
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        (year, month, day, second / 3_600, second / 60 % 60, second % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        // From `date -u -d @N +%FT%TZ`.
        for (seconds, want) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_164_799, "2024-02-28T23:59:59Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(UnixSeconds(seconds).iso(), want);
            assert_eq!(UnixSeconds::from_compact(&UnixSeconds(seconds).compact()), Some(UnixSeconds(seconds)));
            assert_eq!(UnixSeconds::from_iso(want), Some(UnixSeconds(seconds)));
        }
        assert_eq!(UnixSeconds(1_709_251_199).compact(), "20240229T235959Z");
        for bad in ["", "20249", "20241301T000000Z", "yesterday at noon"] {
            assert_eq!(UnixSeconds::from_compact(bad), None);
            assert_eq!(UnixSeconds::from_iso(bad), None);
        }
        for (text, want) in [
            ("2024-02-28", "2024-02-28T00:00:00Z"),
            ("2024-02-28T09:30", "2024-02-28T09:30:00Z"),
            (" 2024-02-28 09:30Z", "2024-02-28T09:30:00Z"),
        ] {
            assert_eq!(UnixSeconds::from_iso(text).map(UnixSeconds::iso).as_deref(), Some(want), "{text}");
        }
        for bad in [
            "2024-13-01",
            "2024-02",
            "2024-02-28T",
            "2024-02-28T25:00",
            "-2024-02-28",
            "2024-02-+8",
            "99999999999999999999-01-01",
            "20000-01-01",
        ] {
            assert_eq!(UnixSeconds::from_iso(bad), None, "{bad}");
        }
    }
}
