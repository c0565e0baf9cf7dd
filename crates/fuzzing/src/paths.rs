//! Paths against templates and the other ways of a rule, by matchers that try every division of a path.

use arbitrary::{Arbitrary, Unstructured};
use jwt_gate::config::path_template::{PathTemplate, Piece, is_plain};
use jwt_gate::path;

/// A template, a path, and texts for the segments.
#[derive(Arbitrary, Debug)]
struct Input<'a> {
    template: &'a str,
    path: &'a [u8],
    text: &'a [u8],
}

/// The octets are a template, a path, and a text to put in.
pub fn run(octets: &[u8]) {
    let Ok(Input { template, path, text }) = Input::arbitrary_take_rest(Unstructured::new(octets))
    else {
        return;
    };
    check_clear(path);
    // Trying every division takes time that is exponential in the globs.
    if path.len() > 64 || template.len() > 64 {
        return;
    }
    let Ok(template) = PathTemplate::parse(template) else { return };
    let fills = path::fills(&template, path);
    assert_eq!(fills, naive(template.pieces(), path), "{template:?} {path:?}");
    let globs = template.pieces().iter().filter(|one| !matches!(one, Piece::Literal(_))).count();
    for glob in 0..=globs {
        let segment = path::segment(&template, glob, path);
        assert_eq!(segment.is_some(), fills && glob < globs);
        let Some(segment) = segment else { continue };
        assert!(segment.iter().all(|octet| is_plain(*octet) || *octet == b'/'));
        // Put back, it is the same path.
        let same = path::replaced(&template, &[(glob, segment.to_vec())], path);
        assert_eq!(same.as_deref(), Some(path));
        let other = path::replaced(&template, &[(glob, text.to_vec())], path).expect("it fills");
        assert_eq!(other.len() + segment.len(), path.len() + text.len());
    }
}

/// Whether the pieces can be divided over the path in any way at all.
fn naive(pieces: &[Piece], path: &[u8]) -> bool {
    let Some((piece, rest)) = pieces.split_first() else { return path.is_empty() };
    match piece {
        Piece::Literal(text) => {
            path.strip_prefix(text.as_bytes()).is_some_and(|path| naive(rest, path))
        }
        Piece::Rest => (0..=path.len()).any(|end| {
            let plain = path[..end].iter().all(|octet| is_plain(*octet) || *octet == b'/');
            plain && naive(rest, &path[end..])
        }),
        Piece::Segment => (1..=path.len()).any(|end| {
            path[..end].iter().all(|octet| is_plain(*octet)) && naive(rest, &path[end..])
        }),
    }
}

/// What a clear path promises: every way to normalise it that servers know leaves it as it is.
fn check_clear(path: &[u8]) {
    let decoded = path::decoded(path);
    if path::is_clear(path) {
        assert!(path.is_empty() || path == b"*" || path.starts_with(b"/"));
        let segments = |path: &[u8]| path.iter().filter(|octet| **octet == b'/').count();
        assert_eq!(segments(path), segments(&decoded));
        let text = str::from_utf8(&decoded).expect("clear paths are UTF-8");
        assert!(!text.contains("//") && !text.contains([';', '\\', '\0', '?', '#', '%']));
        assert!(text.split('/').all(|segment| segment != "." && segment != ".."));
        // A second decoding changes nothing, and neither does a second normalisation.
        assert_eq!(path::decoded(&decoded), decoded);
        let plain = path::plain(path);
        assert!(path::is_clear(&plain));
        assert_eq!(path::decoded(&plain), decoded);
        assert_eq!(path::plain(&plain), plain);
    }
}
