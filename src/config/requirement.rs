//! Rules and requirements: from JSON to the wire structs.

use std::collections::BTreeMap;

use crate::config::condition::Condition;
use crate::config::fields::Fields;
use crate::config::headers::identity_header;
use crate::config::mapping::{ClaimToPath, SetHeader};
use crate::config::matching::RouteMatch;
use crate::config::reader::Node;
use crate::config::step_up::StepUp;
use crate::config::{FilterStateRules, Mode, Requirement, RequirementKind, Rule};
use crate::sorted;

#[cfg(feature = "reference")]
use crate::config::{condition, mapping, matching, step_up};

reference! {
    /// What is required of some requests.
    RULE = "RequirementRule" ("configuration.md#rule")
    .message("envoy.extensions.filters.http.jwt_authn.v3.RequirementRule")
    .rules(&[AtMostOne(&["requires", "requirement_name"])]) {
        /// Which requests.
        "match": Fields(&matching::ROUTE_MATCH), required;
        /// What they need. Not set: nothing.
        "requires": Fields(&REQUIREMENT), not_null, default("nothing"), page("configuration.md#requirement");
        /// In place of `requires`: one of `requirement_map`.
        "requirement_name": Text(Letters::SOME), not_null, default("none");
        /// A condition on the claims of the tokens that met what is required.
        "authorization": Fields(&condition::CONDITION), not_null, ours, default("none"),
            page("authorization.md#where-conditions-stand");
        /// How, and how lately, users must have authenticated.
        "step_up": Fields(&step_up::STEP_UP), not_null, ours, default("not asked"),
            page("answers.md#authenticate-anew-rfc-9470"), rfc("RFC 9470");
        /// What becomes of those that are refused, before the `mode` of the whole.
        "mode": Choice(MODES), ours, default("as the whole says"), page("roll-out.md#report-only");
        /// Headers with a fixed value for every request that the rule lets through. Clients' copies are
        /// struck, also where other rules match.
        "set_headers": List(&Fields(&mapping::SET_HEADER), 0), ours, default("none"),
            page("mapping.md#fixed-headers-and-consumers");
        /// Segments of the path that claims replace, or the request is refused with 403. Needs
        /// `requires`.
        "claim_to_path": List(&Fields(&mapping::CLAIM_TO_PATH), 0), ours, default("none"),
            page("mapping.md#segments-of-the-path");
    }

    /// Requirements by a text in the filter state, where no rule matches.
    FILTER_STATE_RULES = "FilterStateRule" ("configuration.md#requirement")
    .message("envoy.extensions.filters.http.jwt_authn.v3.FilterStateRule") {
        /// The name of a filter state object that holds text.
        "name": Text(Letters::SOME), required;
        /// Requirements by that text.
        "requires": Map(&Fields(&REQUIREMENT), 1), required;
    }

    /// What a request must bring. Of the first seven fields one at most is set; without any, anything
    /// will do.
    REQUIREMENT = "JwtRequirement" ("configuration.md#requirement")
    .message("envoy.extensions.filters.http.jwt_authn.v3.JwtRequirement")
    .rules(&[
        AtMostOne(&REQUIREMENTS),
        Needs("authorization", &["provider_name", "provider_and_audiences"]),
    ]) {
        /// A good token of this provider.
        "provider_name": Text(Letters::SOME), not_null;
        /// The same, with audiences that replace the provider's.
        "provider_and_audiences": Fields(&PROVIDER_WITH_AUDIENCES), not_null;
        /// One of several requirements. With `allow_missing` among them, also no token at all; with
        /// `allow_missing_or_failed`, anything.
        "requires_any": Fields(&REQUIREMENT_OR_LIST), not_null;
        /// Each of several requirements.
        "requires_all": Fields(&REQUIREMENT_AND_LIST), not_null;
        /// No token at any provider's locations, or only good ones (natively, one good one is enough).
        "allow_missing": Fields(&EMPTY), not_null;
        /// Anything; good tokens are still read and taken out.
        "allow_missing_or_failed": Fields(&EMPTY), not_null;
        /// Anything; good tokens are read and taken out, and a header says when one is not good. Its
        /// claims are not passed on, as in Envoy 1.40.0.
        "extract_only_without_validation": Fields(&EXTRACT_ONLY), not_null;
        /// Beside `provider_name` or `provider_and_audiences`: the claims of the token must meet this
        /// condition.
        "authorization": Fields(&condition::CONDITION), not_null, ours, default("none"),
            page("authorization.md#where-conditions-stand");
    }

    /// A good token of a provider, for these audiences.
    PROVIDER_WITH_AUDIENCES = "ProviderWithAudiences" ("configuration.md#requirement")
    .message("envoy.extensions.filters.http.jwt_authn.v3.ProviderWithAudiences") {
        /// The provider.
        "provider_name": Text(Letters::SOME), required;
        /// In place of the provider's own.
        "audiences": List(&Text(Letters::SOME), 0), default("the provider's own");
    }

    /// One of several requirements.
    REQUIREMENT_OR_LIST = "JwtRequirementOrList" ("configuration.md#requirement")
    .message("envoy.extensions.filters.http.jwt_authn.v3.JwtRequirementOrList") {
        /// Of which one must be met.
        "requirements": List(&Fields(&REQUIREMENT), 2), required;
    }

    /// Each of several requirements.
    REQUIREMENT_AND_LIST = "JwtRequirementAndList" ("configuration.md#requirement")
    .message("envoy.extensions.filters.http.jwt_authn.v3.JwtRequirementAndList") {
        /// Of which each must be met.
        "requirements": List(&Fields(&REQUIREMENT), 2), required;
    }

    /// Tokens are read, and nothing is required of them.
    EXTRACT_ONLY = "ExtractOnlyWithoutValidation" ("configuration.md#requirement")
    .message("envoy.extensions.filters.http.jwt_authn.v3.ExtractOnlyWithoutValidation") {
        /// A header that says `false` when a token is not good; `-`: none. A client's copy is struck.
        "verification_status_header": Either(&[Text(Letters::HEADER), Text(Letters::EMPTY)]),
            default("\"x-jwt-signature-verified\"");
    }

    /// An object without fields.
    EMPTY = "Empty" ("configuration.md#requirement").message("google.protobuf.Empty") {}
}

