//! What the gate changes in a request that it lets pass, and what its rule writes into it.

use crate::config;
use crate::config::mapping::{ClaimToPath, SetHeader};
use crate::config::path_template::PathTemplate;
use crate::config::reader::Errors;
use crate::denial::{Denial, Reason};
use crate::extract::{self, TargetChange, percent_encode};
use crate::path;
use crate::policy::authorization::{Bearer, Policies, template};
use crate::policy::evaluate::Evaluation;
use crate::policy::grant::{Grant, Outcome};
use crate::policy::{Asked, Provider, Rule};
use crate::request::{RequestEdit, RequestEdits};

/// What a rule writes into the requests that it lets through.
#[derive(Debug, Default)]
pub(super) struct Writes {
    headers: Vec<RequestEdit>,
    segments: Option<Segments>,
}

/// Segments of the path that claims replace.
#[derive(Debug)]
struct Segments {
    template: PathTemplate,
    claims: Vec<(usize, Vec<String>)>,
}

/// Headers with fixed values.
pub(super) fn fixed_headers(wire: &[SetHeader]) -> Vec<RequestEdit> {
    let add = |header: &SetHeader| {
        RequestEdit::Add(header.name.clone(), header.value.clone().into_bytes())
    };
    wire.iter().map(add).collect()
}

/// The names of headers that these edits write.
pub(super) fn names(edits: &[RequestEdit]) -> impl Iterator<Item = &String> {
    edits.iter().filter_map(|edit| match edit {
        RequestEdit::Add(name, _) => Some(name),
        _ => None,
    })
}

impl Writes {
    /// Compiles what the rule says of them; `has_tokens`: whether it looks at tokens at all.
    pub(super) fn compile(wire: &config::Rule, has_tokens: bool, errors: &Errors) -> Self {
        let own = wire.matches.as_ref().and_then(|matches| template(&matches.path));
        Self {
            headers: fixed_headers(&wire.set_headers),
            segments: Segments::compile(&wire.claim_to_path, own, has_tokens, errors),
        }
    }

    /// The names of the headers that are written.
    pub(super) fn header_names(&self) -> impl Iterator<Item = &String> {
        names(&self.headers)
    }

    /// Whether claims are looked at once a request was let through.
    pub(super) fn read_claims(&self) -> bool {
        self.segments.is_some()
    }

    /// Adds the names of those claims.
    pub(super) fn claims_read(&self, names: &mut Vec<String>) {
        for (_, claim) in self.segments.iter().flat_map(|segments| &segments.claims) {
            names.extend(claim.first().filter(|name| !names.contains(name)).cloned());
        }
    }

    /// Whether requests stay as they are.
    pub(super) fn nothing(&self) -> bool {
        self.headers.is_empty() && self.segments.is_none()
    }
}

impl Segments {
    fn compile(
        wire: &[ClaimToPath],
        template: Option<&PathTemplate>,
        has_tokens: bool,
        errors: &Errors,
    ) -> Option<Self> {
        let mut claims: Vec<(usize, Vec<String>)> = Vec::new();
        for ClaimToPath { variable, claim, path } in wire {
            if !has_tokens {
                errors.push(
                    path,
                    "without `requires`, no token is looked at, and there are no claims",
                );
            }
            let Some(template) = template else {
                errors.push(path, "needs a `path_match_policy` in the `match` of the rule");
                continue;
            };
            match template.variable(variable) {
                // An empty name was reported when it was read.
                None if variable.is_empty() => {}
                None => errors.push(
                    path,
                    "the path template has no such variable that stands for one segment",
                ),
                Some(glob) if claims.iter().any(|(own, _)| *own == glob) => {
                    errors.push(path, "another claim replaces this segment already");
                }
                Some(glob) => claims.push((glob, claim.clone())),
            }
        }
        Some(Self { template: template?.clone(), claims }).filter(|own| !own.claims.is_empty())
    }

    /// The path with what every one of these tokens says in it. None if they do not all say the same, or
    /// if what comes out could be read in another way: to leave the client's segment in its place
    /// would be to trust the client.
    fn replace(&self, bearers: &[Bearer], path: &[u8]) -> Option<Vec<u8>> {
        let mut texts = Vec::new();
        for (glob, claim) in &self.claims {
            let mut said = bearers.iter().map(|bearer| bearer.known.facts.scalar(claim));
            let first = said.next()?.filter(|text| !text.is_empty())?;
            if !said.all(|other| other.as_ref() == Some(&first)) {
                return None;
            }
            texts.push((*glob, percent_encode(first.as_bytes())));
        }
        path::replaced(&self.template, &texts, path).filter(|path| path::is_clear(path))
    }
}

