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
            let kinds = [
                "provider_name",
                "provider_and_audiences",
                "requires_any",
                "requires_all",
                "allow_missing",
                "allow_missing_or_failed",
                "extract_only_without_validation",
            ];
            for kind in kinds {
                fields.get_not_null(kind);
            }
            let kind = fields.one_of(&kinds);
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
