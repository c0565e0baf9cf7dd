//! JSON's members and depth, by a scanner that shares nothing with the gate's parser.

use std::collections::BTreeSet;

/// Whether no object of a well-formed text names a member twice, and nothing nests deeper than `most`.
pub fn is_strict(text: &str, most: usize) -> bool {
    // Of each object or list that is open: the names of its members so far.
    let mut open: Vec<BTreeSet<String>> = Vec::new();
    let mut letters = text.char_indices().peekable();
    while let Some((start, letter)) = letters.next() {
        match letter {
            '{' | '[' => open.push(BTreeSet::new()),
            '}' | ']' => {
                open.pop();
            }
            '"' => {
                let mut end = start;
                while let Some((at, letter)) = letters.next() {
                    match letter {
                        '\\' => {
                            letters.next();
                        }
                        '"' => {
                            end = at;
                            break;
                        }
                        _ => {}
                    }
                }
                let rest = text[end + 1..].trim_start_matches([' ', '\t', '\n', '\r']);
                if rest.starts_with(':') {
                    let name: String = serde_json::from_str(&text[start..=end]).expect("a string");
                    if !open.last_mut().expect("within an object").insert(name) {
                        return false;
                    }
                }
            }
            _ => {}
        }
        if open.len() > most {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_depth() {
        for (text, most, expected) in [
            (r#"{"a":1,"b":{"a":"a"},"c":["a","a"]}"#, 2, true),
            (r#"{"a":1,"\u0061" : 2}"#, 9, false),
            (r#"[{"a":1},{"a":1}]"#, 2, true),
            (r#"{"a":"\"a\":1","\"":1}"#, 1, true),
            (r#"{"b":{"a":1,"a":1}}"#, 9, false),
            ("[[[]]]", 3, true),
            ("[[[]]]", 2, false),
        ] {
            assert_eq!(is_strict(text, most), expected, "{text}");
        }
    }
}
