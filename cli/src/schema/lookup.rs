//! What stands at a path of a configuration: which field, in which object.

use jwt_gate::config::reference::{Field, Kind, root};

use crate::schema::{Shape, shapes_in};

/// What a path leads to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// The last field on the way, and the object that has it.
    pub field: Option<(Shape, &'static Field)>,
    /// The object that stands there, where it is one.
    pub object: Option<Shape>,
}

/// Looks it up; none where no such field is.
pub fn at(path: &str) -> Option<Found> {
    let (mut field, mut here) = (None, Here::Object(Shape::whole(root())));
    for step in steps(path) {
        if let Step::Name(name) = step
            && let Some(shape) = here.object()
        {
            let found = shape.fields().find(|own| own.name == name || own.camel_case() == name)?;
            field = Some((shape, found));
            here = Here::Value(&found.kind, found.name);
            continue;
        }
        here = here.inside(step)?;
    }
    Some(Found { field, object: here.object() })
}

#[derive(Clone, Copy)]
enum Here {
    Object(Shape),
    Value(&'static Kind, &'static str),
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Index,
    Name(&'a str),
}

impl Here {
    /// The object that stands here, also one in place of a list of one.
    fn object(self) -> Option<Shape> {
        match self {
            Self::Object(shape) => Some(shape),
            Self::Value(Kind::List(item, _), name) => Self::Value(item, name).object(),
            Self::Value(kind @ (Kind::Fields(_) | Kind::Part(..) | Kind::Either(_)), name) => {
                shapes_in(kind, name).into_iter().next()
            }
            Self::Value(..) => None,
        }
    }

    /// What is in a list, or in an object whose names are data.
    fn inside(self, step: Step<'_>) -> Option<Self> {
        match (self, step) {
            (Self::Value(Kind::Array(item, _) | Kind::List(item, _), name), Step::Index)
            | (Self::Value(Kind::Map(item, _), name), Step::Name(_)) => {
                Some(Self::Value(item, name))
            }
            (Self::Value(Kind::Either(kinds), name), _) => {
                kinds.iter().find_map(|kind| Self::Value(kind, name).inside(step))
            }
            _ => None,
        }
    }
}

/// The steps of a path as the reader writes it.
fn steps(path: &str) -> Vec<Step<'_>> {
    let (mut steps, mut rest) = (Vec::new(), path);
    while !rest.is_empty() {
        let (step, behind) = if let Some(quoted) = rest.strip_prefix("[\"") {
            let (name, behind) = quoted.split_once("\"]").unwrap_or((quoted, ""));
            (Step::Name(name), behind)
        } else if rest.starts_with('[') {
            (Step::Index, rest.split_once(']').map_or("", |(_, behind)| behind))
        } else {
            let name = rest.strip_prefix('.').unwrap_or(rest);
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (name, behind) = name.split_at(end);
            (Step::Name(name), behind)
        };
        steps.push(step);
        rest = behind;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn found(path: &str) -> (Option<&'static str>, Option<String>) {
        let found = at(path).unwrap();
        (found.field.map(|(_, field)| field.name), found.object.map(|shape| shape.name()))
    }

    #[test]
    fn paths_lead_to_fields() {
        assert_eq!(found("").1.as_deref(), Some("JwtAuthentication"));
        for (path, field, object) in [
            ("providers", "providers", None),
            ("providers.a", "providers", Some("JwtProvider")),
            ("providers[\"a.b\"].remoteJwks", "remote_jwks", Some("RemoteJwks")),
            ("providers.a.remote_jwks.http_uri.timeout", "timeout", None),
            ("providers.a.from_headers[0]", "from_headers", Some("JwtHeader")),
            ("providers.a.from_headers.name", "name", None),
            ("providers.a.audiences[3]", "audiences", None),
            ("shadow.rules[1].match", "match", Some("RouteMatch")),
            ("shadow", "shadow", Some("Shadow")),
            (
                "rules[0].requires.requires_any.requirements[1].requires_all",
                "requires_all",
                Some("JwtRequirementAndList"),
            ),
            ("rules[0].authorization.not.number_match[0].at_most", "at_most", None),
            ("rules[0].match.route_name.exact", "exact", None),
        ] {
            assert_eq!(found(path), (Some(field), object.map(str::to_owned)), "{path}");
        }
        for path in ["a", "providers.a.b", "shadow.stat_prefix", "rules[0][0]", "mode.a"] {
            assert!(at(path).is_none(), "{path}");
        }
    }
}
