//! Regular expressions: RE2's dialect as far as it means the same here, in linear time.
//!
//! What another engine reads differently is refused, never reinterpreted: an expression that means
//! something else may leave open what it is meant to protect.

use regex_lite::{Regex, RegexBuilder};

/// The largest program, in octets: a hundred instructions or so. The time for a text grows with
/// both, and the text is a client's.
const MAX_PROGRAM: usize = 4 * 1024;

/// Compiles `text` into an expression for whole texts, as Envoy uses them; or says why not.
pub fn compile(text: &str) -> Result<Regex, String> {
    refuse_other_dialects(text)?;
    let build = |text: &str| {
        RegexBuilder::new(text).size_limit(MAX_PROGRAM).build().map_err(|error| error.to_string())
    };
    // On its own first: `a)(b` must not become valid by being wrapped.
    build(text)?;
    build(&format!("^(?:{text})$"))
}

fn refuse_other_dialects(text: &str) -> Result<(), String> {
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
        match letter {
            '\\' => {
                // RE2 reads `\<` as `<`; here it would be the start of a word.
                if rest.starts_with(['<', '>']) || rest.starts_with("b{") {
                    return Err("`\\<`, `\\>` and `\\b{…}` are not RE2's".to_owned());
                }
                let escaped = rest.chars().next().map_or(0, char::len_utf8);
                rest = rest.get(escaped..).unwrap_or_default();
            }
            '(' if rest.starts_with('?') => {
                let flags = rest.get(1..).unwrap_or_default();
                let flags = flags.split([':', ')', '<']).next().unwrap_or_default();
                if flags != "P" && !flags.chars().all(|flag| "imsU-".contains(flag)) {
                    return Err("the flags of RE2 are `i`, `m`, `s` and `U`".to_owned());
                }
            }
            '{' => {
                // RE2 reads `a{ 2 }` as text; here it would be a count.
                let count = rest.split('}').next().unwrap_or_default();
                if count.contains(char::is_whitespace) {
                    return Err("a count must not hold white space".to_owned());
                }
            }
            _ => {}
        }
    }
    // RE2 folds the case of all letters; here only that of ASCII.
    if text.contains("(?i") && !text.is_ascii() {
        return Err("the flag `i` is for ASCII only".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_texts_only() {
        let matches = |regex: &str, text: &str| compile(regex).unwrap().is_match(text);
        assert!(matches("a|bc", "bc"));
        assert!(!matches("a|bc", "abc"));
        assert!(!matches("a$|^b", "a\n"));
        assert!(matches("(?i)a+", "AaA"));
        assert!(matches(r"(?P<name>a)\.\(\?x", "a.(?x"));
        assert!(matches("(?:a|b)(?s:.)", "a\n"));
    }

    #[test]
    fn what_means_something_else_is_refused() {
        for regex in [
            "a)(b",
            "(",
            "[",
            r"\<a",
            r"a\>",
            r"\b{start}a",
            "(?x) /a # b",
            "(?ix)a",
            "(?R)a",
            "(?u)a",
            "(?x:a)",
            r"\pL",
            r"\C",
            &format!("{}a{}", "(".repeat(60), ")".repeat(60)),
            "([a-z0-9/]{1,900})*/x",
            "/(.*a){60}b",
            "/a{ 2 }",
            "/a{2, 3}",
            "(?i)/\u{e9}",
        ] {
            assert!(compile(regex).is_err(), "{regex}");
        }
    }

    #[test]
    fn time_is_linear() {
        assert!(!compile("(a*)*b").unwrap().is_match(&"a".repeat(5_000)));
    }
}