impl Evaluation<'_> {
    /// The path that claims make of the request's own, if it becomes another one.
    fn rewritten(self, asked: &Asked<'_>, bearers: &[Bearer]) -> Result<Option<Vec<u8>>, Denial> {
        let Some(segments) = asked.writes.and_then(|writes| writes.segments.as_ref()) else {
            return Ok(None);
        };
        // A token may help: RFC 6750 section 3.1 asks for a challenge without an error code.
        if bearers.is_empty() {
            return Err(Reason::TokenMissing.into());
        }
        let replaced = path::clear(self.head).and_then(|path| segments.replace(bearers, path));
        let replaced = replaced.ok_or(Reason::ClaimsNotAllowed)?;
        Ok(Some(replaced).filter(|path| path != self.head.path()))
    }

    /// Whether the request may pass that met its requirement, and with what path: conditions and
    /// policies look at the path that the backend will see, and it must be one of the same rule.
    pub(super) fn admit(
        self,
        asked: &Asked<'_>,
        bearers: &[Bearer],
    ) -> Result<Option<Vec<u8>>, Denial> {
        let rewritten = self.rewritten(asked, bearers)?;
        let Some(path) = &rewritten else {
            return self.authorize(asked, bearers).map(|()| None);
        };
        let head = self.head.with_path(path);
        let same = |other: Asked<'_>| {
            other.writes.zip(asked.writes).is_some_and(|(other, own)| std::ptr::eq(other, own))
        };
        if !self.policy.asked(&head).is_some_and(same) {
            return Err(Reason::ClaimsNotAllowed.into());
        }
        let seen = Evaluation { head: &head, ..self };
        if !asked.requirement.conditions().is_empty() {
            // The requirement's own conditions may look at the path, too. Its tokens are known by now, and
            // it is by the same that it must be met: what they do to the request was found out before.
            match seen.meet(asked.requirement, &[]) {
                Outcome::Met(grant) if grant.is_by(bearers) => {}
                Outcome::Failed(denial) => return Err(denial),
                Outcome::Met(_) | Outcome::Waiting(_) => {
                    return Err(Reason::ClaimsNotAllowed.into());
                }
            }
        }
        seen.authorize(asked, bearers)?;
        Ok(rewritten)
    }

    /// First what clients may not send goes, then the tokens, then the claims come in.
    pub(super) fn edits(
        self,
        grant: Grant,
        writes: Option<&Writes>,
        path: Option<Vec<u8>>,
    ) -> RequestEdits {
        let mut edits = self.policy.identity_headers.strike(self.head);
        let ours = self.policy.identity_parameters.as_slice();
        let mut target = TargetChange { path, ours, ..TargetChange::default() };
        for added in grant.parameters {
            // Two tokens that say the same say it once.
            if !target.added.contains(&added) {
                target.added.push(added);
            }
        }
        edits.extend(extract::removal(grant.taken.iter(), self.head, target));
        let fixed = writes.into_iter().flat_map(|writes| writes.headers.iter().cloned());
        for header in grant.fixed.into_iter().chain(fixed) {
            if !edits.contains(&header) {
                edits.push(header);
            }
        }
        edits.extend(grant.headers);
        edits
    }
}

/// Any change to a request makes Envoy choose its route again, after the gate has decided on the
/// route before. Where rules ask for the route, the gate must change nothing.
pub(super) fn refuse_unstable_routes(
    rules: &[Rule],
    policies: &Option<Policies>,
    providers: &[Provider],
    status_headers: &[String],
    errors: &Errors,
) {
    let stable = status_headers.is_empty()
        && providers.iter().all(Provider::changes_nothing)
        && rules.iter().all(|rule| rule.writes.nothing());
    let rules = rules.iter().map(|rule| ("rules", Some(&rule.matcher)));
    let policies = policies.iter().flat_map(|policies| &policies.list);
    let policies = policies.map(|policy| ("authorization.policies", policy.matcher.as_ref()));
    let rules = (0_usize..).zip(rules).chain((0_usize..).zip(policies));
    for (index, (list, matcher)) in rules {
        let asks = matcher.is_some_and(|matcher| matcher.properties().next().is_some());
        if !stable && asks {
            errors.push(
                &format!("{list}[{index}].match"),
                "with a condition on the route, every provider must have `forward: true`, and nothing \
                 may be written into requests: any change makes Envoy choose the route again, after \
                 the decision",
            );
        }
    }
}
