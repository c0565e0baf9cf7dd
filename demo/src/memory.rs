//! The linear memory of the VMs inside an Envoy: everything that a gate has, stack and constants
//! included, and it never shrinks.
//!
//! V8 reserves gigabytes of addresses for it and makes the beginning usable, so `/proc/PID/smaps` shows its
//! size: a writable mapping with a forbidden one right behind it that make a whole number of gibibytes
//! together. (Resident memory of the process would have Envoy's own buffers in it, and a count inside the
//! module would need a module that is not the product.)

use std::collections::BTreeMap;
use std::fs;

use crate::envoy::Envoy;

/// A VM's linear memory.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Linear {
    /// How large it is.
    pub octets: u64,
    /// How much of it is in memory.
    pub resident: u64,
}

/// The linear memories of a process, by where they begin.
/// An error tells why they are not to be found.
pub fn linear_memories(envoy: &Envoy) -> Result<BTreeMap<u64, Linear>, String> {
    let file = format!("/proc/{}/smaps", envoy.pid());
    let text = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
    Ok(parse_smaps(&text))
}

fn parse_smaps(text: &str) -> BTreeMap<u64, Linear> {
    const GIBIBYTE: u64 = 1 << 30;
    let mut found = BTreeMap::new();
    // The mapping before, if it is writable: its range and what is resident of it.
    let mut writable: Option<(u64, u64, u64)> = None;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(first), second) = (words.next(), words.next().unwrap_or_default()) else {
            continue;
        };
        if first == "Rss:" {
            if let Some((.., resident)) = &mut writable {
                *resident = second.parse::<u64>().unwrap_or_default() * 1024;
            }
        } else if let Some((start, end)) = range(first) {
            if let Some((memory, until, resident)) = writable.take()
                && second == "---p"
                && until == start
                && end - memory >= 4 * GIBIBYTE
                && (end - memory).is_multiple_of(GIBIBYTE)
            {
                found.insert(memory, Linear { octets: until - memory, resident });
            }
            writable = (second == "rw-p").then_some((start, end, 0));
        }
    }
    found
}

/// The range in the first line of a mapping: `7fdeb55a0000-7fdeb56d0000`.
fn range(word: &str) -> Option<(u64, u64)> {
    let (start, end) = word.split_once('-')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    Some((number(start)?, number(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_memories_are_found() {
        let smaps = "\
558dd7200000-558dd73e3000 rw-p 00000000 00:00 0\nSize: 1932 kB\nRss: 90 kB\n\
7fdeb55a0000-7fdeb56d0000 rw-p 00000000 00:00 0\nSize: 1216 kB\nRss: 84 kB\n\
7fdeb56d0000-7fe0b55a0000 ---p 00000000 00:00 0\nSize: 8387392 kB\nRss: 0 kB\n\
7fe0b55ac000-7fe0b55bc000 r--p 00000000 00:00 0\nSize: 64 kB\nRss: 64 kB\n";
        let found = parse_smaps(smaps);
        assert_eq!(found.len(), 1);
        let linear = found[&0x7fde_b55a_0000];
        assert_eq!((linear.octets, linear.resident), (1216 * 1024, 84 * 1024));
    }
}