/// The kinds of requirements.
const REQUIREMENTS: [&str; 7] = [
    "provider_name",
    "provider_and_audiences",
    "requires_any",
    "requires_all",
    "allow_missing",
    "allow_missing_or_failed",
    "extract_only_without_validation",
];

impl Rule {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            matches: fields
                .required("match")
                .and_then(|node| node.object(RouteMatch::read))
                .flatten(),
            requires: match fields.one_of(&["requires", "requirement_name"]) {
                Some(("requires", node)) => Requirement::read(node),
                Some((_, node)) => Some(Requirement {
                    path: node.path().to_owned(),
                    kind: RequirementKind::Named(node.non_empty_text().unwrap_or_default()),
                }),
                None => {
                    fields.get_not_null("requires");
                    fields.get_not_null("requirement_name");
                    None
                }
            },
            authorization: Condition::read_field(fields, "authorization"),
            set_headers: SetHeader::read_list(fields),
            claim_to_path: fields.list("claim_to_path", |node| node.object(ClaimToPath::read)),
            step_up: fields.get_not_null("step_up").and_then(|node| node.object(StepUp::read)),
            mode: fields.get("mode").and_then(|node| mode(&node)),
        }
    }
}

#[cfg(feature = "reference")]
pub(super) const MODES: &[&str] = &["enforce", "report_only"];

