//! Patterns of issuers, such as `https://login.example/{tenant}/v2.0`.
//!
//! A variable stands for 1 to 128 letters, digits, `-`, `.`, `_` and `~`, but not for `.` or `..`. What
//! follows a variable begins with something else, so where a variable ends is never in question: a
//! text is matched from the left in one pass.

/// Most variables in a pattern.
const MAX_VARIABLES: usize = 4;
/// Longest name of a variable.
const MAX_NAME: usize = 32;
/// Longest text that a variable stands for, in octets.
const MAX_VALUE: usize = 128;

/// A pattern of issuers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuerPattern {
    start: String,
    variables: Vec<Variable>,
}

/// A variable, and the literal text behind it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Variable {
    name: String,
    rest: String,
}

impl IssuerPattern {
    /// Reads a pattern, or says what is wrong with it. Without variables it stands for itself.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if !text.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err("expected visible ASCII letters");
        }
        let mut parts = text.split('{');
        let start = literal(parts.next().unwrap_or_default())?;
        let mut variables: Vec<Variable> = Vec::new();
        for part in parts {
            // Not the end yet: two variables side by side could be told apart in many ways.
            if variables.last().is_some_and(|before| before.rest.is_empty()) {
                return Err("between two variables there must be text");
            }
            let (name, rest) = part.split_once('}').ok_or("a `{` has no `}`")?;
            let rest = literal(rest)?;
            if !is_name(name) {
                return Err(
                    "a variable's name has 1 to 32 letters, digits and `_`, a letter first",
                );
            }
            if variables.len() >= MAX_VARIABLES {
                return Err("a pattern has at most 4 variables");
            }
            if variables.iter().any(|variable| variable.name == name) {
                return Err("two variables have the same name");
            }
            if rest.bytes().next().is_some_and(is_value_octet) {
                return Err(
                    "text behind a variable must not begin with what the variable may hold: \
                            a letter, a digit, `-`, `.`, `_` or `~`",
                );
            }
            variables.push(Variable { name: name.to_owned(), rest });
        }
        Ok(Self { start, variables })
    }

    /// Reads a pattern by which issuers are chosen: an address whose scheme and host are the same for
    /// all. Were the host variable, whoever has a host could be an issuer.
    pub fn parse_address(text: &str) -> Result<Self, &'static str> {
        let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let address = bare.and_then(|bare| bare.split_once('/'));
        let Some((host, _)) = address.filter(|(host, _)| !host.contains(['{', '}'])) else {
            return Err(
                "expected an address such as https://issuer.example/{tenant}, with variables \
                        in its path only: were the host variable, anybody could be an issuer",
            );
        };
        if host.is_empty() || host.contains(['@', '?', '#', '\\']) {
            return Err("expected an address with a host, and without a user name");
        }
        let pattern = Self::parse(text)?;
        if pattern.variables.is_empty() {
            return Err("has no variable such as {tenant}: without one it is an `issuer`");
        }
        Ok(pattern)
    }

    /// Whether `text` is what the pattern stands for.
    pub fn matches(&self, text: &str) -> bool {
        self.values(text).is_some()
    }

    /// What the variables stand for in `text`, in their order. None: it is nothing that the pattern
    /// stands for.
    pub fn values<'t>(&self, text: &'t str) -> Option<[&'t str; MAX_VARIABLES]> {
        let mut values = [""; MAX_VARIABLES];
        let mut text = text.strip_prefix(self.start.as_str())?;
        for (variable, value) in self.variables.iter().zip(&mut values) {
            let end = text.bytes().position(|octet| !is_value_octet(octet));
            let (found, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
            if !(1..=MAX_VALUE).contains(&found.len()) || matches!(found, "." | "..") {
                return None;
            }
            *value = found;
            text = rest.strip_prefix(variable.rest.as_str())?;
        }
        text.is_empty().then_some(values)
    }

    /// The place of the variable `name` among the variables.
    pub fn variable(&self, name: &str) -> Option<usize> {
        self.variables.iter().position(|variable| variable.name == name)
    }

    /// The names of the variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|variable| variable.name.as_str())
    }
}

fn literal(text: &str) -> Result<String, &'static str> {
    if text.contains('}') { Err("a `}` has no `{`") } else { Ok(text.to_owned()) }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
}

