//! What the fields of the configuration are, as values: for the JSON Schema, the reference page and
//! the command line. None of it is in a module.
//!
//! Each table stands above the code that reads its fields and names the same limits.
//! `cli/tests/schema.rs` holds both to each other, at every path.

/// Writes tables down where the feature `reference` wants them, and nothing where not.
#[cfg(feature = "reference")]
macro_rules! reference {
    ($(
        $(#[doc = $about:literal])*
        $table:ident = $name:literal ($page:literal) $(. $object:ident ($($with:expr),*))* {
            $($(#[doc = $meaning:literal])* $field:literal: $kind:expr
                $(, $property:ident $(($($value:expr),*))?)*;)*
        }
    )*) => { $(
        $(#[doc = $about])*
        pub(crate) static $table: crate::config::reference::Object = {
            #[allow(unused_imports, clippy::allow_attributes, reason = "not every table needs all")]
            use crate::config::reference::{Field, Kind::*, Letters, Object, Rule::*, Span};
            Object::new($name, &[$($about),*], $page, &[
                $(Field::new($field, &[$($meaning),*], $kind)$(.$property($($($value),*)?))*),*
            ])$(.$object($($with),*))*
        };
    )* };
}

#[cfg(not(feature = "reference"))]
macro_rules! reference {
    ($($table:tt)*) => {};
}

#[cfg(feature = "reference")]
pub use tables::*;

#[cfg(feature = "reference")]
mod tables {
    use std::time::Duration;

    /// The names of the algorithms, as tokens and keys have them.
    pub const ALGORITHMS: &[&str] = &[
        "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512", "PS256", "PS384", "PS512",
        "RS256", "RS384", "RS512",
    ];

    /// Those for keys that have a public half.
    pub const PUBLIC_ALGORITHMS: &[&str] =
        &["ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"];

    /// The whole configuration.
    pub fn root() -> &'static Object {
        &crate::config::read::CONFIG
    }

    /// An object of the configuration.
    #[derive(Debug)]
    pub struct Object {
        /// Its name: that of Envoy's message, where it is one of Envoy's.
        pub name: &'static str,
        /// What it is, line by line.
        pub about: &'static [&'static str],
        /// The page of the documentation that explains it, with an anchor.
        pub page: &'static str,
        /// Its fields, in the order in which people should read them.
        pub fields: &'static [Field],
        /// What holds between its fields.
        pub rules: &'static [Rule],
        /// The protobuf message that it is in Envoy's API; none: it is the gate's own.
        pub message: Option<&'static str>,
    }

    /// A field of an object.
    #[derive(Debug)]
    pub struct Field {
        /// Its name, in snake_case.
        pub name: &'static str,
        /// What it means, line by line.
        pub meaning: &'static [&'static str],
        /// What its value may be.
        pub kind: Kind,
        /// Whether its absence is a mistake.
        pub required: bool,
        /// Whether `null` is a mistake, and not the same as nothing.
        pub not_null: bool,
        /// Whether Envoy's message does not have it.
        pub ours: bool,
        /// What holds without it.
        pub default: Option<&'static str>,
        /// What its number counts.
        pub unit: Option<&'static str>,
        /// A page that says more.
        pub page: Option<&'static str>,
        /// The section of a standard.
        pub rfc: Option<&'static str>,
        /// An example, as JSON.
        pub example: Option<&'static str>,
        /// Envoy has it and the gate refuses it: what to do instead.
        pub refused: Option<&'static str>,
    }

    /// What a value may be.
    #[derive(Debug)]
    pub enum Kind {
        /// A list of so many at least, and nothing in its place.
        Array(&'static Kind, usize),
        /// Any object, as it stands, but without members of these names.
        AnyObject(&'static [&'static str]),
        /// Anything at all.
        Anything,
        /// One of these texts.
        Choice(&'static [&'static str]),
        /// A span of time.
        Time(Span),
        /// One of several kinds.
        Either(&'static [Kind]),
        /// `true` or `false`.
        Flag,
        /// A list of so many at least; one value stands for a list of one.
        List(&'static Kind, usize),
        /// An object whose names are data, with so many members at least.
        Map(&'static Kind, usize),
        /// An object with some fields of this one: all but these, none is required, one is there.
        Part(&'static Object, &'static [&'static str]),
        /// One of these numbers.
        Numbers(&'static [u32]),
        /// An object with these fields.
        Fields(&'static Object),
        /// Octets as base64.
        Octets,
        /// Text.
        Text(Letters),
        /// A whole number in a range, without a sign.
        Unsigned(u32, u32),
        /// A whole number of 64 bits; with `true` also one that needs them all without a sign.
        Whole(bool),
    }

    /// What a text may be.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Letters {
        /// The fewest octets; 1 for whatever must not be empty.
        pub least: usize,
        /// The most octets.
        pub most: Option<usize>,
        /// A regular expression that all of it must match, and nothing else is asked for.
        pub pattern: Option<&'static str>,
    }

    /// What a span of time may be.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Span {
        /// The shortest.
        pub least: Duration,
        /// The longest.
        pub most: Option<Duration>,
        /// Whether it must be longer than nothing.
        pub positive: bool,
        /// Whether it must be of whole seconds.
        pub whole: bool,
    }

    /// What holds between the fields of an object. A field that is `null` is not set.
    #[derive(Debug)]
    pub enum Rule {
        /// Of these, one at least is set.
        AnyOf(&'static [&'static str]),
        /// Of these, one at most is set.
        AtMostOne(&'static [&'static str]),
        /// Of these, just one is set.
        OneOf(&'static [&'static str]),
        /// Beside the last, just one of these is set.
        OneOfBeside(&'static [&'static str], &'static str),
        /// Where the first is set, one of the others is, too.
        Needs(&'static str, &'static [&'static str]),
        /// The first exist beside the second only: it is unknown elsewhere, even as `null`.
        Beside(&'static [&'static str], &'static str),
    }

    impl Object {
        /// An object of the gate's own.
        pub const fn new(
            name: &'static str,
            about: &'static [&'static str],
            page: &'static str,
            fields: &'static [Field],
        ) -> Self {
            Self { name, about, page, fields, rules: &[], message: None }
        }

        /// The protobuf message that it is.
        pub const fn message(self, message: &'static str) -> Self {
            Self { message: Some(message), ..self }
        }

        /// What holds between its fields.
        pub const fn rules(self, rules: &'static [Rule]) -> Self {
            Self { rules, ..self }
        }

        /// The field of this name, in either spelling.
        pub fn field(&self, name: &str) -> Option<&'static Field> {
            self.fields.iter().find(|field| field.name == name || field.camel_case() == name)
        }
    }

    impl Field {
        /// A field that need not be there.
        pub const fn new(name: &'static str, meaning: &'static [&'static str], kind: Kind) -> Self {
            Self {
                name,
                meaning,
                kind,
                required: false,
                not_null: false,
                ours: false,
                default: None,
                unit: None,
                page: None,
                rfc: None,
                example: None,
                refused: None,
            }
        }

        /// Its absence is a mistake, and `null` counts as that.
        pub const fn required(self) -> Self {
            Self { required: true, not_null: true, ..self }
        }

        /// `null` is a mistake.
        pub const fn not_null(self) -> Self {
            Self { not_null: true, ..self }
        }

        /// Envoy's message does not have it.
        pub const fn ours(self) -> Self {
            Self { ours: true, ..self }
        }

        /// What holds without it: a value as JSON, or words.
        pub const fn default(self, default: &'static str) -> Self {
            Self { default: Some(default), ..self }
        }

        /// What its number counts.
        pub const fn unit(self, unit: &'static str) -> Self {
            Self { unit: Some(unit), ..self }
        }

        /// A page that says more.
        pub const fn page(self, page: &'static str) -> Self {
            Self { page: Some(page), ..self }
        }

        /// The section of a standard.
        pub const fn rfc(self, rfc: &'static str) -> Self {
            Self { rfc: Some(rfc), ..self }
        }

        /// An example, as JSON.
        pub const fn example(self, example: &'static str) -> Self {
            Self { example: Some(example), ..self }
        }

        /// The gate refuses it.
        pub const fn refused(self, instead: &'static str) -> Self {
            Self { refused: Some(instead), ..self }
        }

        /// Its other name.
        pub fn camel_case(&self) -> String {
            crate::config::fields::lower_camel_case(self.name)
        }
    }

    impl Letters {
        /// The empty one.
        pub const EMPTY: Self = Self { least: 0, most: Some(0), pattern: None };
        /// Any, the empty one too.
        pub const ANY: Self = Self { least: 0, most: None, pattern: None };
        /// Any but the empty one.
        pub const SOME: Self = Self { least: 1, most: None, pattern: None };
        /// The name of a header (RFC 9110 section 5.6.2).
        pub const HEADER: Self = Self::like("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$");
        /// The value of a header (RFC 9110 section 5.5).
        pub const HEADER_VALUE: Self = Self::like("^[^\\x00-\\x08\\x0a-\\x1f\\x7f]+$");
        /// A value that no proxy changes.
        pub const PLAIN_VALUE: Self = Self::like("^[!-~]([ -~]*[!-~])?$");

        /// Those that match an expression as a whole.
        pub const fn like(pattern: &'static str) -> Self {
            Self { least: 0, most: None, pattern: Some(pattern) }
        }
    }

    impl Span {
        /// Any, also none.
        pub const ANY: Self =
            Self { least: Duration::ZERO, most: None, positive: false, whole: false };
        /// Longer than none.
        pub const SOME: Self = Self { positive: true, ..Self::ANY };

        /// From the one to the other.
        pub const fn within(least: Duration, most: Duration) -> Self {
            Self { least, most: Some(most), positive: !least.is_zero(), ..Self::ANY }
        }

        /// Longer than none, up to this.
        pub const fn up_to(most: Duration) -> Self {
            Self { most: Some(most), ..Self::SOME }
        }

        /// In whole seconds.
        pub const fn whole(self) -> Self {
            Self { whole: true, ..self }
        }
    }
}
