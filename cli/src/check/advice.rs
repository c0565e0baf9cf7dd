//! What to do about a mistake: the field that was probably meant, where it belongs, what it expects.

use jwt_gate::config::reference::Field;

use crate::schema::{Shape, lookup, path_of, reference, shapes, text};
use crate::tree::snake_case;

/// Advice about what the reader said of a path.
pub fn of(path: &str, message: &str) -> Option<String> {
    if let Some(known) = message.strip_prefix("unknown field; expected ") {
        let (holder, name) = split(path);
        let known = known.strip_prefix("one of: ").unwrap_or_default().split(", ");
        let known = known.filter(|known| !known.is_empty());
        return nearest(&name, known)
            .map(|known| format!("did you mean `{known}`?"))
            .or_else(|| elsewhere(&holder, &name));
    }
    let found = lookup::at(path)?;
    // What is missing is a field of the object; what is wrong is the field itself.
    let missing = message.strip_prefix('`').and_then(|rest| rest.split_once("` is required"));
    match (missing, found.object, found.field) {
        (Some((name, "")), Some(shape), _) => {
            shape.object.field(name).map(|field| expects(&shape, field))
        }
        (None, _, Some((shape, field))) if is_about_its_form(message) => {
            Some(expects(&shape, field))
        }
        _ => None,
    }
}

fn is_about_its_form(message: &str) -> bool {
    message.starts_with("expected ") || message.starts_with("must ")
}

fn expects(shape: &Shape, field: &'static Field) -> String {
    let mut told =
        format!("`{}` takes {}", field.name, reference::plain_kind(&field.kind, field.name));
    let about = text(field.meaning);
    if !about.is_empty() {
        told.push_str(": ");
        told.push_str(&about);
    }
    let anchor = shape.name().to_ascii_lowercase();
    format!("{told} (docs/reference.md#{anchor})")
}

/// The object's path, and the name in it.
fn split(path: &str) -> (String, String) {
    if let Some((holder, name)) = path.strip_suffix("\"]").and_then(|path| path.rsplit_once("[\""))
    {
        return (holder.to_owned(), name.to_owned());
    }
    match path.rsplit_once('.') {
        Some((holder, name)) => (holder.to_owned(), name.to_owned()),
        None => (String::new(), path.to_owned()),
    }
}

/// The known name that is most like it, if one is like it at all.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = snake_case(name).replace(['-', ' '], "_");
    let most = (name.chars().count() / 3).max(1);
    let distances = known.map(|known| (distance(&name, known), known));
    distances.filter(|(distance, _)| *distance <= most).min().map(|(_, known)| known)
}

/// Where a field of this name stands.
fn elsewhere(holder: &str, name: &str) -> Option<String> {
    let name = snake_case(name);
    let all = shapes();
    let own = lookup::at(holder).and_then(|found| found.object).map(|shape| shape.name());
    let places: Vec<_> = all
        .iter()
        .filter(|shape| !shape.is_part() && Some(shape.name()) != own)
        .filter(|shape| shape.fields().any(|field| field.name == name && field.refused.is_none()))
        .map(|shape| match path_of(shape, &all).as_str() {
            "" => format!("at the top as `{name}`"),
            path => format!("as `{path}.{name}`"),
        })
        .collect();
    match places.as_slice() {
        [] => None,
        [one] => Some(format!("a field of this name stands {one}")),
        [first, .., last] if places.len() <= 3 => {
            let middle: String = places
                .get(1..places.len().saturating_sub(1))?
                .iter()
                .map(|place| format!(", {place}"))
                .collect();
            Some(format!("fields of this name stand {first}{middle} and {last}"))
        }
        _ => None,
    }
}

/// How many letters must be put in, taken out, replaced, or exchanged with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<_>, Vec<_>) = (one.chars().collect(), other.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i.saturating_add(1)];
        for (j, b) in other.iter().enumerate() {
            let cell = |rows_up: usize, back: usize| -> Option<usize> {
                let column = j.saturating_add(1).checked_sub(back)?;
                let above = rows.len().checked_sub(rows_up)?;
                rows.get(above)?.get(column).copied()
            };
            let replaced = cell(1, 1).map(|cost| cost.saturating_add(usize::from(a != b)));
            let taken = cell(1, 0).map(|cost| cost.saturating_add(1));
            let put = row.get(j).map(|cost| cost.saturating_add(1));
            let is_swap = i > 0
                && j > 0
                && one.get(i.saturating_sub(1)) == Some(b)
                && other.get(j.saturating_sub(1)) == Some(a);
            let swapped =
                if is_swap { cell(2, 2).map(|cost| cost.saturating_add(1)) } else { None };
            let least = [replaced, taken, put, swapped].into_iter().flatten().min();
            row.push(least.unwrap_or_default());
        }
        rows.push(row);
    }
    rows.last().and_then(|row| row.last()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (one, other, expected) in [
            ("issuer", "issuer", 0),
            ("isuer", "issuer", 1),
            ("isseur", "issuer", 1),
            ("isusers", "issuers", 1),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("ab", "ba", 1),
            ("müll", "mull", 1),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn advice() {
        let unknown = "unknown field; expected one of: issuer, audiences, remote_jwks";
        for (path, message, told) in [
            ("providers.a.isuer", unknown, Some("did you mean `issuer`?")),
            ("providers.a.remoteJwk", unknown, Some("did you mean `remote_jwks`?")),
            ("providers.a[\"remote-jwks\"]", unknown, Some("did you mean `remote_jwks`?")),
            ("providers.a.zz", unknown, None),
            (
                "audiences",
                "unknown field; expected one of: rules",
                Some(
                    "fields of this name stand as `providers.NAME.audiences` and as \
                     `default_requirement.provider_and_audiences.audiences`",
                ),
            ),
            (
                "providers.a.bypassCorsPreflight",
                unknown,
                Some("a field of this name stands at the top as `bypass_cors_preflight`"),
            ),
            ("rules[0].requires.allow_missing.a", "unknown field; expected none", None),
            ("providers.a", "`issuer` and `issuers` exclude each other", None),
        ] {
            assert_eq!(of(path, message).as_deref(), told, "{path}");
        }
        let told = of("providers.a.forward", "expected true or false, found a number").unwrap();
        assert!(told.starts_with("`forward` takes true or false: Whether the token"), "{told}");
        assert!(told.ends_with("(docs/reference.md#jwtprovider)"), "{told}");
        let told = of("rules[3]", "`match` is required").unwrap();
        assert!(
            told.starts_with("`match` takes an object (RouteMatch): Which requests."),
            "{told}"
        );
    }
}
