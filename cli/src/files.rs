//! Files: read with useful words when they cannot be.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use crate::output::Trouble;

/// Largest file that is read: configurations have a few kilobytes.
const MAX_OCTETS: u64 = 16 * 1024 * 1024;

/// What is in a file, or comes from standard input for `-`.
pub fn read(path: &Path) -> Result<Vec<u8>, Trouble> {
    let name = name(path);
    let mut octets = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => io::stdin().take(MAX_OCTETS.saturating_add(1)).read_to_end(&mut octets),
        false => fs::File::open(path)
            .and_then(|file| file.take(MAX_OCTETS.saturating_add(1)).read_to_end(&mut octets)),
    };
    read.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Trouble::new(format!("{name}: there is no such file")),
        io::ErrorKind::IsADirectory => {
            Trouble::new(format!("{name}: is a directory; name a file in it"))
        }
        _ => Trouble::new(format!("{name}: cannot be read: {error}")),
    })?;
    if u64::try_from(octets.len()).is_ok_and(|octets| octets > MAX_OCTETS) {
        return Err(Trouble::new(format!("{name}: is larger than {MAX_OCTETS} octets")));
    }
    if octets.trim_ascii().is_empty() {
        return Err(Trouble::new(format!("{name}: is empty")));
    }
    Ok(octets)
}

/// The same, where it must be text.
pub fn read_text(path: &Path) -> Result<String, Trouble> {
    let octets = read(path)?;
    let name = name(path);
    if octets.contains(&0) {
        return Err(Trouble::new(format!("{name}: is not text")));
    }
    let text = String::from_utf8(octets);
    text.map_err(|_| Trouble::new(format!("{name}: is not text in UTF-8")))
}

/// What a file is called.
pub fn name(path: &Path) -> String {
    match path.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    }
}
