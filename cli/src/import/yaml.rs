//! Values as YAML that people read and change.

use serde_json::Value;

/// Documents, one behind the other.
pub fn documents(all: &[Value]) -> String {
    all.iter().map(document).collect::<Vec<_>>().join("---\n")
}

fn document(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text
}

/// Writes a value that begins a line.
fn write(value: &Value, indent: usize, text: &mut String) {
    let spaces = " ".repeat(indent);
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                text.push_str(&format!("{spaces}{}:", word(name)));
                below(value, indent.saturating_add(2), text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut inner = String::new();
                write(item, indent.saturating_add(2), &mut inner);
                // The first line stands behind the dash.
                text.push_str(&format!("{spaces}- {}", inner.trim_start_matches(' ')));
            }
        }
        other => text.push_str(&format!("{spaces}{}\n", scalar(other))),
    }
}

/// Writes a value behind a name.
fn below(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            text.push('\n');
            write(value, indent, text);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            write(value, indent.saturating_sub(2), text);
        }
        other => text.push_str(&format!(" {}\n", scalar(other))),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => word(text),
        // JSON, which YAML reads: also empty objects and lists.
        other => other.to_string(),
    }
}

/// A text, in quotes wherever some reader of YAML might see something else in it.
fn word(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-./".contains(letter))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Tree, yaml};
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_again() {
        let all = [
            json!({ "a": { "b": [1, "x", { "c": true, "d": [] }, [2, [3]], {}] }, "e": null, "f": "yes" }),
            json!({ "on": "no", "t": "10:30", "u": "a: b # c", "v": "", "w": "1.5", "x": "ä\n\"", "-": "- a" }),
            json!([[1], { "a": [] }]),
        ];
        let text = documents(&all);
        let read: Vec<_> = yaml::parse(&text).unwrap().iter().map(Tree::to_value).collect();
        assert_eq!(read, all, "{text}");
    }
}
