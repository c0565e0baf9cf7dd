//! Times as people write them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, by the clock of this machine.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `now`, a number of seconds since 1970, `2026-01-31T12:00:00Z`, or a time from now on such as `+1h`,
/// `-90s` or `+1d12h`.
pub fn parse(text: &str, now: u64) -> Option<u64> {
    match text {
        "now" => Some(now),
        _ if text.starts_with('+') => now.checked_add(span(text.get(1..)?)?),
        _ if text.starts_with('-') => now.checked_sub(span(text.get(1..)?)?),
        _ => text.parse().ok().or_else(|| date(text)),
    }
}

/// A time from now on without its sign: `1d12h`, `30m`, `90s` or `90`.
pub fn span(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let (mut sum, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let (number, behind) = rest.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        let unit = match behind.chars().next() {
            None | Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            _ => return None,
        };
        sum = sum.checked_add(number.checked_mul(unit)?)?;
        rest = behind.get(1..).unwrap_or_default();
    }
    Some(sum)
}

/// RFC 3339 in UTC, without fractions.
fn date(text: &str) -> Option<u64> {
    let bare = text.strip_suffix(['Z', 'z'])?;
    let (day, time) = bare.split_once(['T', 't', ' '])?;
    let numbers = |text: &str, separator: char| -> Option<Vec<u64>> {
        text.split(separator).map(|part| part.parse().ok()).collect()
    };
    let (day, time) = (numbers(day, '-')?, numbers(time, ':')?);
    let ([year, month, day], [hour, minute, second]) = (day.as_slice(), time.as_slice()) else {
        return None;
    };
    let is_day = (1970..=9999).contains(year) && (1..=12).contains(month) && (1..=31).contains(day);
    if !is_day || *hour > 23 || *minute > 59 || *second > 60 {
        return None;
    }
    let days = days(*year, *month, *day)?;
    let of_day =
        hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(*second)?;
    days.checked_mul(86_400)?.checked_add(of_day)
}

/// Days since 1970 of a day of the Gregorian calendar; years begin in March, so that the odd day is
/// their last.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month > 2 { year } else { year.checked_sub(1)? };
    let month = if month > 2 { month.checked_sub(3)? } else { month.checked_add(9)? };
    let of_year = 153_u64.checked_mul(month)?.checked_add(2)? / 5;
    let leap = (year / 4).checked_sub(year / 100)?.checked_add(year / 400)?;
    let all = year.checked_mul(365)?.checked_add(leap)?.checked_add(of_year)?.checked_add(day)?;
    // 1 March of the year 0 to 1 January 1970, and days count from one.
    all.checked_sub(719_469)
}

/// `2026-01-31T12:00:00Z`; the number where it is beyond the year 9999.
pub fn show(seconds: u64) -> String {
    let (of_day, mut left) = (seconds % 86_400, seconds / 86_400);
    let length = |year: u64| {
        if days(year, 3, 1) == days(year, 2, 29).map(|day| day.saturating_add(1)) {
            366
        } else {
            365
        }
    };
    let mut year = 1970_u64;
    while year < 10_000 && left >= length(year) {
        left = left.saturating_sub(length(year));
        year = year.saturating_add(1);
    }
    if year >= 10_000 {
        return seconds.to_string();
    }
    let start = days(year, 1, 1).unwrap_or_default();
    let month = (1..=12_u64).rev().find(|month| {
        days(year, *month, 1).is_some_and(|first| first.saturating_sub(start) <= left)
    });
    let month = month.unwrap_or(1);
    let first = days(year, month, 1).unwrap_or_default().saturating_sub(start);
    let day = left.saturating_sub(first).saturating_add(1);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A time with how far it is from `now`.
pub fn beside(seconds: u64, now: u64) -> String {
    let far = match seconds.checked_sub(now) {
        Some(0) => "now".to_owned(),
        Some(ahead) => format!("in {}", long(ahead)),
        None => format!("{} ago", long(now.saturating_sub(seconds))),
    };
    format!("{} ({far})", show(seconds))
}

/// A span of time, roughly.
pub fn long(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [
            ("now", Some(1000)),
            ("+1h", Some(4600)),
            ("-10s", Some(990)),
            ("+1d12h", Some(130_600)),
            ("+5", Some(1005)),
            ("12345", Some(12345)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:01Z", Some(951_825_601)),
            ("2027-01-15T08:00:00Z", Some(1_800_000_000)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799)),
            ("-2000s", None),
            ("+1y", None),
            ("+", None),
            ("2027-13-01T00:00:00Z", None),
            ("2027-01-15T08:00:00", None),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(parse(text, 1000), expected, "{text}");
        }
    }

    #[test]
    fn shown_times_are_read_again() {
        for seconds in (0..3000_u64).map(|step| step * 84_467_341).chain([951_782_400, 951_868_799])
        {
            assert_eq!(parse(&show(seconds), 0), Some(seconds), "{}", show(seconds));
        }
        assert_eq!(show(1_800_000_000), "2027-01-15T08:00:00Z");
        assert_eq!(show(u64::MAX), u64::MAX.to_string());
        assert_eq!(beside(940, 1000), "1970-01-01T00:15:40Z (60 s ago)");
    }
}