/// The unreserved letters of RFC 3986 section 2.3: they mean the same in every part of an address.
fn is_value_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for good in [
            "https://login.example/{tenantid}/v2.0",
            "http://h:8080/{a}",
            "https://h/x?tenant={t}",
            "https://h/{a}/{b}:{c}/{d_1}",
            "https://h/t-{a}/",
        ] {
            assert!(IssuerPattern::parse_address(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", "expected an address such as"),
            ("https://login.example/common/v2.0", "has no variable"),
            ("https://{tenant}.example/", "were the host variable"),
            ("https://{tenant}/x", "were the host variable"),
            ("https://login.example{x}/", "were the host variable"),
            ("https://login.example:{port}/", "were the host variable"),
            ("https://login.example?{x}", "were the host variable"),
            ("{scheme}://login.example/{x}", "were the host variable"),
            ("{issuer}", "were the host variable"),
            ("tenant/{x}", "were the host variable"),
            ("HTTPS://login.example/{x}", "were the host variable"),
            ("https:///{x}", "with a host"),
            ("https://u@login.example/{x}", "without a user name"),
            ("https://login.example?/{x}", "with a host"),
            ("https://h/{a}{b}", "between two variables"),
            ("https://h/{a}-{b}", "must not begin with"),
            ("https://h/{a}.json", "must not begin with"),
            ("https://h/{a", "has no `}`"),
            ("https://h/a}", "has no `{`"),
            ("https://h/{a}}", "has no `{`"),
            ("https://h/{{a}}", "has no `}`"),
            ("https://h/{}", "a variable's name"),
            ("https://h/{1}", "a variable's name"),
            ("https://h/{a-b}", "a variable's name"),
            ("https://h/{a=*}", "a variable's name"),
            ("https://h/{abcdefghijklmnopqrstuvwxyzabcdefg}", "a variable's name"),
            ("https://h/{a}/{a}", "the same name"),
            ("https://h/{a}/{b}/{c}/{d}/{e}", "at most 4"),
            ("https://h/ {a}", "visible ASCII"),
            ("https://h/\u{e9}/{a}", "visible ASCII"),
            ("https://h/{a}\n", "visible ASCII"),
        ] {
            let told = IssuerPattern::parse_address(bad).unwrap_err();
            assert!(told.contains(why), "{bad}: {told}");
        }
        // What a key says may be anything, with or without variables.
        for text in ["issuer", "https://{host}/x", "{a}", "https://h/common"] {
            assert!(IssuerPattern::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn issuers() {
        let entra = IssuerPattern::parse_address("https://login.example/{tid}/v2.0").unwrap();
        let long = |octets: usize| format!("https://login.example/{}/v2.0", "a".repeat(octets));
        assert_eq!(
            entra.values("https://login.example/9188040d-6c67/v2.0").map(|values| values[0]),
            Some("9188040d-6c67")
        );
        for good in [&*long(1), &*long(128), "https://login.example/.../v2.0"] {
            assert!(entra.matches(good), "{good}");
        }
        for bad in [
            "",
            "https://login.example/",
            "https://login.example//v2.0",
            "https://login.example/./v2.0",
            "https://login.example/../v2.0",
            &*long(129),
            "https://login.example/a/v2.0/",
            "https://login.example/a/v2.0\n",
            "https://login.example/a\n/v2.0",
            "https://login.example/a/v2.0/v2.0",
            "https://login.example/a/b/v2.0",
            "https://login.example/a%2fb/v2.0",
            "https://login.example/%61/v2.0",
            "https://login.example/a:b/v2.0",
            "https://login.example/a@b/v2.0",
            "https://login.example/a b/v2.0",
            "https://login.example/a?/v2.0",
            "https://login.example/a\\b/v2.0",
            "https://login.example/a\0/v2.0",
            "https://login.example/\u{e9}/v2.0",
            "https://login.example/\u{ff0e}/v2.0",
            "https://login.example/{tid}/v2.0",
            "https://login.example/a/V2.0",
            "https://login.example/a/v2x0",
            "https://LOGIN.example/a/v2.0",
            "HTTPS://login.example/a/v2.0",
            "https://login.example.evil/a/v2.0",
            "https://evil/?https://login.example/a/v2.0",
            " https://login.example/a/v2.0",
            "http://login.example/a/v2.0",
        ] {
            assert!(!entra.matches(bad), "{bad:?}");
        }
        let two = IssuerPattern::parse_address("https://h/{a}/x/{b}").unwrap();
        assert_eq!(two.values("https://h/1/x/2").map(|v| [v[0], v[1]]), Some(["1", "2"]));
        assert!(!two.matches("https://h/1/x/"));
        assert!(!two.matches("https://h/1/x/2/x/3"));
        assert_eq!((two.variable("b"), two.variable("c")), (Some(1), None));
        let none = IssuerPattern::parse("https://h/a").unwrap();
        assert!(none.matches("https://h/a") && !none.matches("https://h/a/"));
    }
}
