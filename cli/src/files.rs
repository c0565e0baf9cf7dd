//! Files: read with useful words when they cannot be; written so that secrets stay secret.

use std::fs;
use std::io::{self, Read as _, Write as _};
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

/// Who may read what is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Readers {
    /// The owner: it is secret.
    Owner,
    Everybody,
}

/// Writes a file that is not there yet, or, with `force`, in place of what is.
pub fn write(path: &Path, text: &str, readers: Readers, force: bool) -> Result<(), Trouble> {
    let name = path.display();
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(match readers {
            Readers::Owner => 0o600,
            Readers::Everybody => 0o644,
        });
    }
    #[cfg(not(unix))]
    let _ = readers;
    if force && fs::symlink_metadata(path).is_ok_and(|found| found.is_file() || found.is_symlink())
    {
        // A new file: one that is there keeps its mode, and a link would lead elsewhere.
        fs::remove_file(path)
            .map_err(|error| Trouble::new(format!("{name}: cannot be replaced: {error}")))?;
    }
    let file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Trouble::new(format!("{name}: is there already; --force replaces it"))
        }
        io::ErrorKind::NotFound => Trouble::new(format!("{name}: there is no such folder")),
        _ => Trouble::new(format!("{name}: cannot be written: {error}")),
    });
    file.and_then(|mut file| {
        file.write_all(text.as_bytes())
            .map_err(|error| Trouble::new(format!("{name}: cannot be written: {error}")))
    })
}
