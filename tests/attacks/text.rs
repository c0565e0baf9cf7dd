//! Texts of the corpus as octets.

/// `text` as octets, one for each character: `\xff` in a sheet is the octet FF.
///
/// `{name}` becomes what `known` says of it, and `{x*1000}` a thousand `x`; other braces stay.
pub(crate) fn octets(text: &str, known: &dyn Fn(&str) -> Option<String>) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        push(&mut octets, &rest[..start]);
        rest = &rest[start + 1..];
        let inner = rest.find('}').map(|end| &rest[..end]).filter(|inner| !inner.contains('{'));
        let found = inner.and_then(|inner| known(inner).or_else(|| repeated(inner)));
        match (inner, found) {
            (Some(inner), Some(found)) => {
                push(&mut octets, &found);
                rest = &rest[inner.len() + 1..];
            }
            _ => octets.push(b'{'),
        }
    }
    push(&mut octets, rest);
    octets
}

/// `x*1000`.
fn repeated(inner: &str) -> Option<String> {
    let (text, times) = inner.rsplit_once('*')?;
    Some(text.repeat(times.parse().ok()?))
}

fn push(octets: &mut Vec<u8>, text: &str) {
    octets.extend(text.chars().map(|letter| {
        u8::try_from(u32::from(letter)).unwrap_or_else(|_| panic!("{letter:?} is no octet: {text}"))
    }));
}

/// `now`, `now+60`, `now-60`.
pub(crate) fn time(name: &str, now: u64) -> Option<String> {
    let rest = name.strip_prefix("now")?;
    let seconds = match rest.split_at_checked(1) {
        None => 0,
        Some((_, by)) => i64::from(by.parse::<u32>().ok()?),
    };
    let now = i64::try_from(now).unwrap();
    Some((if rest.starts_with('-') { now - seconds } else { now + seconds }).to_string())
}

/// Octets for people.
pub(crate) fn shown(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}
