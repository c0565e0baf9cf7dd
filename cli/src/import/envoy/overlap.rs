//! What two conditions have in common, where one condition can say it.

use serde_json::{Map, Value, json};

/// The path that conditions ask for.
#[derive(Clone, Copy)]
struct Path<'a> {
    how: &'a str,
    value: &'a Value,
    is_sensitive: bool,
}

/// Two paths in common.
enum Common<'a> {
    Nothing,
    Path(Path<'a>),
}

/// How a condition can ask for a path; it has one of them.
pub(super) const SPECIFIERS: [&str; 6] = [
    "prefix",
    "path",
    "path_separated_prefix",
    "safe_regex",
    "path_match_policy",
    "connect_matcher",
];

/// The requests that both are for: `Ok(None)` where there are none, an error where one condition cannot say it.
pub fn both(
    first: &Map<String, Value>,
    second: &Map<String, Value>,
) -> Result<Option<Map<String, Value>>, ()> {
    let path = match common(Path::of(first).ok_or(())?, Path::of(second).ok_or(())?)? {
        Common::Nothing => return Ok(None),
        Common::Path(path) => path,
    };
    let mut both = first.clone();
    both.retain(|name, _| !is_of_path(name));
    both.insert(path.how.to_owned(), path.value.clone());
    if !path.is_sensitive {
        both.insert("case_sensitive".to_owned(), false.into());
    }
    for (name, value) in second.iter().filter(|(name, _)| !is_of_path(name)) {
        match (both.get_mut(name), value) {
            (Some(Value::Array(own)), Value::Array(more)) => own.extend(more.iter().cloned()),
            (Some(own), value) if own == value => {}
            (Some(_), _) => return Err(()),
            (None, value) => drop(both.insert(name.clone(), value.clone())),
        }
    }
    Ok(Some(both))
}

fn is_of_path(name: &str) -> bool {
    name == "case_sensitive" || SPECIFIERS.contains(&name)
}

impl<'a> Path<'a> {
    fn of(conditions: &'a Map<String, Value>) -> Option<Self> {
        let is_sensitive = conditions.get("case_sensitive") != Some(&json!(false));
        let mut all = SPECIFIERS
            .iter()
            .filter_map(|how| conditions.get(*how).map(|value| Self { how, value, is_sensitive }));
        all.next()
    }

    fn is_everything(self) -> bool {
        self.how == "prefix" && matches!(self.value.as_str(), Some("" | "/"))
    }

    /// Whether all requests for `other` are for this one, too: both are texts that are compared with case.
    fn holds(self, other: Self) -> bool {
        let (Some(own), Some(text)) = (self.value.as_str(), other.value.as_str()) else {
            return false;
        };
        match self.how {
            "prefix" => text.starts_with(own),
            "path" => other.how == "path" && text == own,
            _ => match text.strip_prefix(own) {
                Some("") => other.how != "prefix",
                Some(rest) => rest.starts_with('/'),
                None => false,
            },
        }
    }
}

fn common<'a>(first: Path<'a>, second: Path<'a>) -> Result<Common<'a>, ()> {
    if second.is_everything() {
        return Ok(Common::Path(first));
    }
    if first.is_everything() {
        return Ok(Common::Path(second));
    }
    let is_same = first.how == second.how && first.value == second.value;
    if is_same && first.is_sensitive == second.is_sensitive {
        return Ok(Common::Path(first));
    }
    // Nobody knows what an expression and something else have in common.
    let is_plain = |path: Path<'_>| path.value.is_string() && path.is_sensitive;
    if !is_plain(first) || !is_plain(second) {
        return Err(());
    }
    Ok(match (second.holds(first), first.holds(second)) {
        (true, _) => Common::Path(first),
        (_, true) => Common::Path(second),
        _ => Common::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(first: Value, second: Value, expected: Result<Option<Value>, ()>) {
        let map = |value: &Value| value.as_object().unwrap().clone();
        let found = both(&map(&first), &map(&second));
        assert_eq!(found.map(|own| own.map(Value::Object)), expected, "{first} {second}");
    }

    #[test]
    fn paths_in_common() {
        for (first, second, expected) in [
            (json!({"prefix": "/"}), json!({"path": "/a"}), Some(json!({"path": "/a"}))),
            (json!({"prefix": "/a"}), json!({"prefix": ""}), Some(json!({"prefix": "/a"}))),
            (json!({"prefix": "/a"}), json!({"prefix": "/a/b"}), Some(json!({"prefix": "/a/b"}))),
            (json!({"prefix": "/a"}), json!({"path": "/ab"}), Some(json!({"path": "/ab"}))),
            (json!({"prefix": "/a"}), json!({"prefix": "/b"}), None),
            (json!({"path": "/a"}), json!({"path": "/b"}), None),
            (json!({"path_separated_prefix": "/a"}), json!({"path": "/ab"}), None),
            (
                json!({"path_separated_prefix": "/a"}),
                json!({"path": "/a"}),
                Some(json!({"path": "/a"})),
            ),
            (
                json!({"path_separated_prefix": "/a"}),
                json!({"prefix": "/a"}),
                Some(json!({"path_separated_prefix": "/a"})),
            ),
            (
                json!({"path_separated_prefix": "/a"}),
                json!({"prefix": "/a/b"}),
                Some(json!({"prefix": "/a/b"})),
            ),
            (json!({"path_separated_prefix": "/a"}), json!({"prefix": "/ab"}), None),
            (
                json!({"prefix": "/a", "case_sensitive": false}),
                json!({"prefix": "/"}),
                Some(json!({"prefix": "/a", "case_sensitive": false})),
            ),
        ] {
            check(first.clone(), second.clone(), Ok(expected.clone()));
            check(second, first, Ok(expected));
        }
        let regex = json!({"safe_regex": {"regex": "/a.*"}});
        check(regex.clone(), regex.clone(), Ok(Some(regex.clone())));
        check(regex, json!({"prefix": "/a"}), Err(()));
        check(json!({"prefix": "/a", "case_sensitive": false}), json!({"prefix": "/A"}), Err(()));
        check(json!({}), json!({"prefix": "/"}), Err(()));
    }

    #[test]
    fn all_other_conditions_hold() {
        let with = |headers: Value| json!({"prefix": "/", "headers": headers});
        check(with(json!([1])), with(json!([2])), Ok(Some(with(json!([1, 2])))));
        check(json!({"prefix": "/"}), with(json!([2])), Ok(Some(with(json!([2])))));
        check(json!({"prefix": "/", "grpc": {}}), json!({"prefix": "/", "grpc": 1}), Err(()));
    }
}
