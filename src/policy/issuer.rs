//! Whose tokens a provider takes, and which of several providers a token is for.
//!
//! Keys belong to an issuer (RFC 8725 section 3.8). Where the keys of several issuers are discovered,
//! each of them is a provider of its own, and the name in the configuration stands for all of them;
//! where issuers are chosen by a pattern, keys can say whose they are.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::config;
use crate::config::issuer::PatternedIssuer;
use crate::config::reader::{Errors, member_path};
use crate::config::{Jwks, RemoteSource};
use crate::denial::{Denial, Reason};
use crate::extract::TokenLocation;
use crate::jose::jwk::KeyIssuers;
use crate::json::Members;
use crate::jwks::source::Address;
use crate::policy::check::UncheckedToken;
use crate::policy::evaluate::Evaluation;
use crate::policy::grant::Outcome;
use crate::policy::{Provider, ProviderIndex};

/// Most issuers of one provider whose keys are discovered: each is asked for its own.
const MAX_DISCOVERED: usize = 16;

/// Whose tokens a provider takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Issuers {
    /// Anybody's, also tokens without `iss`.
    Any,
    /// Those of any that looks like this.
    Like(PatternedIssuer),
    /// Those of any of these, all of which sign with the same keys.
    Listed(Vec<String>),
}

/// How closely a provider is a token's, the closest first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Fit {
    Named,
    Alike,
    Anybody,
}

impl Issuers {
    pub(super) fn compile(wire: &config::Provider, path: &str, errors: &Errors) -> Self {
        let issuer = Some(&wire.issuer).filter(|issuer| !issuer.is_empty());
        let ways = [issuer.is_some(), !wire.issuers.is_empty(), wire.issuer_pattern.is_some()];
        if ways.into_iter().filter(|way| *way).count() > 1 {
            errors.push(path, "only one of `issuer`, `issuers`, `issuer_pattern` may be set");
        }
        if let Some(issuer) = &wire.issuer_pattern {
            if is_discovered(wire) {
                errors.push(
                    &format!("{path}.remote_jwks.discovery"),
                    "does not go with `issuer_pattern`: there is no one issuer to ask for its keys, \
                     and whom to ask must not be up to tokens. Use `http_uri` or `local_jwks`, or \
                     list `issuers`",
                );
            }
            return Self::Like(issuer.clone());
        }
        let listed: Vec<_> = issuer.into_iter().chain(&wire.issuers).cloned().collect();
        if listed.is_empty() { Self::Any } else { Self::Listed(listed) }
    }

    /// Those that are named.
    pub(super) fn listed(&self) -> &[String] {
        match self {
            Self::Any | Self::Like(_) => &[],
            Self::Listed(own) => own,
        }
    }

    /// How closely tokens with this `iss` are the provider's; none: they are not.
    pub(super) fn fit(&self, iss: Option<&str>) -> Option<Fit> {
        let (fits, fit) = match (self, iss) {
            (Self::Any, _) => (true, Fit::Anybody),
            (Self::Listed(own), Some(iss)) => (own.iter().any(|own| own == iss), Fit::Named),
            (Self::Like(own), Some(iss)) => (own.pattern.matches(iss), Fit::Alike),
            (Self::Listed(_) | Self::Like(_), None) => return None,
        };
        fits.then_some(fit)
    }

    /// Whether claims say what variables stand for, where they must.
    pub(super) fn check_claims(
        &self,
        iss: Option<&str>,
        claims: &Members<'_>,
    ) -> Result<(), Reason> {
        let Self::Like(PatternedIssuer { pattern, claims: bound }) = self else { return Ok(()) };
        if bound.is_empty() {
            return Ok(());
        }
        let values = iss.and_then(|iss| pattern.values(iss)).ok_or(Reason::IssuerUnknown)?;
        for (name, variable) in bound {
            let said = claims.get(name).ok_or(Reason::ClaimMissing)?;
            if said.as_text() != values.get(*variable).copied() {
                return Err(Reason::IssuerUnknown);
            }
        }
        Ok(())
    }

    pub(super) fn reads_claims(&self) -> bool {
        matches!(self, Self::Like(PatternedIssuer { claims, .. }) if !claims.is_empty())
    }

    /// What a key's own `issuer` is. One of those that are listed is as good as another.
    pub(super) fn of_keys(&self) -> KeyIssuers {
        match self {
            Self::Like(_) => KeyIssuers::Bind,
            Self::Any | Self::Listed(_) => KeyIssuers::Ignored,
        }
    }
}

/// What a provider is called.
pub(super) struct Name {
    /// In the configuration.
    pub(super) configured: String,
    /// In logs and metrics.
    pub(super) shown: String,
}

/// The providers, one for each issuer whose keys are discovered, and the places for which each name
/// of the configuration stands.
#[derive(Default)]
pub(super) struct Split {
    pub(super) providers: Vec<(Name, config::Provider)>,
    pub(super) places: BTreeMap<String, Range<ProviderIndex>>,
}

impl Split {
    pub(super) fn new(providers: BTreeMap<String, config::Provider>, errors: &Errors) -> Self {
        let mut split = Self::default();
        for (name, provider) in providers {
            let start = split.providers.len();
            if is_discovered(&provider) && !provider.issuers.is_empty() {
                split.add_each(&name, &provider, errors);
            } else {
                let both = Name { configured: name.clone(), shown: name.clone() };
                split.providers.push((both, provider));
            }
            split.places.insert(name, start..split.providers.len());
        }
        split.refuse_same_names(errors);
        split
    }

