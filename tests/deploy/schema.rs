//! A validator for the notation of `tests/deploy/kinds.yaml`.

use serde_json::Value;

/// What is wrong with `value`, each with its path.
pub fn errors(schema: &Value, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    check(schema, value, "", &mut errors);
    errors
}

fn check(schema: &Value, value: &Value, path: &str, errors: &mut Vec<String>) {
    let mut complain = |what: String| errors.push(format!("{path}: {what}"));
    match (schema, value) {
        (Value::Object(fields), Value::Object(members)) => {
            for name in fields.keys().filter_map(|name| name.strip_suffix('!')) {
                if !members.contains_key(name) {
                    complain(format!("`{name}` is required"));
                }
            }
            for (name, member) in members {
                let field = [name.clone(), format!("{name}!"), "*".to_owned()];
                match field.iter().find_map(|name| fields.get(name)) {
                    Some(schema) => check(schema, member, &format!("{path}.{name}"), errors),
                    None => errors.push(format!("{path}: `{name}` is unknown")),
                }
            }
        }
        (Value::Array(schema), Value::Array(elements)) => {
            for (index, element) in elements.iter().enumerate() {
                check(&schema[0], element, &format!("{path}[{index}]"), errors);
            }
        }
        (Value::String(leaf), value) => {
            let fits = match (leaf.as_str(), value) {
                ("any", _) => true,
                ("text", value) => value.is_string(),
                ("number", value) => value.is_u64(),
                ("flag", value) => value.is_boolean(),
                (words, Value::String(text)) => {
                    match words.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
                        Some(pattern) => regex_lite::Regex::new(pattern).unwrap().is_match(text),
                        None => words.split('|').any(|word| word == text),
                    }
                }
                _ => false,
            };
            if !fits {
                complain(format!("{value} is not {leaf}"));
            }
        }
        _ => complain(format!("{value} has the wrong type")),
    }
}

#[test]
fn mistakes_are_found() {
    let schema = serde_json::json!({
        "a!": "text", "b": ["number"], "c": "X|Y", "d": { "*": "flag" }, "e": "/^[ab]+$/",
    });
    let value = serde_json::json!({ "a": "t", "b": [1], "c": "Y", "d": { "z": true }, "e": "ab" });
    assert_eq!(errors(&schema, &value), [""; 0]);
    let value = serde_json::json!({
        "b": ["1"], "c": "Z", "d": { "z": 1 }, "e": "abc", "f": null,
    });
    assert_eq!(
        errors(&schema, &value),
        [
            ": `a` is required",
            ".b[0]: \"1\" is not number",
            ".c: \"Z\" is not X|Y",
            ".d.z: 1 is not flag",
            ".e: \"abc\" is not /^[ab]+$/",
            ": `f` is unknown",
        ]
    );
    assert_eq!(errors(&schema, &serde_json::json!([])), [": [] has the wrong type"]);
}
