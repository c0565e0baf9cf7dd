//! Issuers by a pattern, as written.

use crate::config::fields::Fields;
use crate::config::reader::Node;
use crate::issuer::IssuerPattern;

/// Ours: `issuer_pattern`, with `issuer_claims`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PatternedIssuer {
    /// What `iss` must look like.
    pub pattern: IssuerPattern,
    /// Claims that must say what a variable stands for: their names, and the variables' places.
    pub claims: Vec<(String, usize)>,
}

impl PatternedIssuer {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let written = fields.get("issuer_pattern");
        let claims = fields.get("issuer_claims");
        let Some(written) = written else {
            if let Some(node) = claims {
                node.error("goes with `issuer_pattern`, whose variables it names");
            }
            return None;
        };
        let text = written.text()?;
        let pattern = IssuerPattern::parse_address(&text).map_err(|why| written.error(why)).ok()?;
        let claims = claims.map(|node| node.map(|node| variable(&node, &pattern)));
        let claims = claims.unwrap_or_default().into_iter();
        let claims = claims.filter_map(|(claim, variable)| Some((claim, variable?))).collect();
        Some(Self { pattern, claims })
    }
}

fn variable(node: &Node<'_>, pattern: &IssuerPattern) -> Option<usize> {
    let variable = pattern.variable(&node.text()?);
    if variable.is_none() {
        let names: Vec<_> = pattern.names().collect();
        node.error(format!("`issuer_pattern` has no such variable; it has: {}", names.join(", ")));
    }
    variable
}