    /// A provider for each issuer of this one.
    fn add_each(&mut self, name: &str, provider: &config::Provider, errors: &Errors) {
        let path = member_path("providers", name);
        let issuers = &provider.issuers;
        if issuers.len() > MAX_DISCOVERED {
            let path = format!("{path}.issuers");
            errors.push(&path, "with `discovery`, at most 16: each is asked for its own keys");
            return;
        }
        if !provider.issuer.is_empty() || provider.issuer_pattern.is_some() {
            errors.push(&path, "only one of `issuer`, `issuers`, `issuer_pattern` may be set");
        }
        if matches!(provider.jwks, Some(Jwks::Remote { fallback: Some(_), .. })) {
            errors.push(
                &path,
                "`local_jwks_is_fallback` does not go with `issuers` and `discovery`: the local keys \
                 would be those of every issuer",
            );
        }
        for (index, issuer) in (0_usize..).zip(issuers) {
            let report =
                |message: String| errors.push(&format!("{path}.issuers[{index}]"), message);
            if issuers.iter().take(index).any(|before| before == issuer) {
                report("is in the list twice".to_owned());
            }
            let address = Address::parse(issuer, "").filter(|base| !base.path.contains('?'));
            let Some(address) = address else {
                report(
                    "with `discovery`, must be an address such as https://issuer.example"
                        .to_owned(),
                );
                continue;
            };
            let mut own = provider.clone();
            own.issuers = Vec::new();
            own.issuer.clone_from(issuer);
            if !lead_to(&address.authority, &mut own) {
                report(format!(
                    "no cluster leads to `{}`: name one in `discovery.clusters`, or one for all \
                     issuers in `discovery.cluster`",
                    address.authority
                ));
                continue;
            }
            let (_, bare) = issuer.split_once("://").unwrap_or_default();
            let shown = format!("{name}/{bare}");
            self.providers.push((Name { configured: name.to_owned(), shown }, own));
        }
    }

    /// Two providers of one name in metrics would overwrite each other's.
    fn refuse_same_names(&self, errors: &Errors) {
        let in_metrics = |name: &Name| -> String {
            let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
            name.shown.chars().map(|letter| if plain(letter) { letter } else { '_' }).collect()
        };
        let mut names = BTreeMap::<String, usize>::new();
        for (name, _) in &self.providers {
            let count = names.entry(in_metrics(name)).or_default();
            *count = count.saturating_add(1);
        }
        for (name, _) in self.providers.iter().filter(|(name, _)| name.shown != name.configured) {
            let own = in_metrics(name);
            if names.get(&own).is_some_and(|count| *count > 1) {
                let path = format!("{}.issuers", member_path("providers", &name.configured));
                errors.push(&path, format!("two providers would be called `{own}` in metrics"));
            }
        }
    }
}

fn is_discovered(provider: &config::Provider) -> bool {
    let Some(Jwks::Remote { remote, .. }) = &provider.jwks else { return false };
    matches!(remote.source, Some(RemoteSource::Discovery { .. }))
}

/// Has metadata be asked for by way of the cluster that leads to `host`; false when none does.
fn lead_to(host: &str, provider: &mut config::Provider) -> bool {
    let Some(Jwks::Remote { remote, .. }) = &mut provider.jwks else { return false };
    let Some(RemoteSource::Discovery { cluster, clusters, .. }) = &mut remote.source else {
        return false;
    };
    if let Some(own) = clusters.get(host) {
        *cluster = Some(own.clone());
    }
    cluster.is_some()
}

impl<'a> Evaluation<'a> {
    /// A token for any of the providers of one name.
    pub(super) fn judge_among(
        self,
        places: &Range<ProviderIndex>,
        audiences: Option<&[String]>,
        location: &TokenLocation,
        token: &[u8],
    ) -> Result<Outcome, Denial> {
        let providers = || {
            let providers = self.policy.providers.iter().enumerate();
            providers.skip(places.start).take(places.len())
        };
        for (index, provider) in providers() {
            if self.known(index, token).is_some() {
                return self.judge(index, provider, audiences, location, token);
            }
        }
        let parts = self.take_apart(token)?;
        let token = UncheckedToken::parse(token, &parts)?;
        let iss = token.claims.iss.as_deref();
        let mut own = providers().filter(|(_, provider)| provider.issuers.fit(iss).is_some());
        let (index, provider) = own.next().ok_or(Reason::IssuerUnknown)?;
        self.check(index, provider, audiences, location, token)
    }

    /// A token where any provider's may be.
    pub(super) fn judge_for_issuer(
        self,
        location: &TokenLocation,
        token: &[u8],
    ) -> Result<Outcome, Denial> {
        let of = |index| move |denial: Denial| Denial { provider: Some(index), ..denial };
        let known = (0..self.policy.providers.len()).find_map(|index| self.known(index, token));
        if let Some(known) = known {
            let (index, provider) = self.provider_of(known.claims.iss.as_deref(), location)?;
            return self.judge(index, provider, None, location, token).map_err(of(index));
        }
        let parts = self.take_apart(token)?;
        let token = UncheckedToken::parse(token, &parts)?;
        let (index, provider) = self.provider_of(token.claims.iss.as_deref(), location)?;
        self.check(index, provider, None, location, token).map_err(of(index))
    }

    /// Of the providers that take tokens from `location`, the first that names this `iss`, else the
    /// first whose pattern it fits, else the first that takes any issuer.
    fn provider_of(
        self,
        iss: Option<&str>,
        location: &TokenLocation,
    ) -> Result<(ProviderIndex, &'a Provider), Denial> {
        let here = self.policy.providers.iter().enumerate();
        let here = here.filter(|(_, provider)| provider.locations.contains(location));
        let fitting = here.filter_map(|own| Some((own.1.issuers.fit(iss)?, own)));
        let closest = fitting.min_by_key(|(fit, _)| *fit);
        closest.map(|(_, own)| own).ok_or(Reason::IssuerUnknown.into())
    }
}
