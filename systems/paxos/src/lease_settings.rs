//! Lease settings, as given in plans and flags.

use heckle_paxos::lease::settings::{MAX_DRIFT_PPM, MAX_LEASE_NS, MAX_RANGES, MIN_LEASE_NS};
use heckle_paxos::lease::{Forward, LeaseMode, LeaseSettings};
use heckle_system_api::settings::{one_of, within};
use heckle_system_api::units::Span;

/// Lease modes. The first is the default.
pub const LEASES: &[&str] = &["off", "priority", "read"];
/// Whether operations are forwarded to the holder. The first is the default.
pub const FORWARDS: &[&str] = &["off", "on"];

/// The lease settings of a plan.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeaseWords<'a> {
    /// `lease`
    pub lease: Option<&'a str>,
    /// `lease_time`
    pub time: Option<Span>,
    /// `lease_drift`
    pub drift: Option<&'a str>,
    /// `lease_ranges`
    pub ranges: Option<u16>,
    /// `forward`
    pub forward: Option<&'a str>,
}

/// Validates these settings.
///
/// # Errors
/// Fails if a setting is invalid. The message names it and the valid values.
pub fn settings(words: LeaseWords<'_>) -> Result<LeaseSettings, String> {
    let default = LeaseSettings::default();
    let mode = match one_of("lease", words.lease, LEASES)? {
        "priority" => LeaseMode::Priority,
        "read" => LeaseMode::Read,
        _ => LeaseMode::Off,
    };
    let forward = if one_of("forward", words.forward, FORWARDS)? == "on" { Forward::On } else { Forward::Off };
    if forward == Forward::On && mode == LeaseMode::Off {
        return Err("forward = on needs a lease holder to forward to: choose lease = priority or lease = read".into());
    }
    let (least, most) = (Span::ms(MIN_LEASE_NS / 1_000_000), Span::ms(MAX_LEASE_NS / 1_000_000));
    let time = within("lease_time", words.time.unwrap_or(Span::ms(default.time_ns / 1_000_000)), least, most)?;
    let ranges = within("lease_ranges", words.ranges.unwrap_or(default.ranges), 1, MAX_RANGES)?;
    let drift_ppm = words.drift.map_or(Ok(default.drift_ppm), drift)?;
    Ok(LeaseSettings { mode, time_ns: time.nanos().0, drift_ppm, ranges, forward })
}

/// Parses a drift such as `0.1%` to parts per million.
fn drift(text: &str) -> Result<u32, String> {
    let percent = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    let most = f64::from(MAX_DRIFT_PPM) / 1e4;
    match percent {
        Some(percent) if (0.0..=most).contains(&percent) => Ok((percent * 1e4).round() as u32),
        Some(percent) => Err(format!("lease_drift = {percent} % is not between 0 and {most} %")),
        None => Err(format!("lease_drift = `{text}`: write a share such as 0.1%")),
    }
}

/// Formats a drift in the form `0.1%`.
pub fn drift_text(ppm: u32) -> String {
    format!("{}%", f64::from(ppm) / 1e4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_lease_settings() {
        let all = LeaseWords { lease: Some("read"), time: Some(Span::ms(500)), drift: Some("20%"), ranges: Some(4), forward: Some("on") };
        let expected = LeaseSettings { mode: LeaseMode::Read, time_ns: 500_000_000, drift_ppm: 200_000, ranges: 4, forward: Forward::On };
        assert_eq!(settings(all), Ok(expected));
        assert_eq!(settings(LeaseWords::default()), Ok(LeaseSettings::default()));
        assert_eq!((drift("0.1%"), drift_text(1_000).as_str()), (Ok(1_000), "0.1%"));
    }

    #[test]
    fn rejects_invalid_lease_settings() {
        for (words, part) in [
            (LeaseWords { lease: Some("raed"), ..LeaseWords::default() }, "did you mean `read`"),
            (LeaseWords { forward: Some("on"), ..LeaseWords::default() }, "needs a lease holder to forward to"),
            (LeaseWords { lease: Some("read"), time: Some(Span::ms(1)), ..LeaseWords::default() }, "lease_time = 1ms is not between"),
            (LeaseWords { lease: Some("read"), drift: Some("60%"), ..LeaseWords::default() }, "not between 0 and 50 %"),
            (LeaseWords { lease: Some("read"), drift: Some("0.1"), ..LeaseWords::default() }, "such as 0.1%"),
            (LeaseWords { lease: Some("read"), ranges: Some(0), ..LeaseWords::default() }, "lease_ranges = 0"),
        ] {
            let error = settings(words).unwrap_err();
            assert!(error.contains(part), "`{error}` does not say `{part}`");
        }
    }
}