/// What becomes of requests that are refused.
pub(super) fn mode(node: &Node<'_>) -> Option<Mode> {
    match node.text()?.as_str() {
        "enforce" => Some(Mode::Enforce),
        "report_only" => Some(Mode::ReportOnly),
        _ => {
            node.error("expected `enforce` or `report_only`");
            None
        }
    }
}

impl FilterStateRules {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let name = fields.required_text("name");
        let requires = Requirement::read_map(fields.get_not_null("requires"));
        if requires.is_empty() {
            fields.error("`requires` must hold at least one requirement");
        }
        Self { name, requires }
    }
}

/// How deep requirements may nest: far beyond anything a person writes.
const MAX_REQUIREMENT_DEPTH: usize = 16;

impl Requirement {
    /// Requirements by a name.
    pub(super) fn read_map(node: Option<Node<'_>>) -> BTreeMap<String, Self> {
        let read = node.map(|node| node.map(Self::read)).unwrap_or_default();
        sorted::map(read.into_iter().filter_map(|(name, requirement)| Some((name, requirement?))))
    }

    pub(super) fn read(node: Node<'_>) -> Option<Self> {
        Self::read_at(node, 0)
    }

    fn read_at(node: Node<'_>, depth: usize) -> Option<Self> {
        if depth > MAX_REQUIREMENT_DEPTH {
            node.error("requirements are nested too deeply");
            return None;
        }
        let children = |node: Node<'_>| {
            node.object(|fields| {
                let requirements = fields.required("requirements")?;
                let children =
                    requirements.list(|node| Self::read_at(node, depth.saturating_add(1)));
                if children.len() < 2 {
                    requirements.error("at least two requirements are expected");
                }
                Some(children)
            })
            .flatten()
            .unwrap_or_default()
        };
        let path = node.path().to_owned();
        let kind = node.object(|fields| {
            for kind in REQUIREMENTS {
                fields.get_not_null(kind);
            }
            let kind = fields.one_of(&REQUIREMENTS);
            let authorization = Condition::read_field(fields, "authorization").map(Box::new);
            let of_provider = matches!(kind, Some(("provider_name" | "provider_and_audiences", _)));
            if authorization.is_some() && !of_provider {
                fields.error(
                    "`authorization` goes with `provider_name` and `provider_and_audiences`, or \
                     stands in the rule",
                );
            }
            Some(match kind {
                None => RequirementKind::Nothing,
                Some(("provider_name", node)) => RequirementKind::Provider {
                    name: node.non_empty_text()?,
                    audiences: Vec::new(),
                    authorization,
                },
                Some(("provider_and_audiences", node)) => {
                    node.object(|fields| RequirementKind::Provider {
                        name: fields.required_text("provider_name"),
                        audiences: fields.texts("audiences"),
                        authorization,
                    })?
                }
                Some(("requires_any", node)) => RequirementKind::Any(children(node)),
                Some(("requires_all", node)) => RequirementKind::All(children(node)),
                Some(("extract_only_without_validation", node)) => RequirementKind::ExtractOnly(
                    node.object(|fields| status_header(fields.get("verification_status_header")))?,
                ),
                Some((name, node)) => {
                    node.object(|_| ());
                    match name {
                        "allow_missing" => RequirementKind::AllowMissing,
                        _ => RequirementKind::AllowMissingOrFailed,
                    }
                }
            })
        })??;
        Some(Self { path, kind })
    }
}

/// Native's default, and its word for "none"; otherwise a header that the gate may write.
fn status_header(node: Option<Node<'_>>) -> Option<String> {
    let node = node.filter(|node| !node.is_empty_text());
    match node.as_ref().map(|node| node.text().unwrap_or_default()).as_deref() {
        None => Some("x-jwt-signature-verified".to_owned()),
        Some("-") => None,
        Some(name) => {
            if ["authorization", "cookie"].contains(&name.to_ascii_lowercase().as_str())
                && let Some(node) = &node
            {
                node.error("this header holds tokens and cannot carry the status");
            }
            Some(identity_header(node))
        }
    }
}
