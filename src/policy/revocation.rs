//! Lists of revoked tokens, compiled, and how verified tokens are compared with them.
//!
//! A list is fetched like keys are, and has a place among them: behind the keys of all providers.

use std::ops::Range;
use std::time::Duration;

use serde_json::Value;

use crate::config::reader::{Errors, member_path};
use crate::config::revocation::{Logout, PolledList, WhenUnavailable};
use crate::config::{Config, KeySharing};
use crate::denial::{Denial, Reason};
use crate::jose::jwk::{KeyIssuers, KeyStrength};
use crate::jwks::board::FORMAT;
use crate::jwks::content::Kind;
use crate::jwks::key_store::KeyStore;
use crate::jwks::schedule::{
    FIRST_BACK_OFF, FetchSettings, MAX_BACK_OFF, MAX_BACK_OFF_WITHOUT_KEYS,
};
use crate::jwks::source::{Address, Source};
use crate::jwks::{KeyState, Keys};
use crate::policy::evaluate::{Evaluation, Patience, Wanted};
use crate::policy::known_token::KnownToken;
use crate::policy::logout::LogoutReceiver;
use crate::policy::provider::{MAX_KEY_WAIT, MIN_KEY_WAIT};
use crate::policy::requirement::Names;
use crate::policy::{Policy, Provider, ProviderIndex, RemoteKeys};
use crate::revocation::deny_list::Handles;
use crate::sorted;

/// Default `poll_interval`: how long a revoked token goes on at most, if all is well.
const DEFAULT_POLL_INTERVAL: Duration = Duration::from_secs(10);
/// Default `stale_if_error`: long enough to restart what keeps the list, short enough that nobody can
/// undo a logout by keeping the gate from it.
const DEFAULT_STALE_IF_ERROR: Duration = Duration::from_secs(300);
/// The least time between two fetches for the sake of requests that wait.
const COOLDOWN: Duration = Duration::from_secs(2);
/// The claims that lists look at beside `iss`, `sub` and `iat`, which are at hand anyway.
const CLAIMS: [&str; 4] = ["jti", "sid", "client_id", "azp"];

/// A list of revoked tokens.
#[derive(Debug)]
pub struct RemoteList {
    /// The provider whose tokens it is about, and its places; none: all of them.
    owner: Option<(String, Range<ProviderIndex>)>,
    /// How to fetch it.
    pub remote: RemoteKeys,
    /// How long a request waits for it.
    pub wait: Duration,
    /// What becomes of tokens while it cannot be had.
    when_unavailable: WhenUnavailable,
}

/// All lists of a configuration.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// The place of the first one among the keys.
    first: usize,
    all: Vec<RemoteList>,
    /// Where a provider tells of logouts.
    pub(super) logout: Option<LogoutReceiver>,
}

/// What the configuration says.
pub(super) struct Written {
    /// The provider's name, and its list.
    lists: Vec<(Option<String>, PolledList)>,
    logout: Option<Logout>,
}

/// Where lists are, and where logouts arrive.
pub(super) fn compile(
    written: Written,
    names: &Names,
    sharing: &KeySharing,
    providers: &mut [Provider],
    errors: &Errors,
) -> Lists {
    let Written { lists, logout } = written;
    let all = Lists::compile(lists, names, sharing, providers, errors);
    let logout =
        logout.and_then(|wire| LogoutReceiver::compile(wire, names, sharing, providers, errors));
    Lists { first: 0, all, logout }
}

/// Takes the lists out of a configuration.
pub(super) fn take(config: &mut Config) -> Written {
    let own = config.revocation.take().unwrap_or_default();
    let providers = config.providers.iter_mut().filter_map(|(name, provider)| {
        let list = provider.revocation.take()?.list?;
        Some((Some(name.clone()), list))
    });
    let lists = own.list.map(|list| (None, list)).into_iter().chain(providers).collect();
    Written { lists, logout: own.logout }
}

impl Lists {
    fn compile(
        written: Vec<(Option<String>, PolledList)>,
        names: &Names,
        sharing: &KeySharing,
        providers: &mut [Provider],
        errors: &Errors,
    ) -> Vec<RemoteList> {
        let all = written.into_iter().filter_map(|(name, list)| {
            let places = name.as_ref().and_then(|name| names.provider(name).ok());
            RemoteList::compile(name.zip(places), list, sharing, errors)
        });
        let all: Vec<_> = all.collect();
        for (index, provider) in providers.iter_mut().enumerate() {
            if all.iter().any(|list| list.is_about(index)) {
                let mut claims = std::mem::take(&mut provider.claims_read);
                claims.extend(CLAIMS.map(str::to_owned));
                provider.claims_read = sorted::list(claims);
            }
        }
        all
    }

    /// The reason for which a request is refused that may not wait for this.
    pub(super) fn reason_without(&self, wanted: &[Wanted]) -> Reason {
        let is_list = |wanted: &Wanted| wanted.provider >= self.first || wanted.list.is_some();
        match wanted.iter().all(is_list) {
            true => Reason::RevocationUnavailable,
            false => Reason::KeysUnavailable,
        }
    }
}

impl RemoteList {
    fn compile(
        owner: Option<(String, Range<ProviderIndex>)>,
        wire: PolledList,
        sharing: &KeySharing,
        errors: &Errors,
    ) -> Option<Self> {
        let address = Address::parse(&wire.uri, &wire.cluster);
        if address.is_none() && !wire.uri.is_empty() {
            let above = owner.as_ref().map(|(name, _)| member_path("providers", name) + ".");
            let path = format!("{}revocation.list.http_uri.uri", above.unwrap_or_default());
            errors.push(&path, "expected an address such as https://logout.example/revoked.json");
        }
        let source = Source::At(address?);
        let poll = wire.poll_interval.unwrap_or(DEFAULT_POLL_INTERVAL);
        let settings = FetchSettings {
            fresh_for: poll,
            // How often is the configuration's matter alone.
            fresh_at_least: poll,
            stale_for: wire.stale_if_error.unwrap_or(DEFAULT_STALE_IF_ERROR),
            timeout: wire.timeout,
            cooldown: COOLDOWN,
            first_back_off: FIRST_BACK_OFF,
            // Not as often as the list is polled: while there is none, requests that come shortly
            // before an attempt wait for it.
            longest_back_off: poll.clamp(MAX_BACK_OFF_WITHOUT_KEYS, MAX_BACK_OFF),
            // Of no matter to a list.
            strength: KeyStrength::Required,
            issuers: KeyIssuers::Ignored,
        };
        let timeout = settings.timeout.as_millis().to_string();
        let shared_as = (!sharing.disabled).then(|| {
            let more = ["revoked", sharing.secret.as_str(), &timeout];
            let digest = source.digest(&wire.request_headers, &more);
            format!("jwt_gate/{FORMAT}/{digest}")
        });
        let look_up = settings.cooldown.saturating_add(settings.timeout);
        Some(Self {
            owner,
            remote: RemoteKeys {
                source,
                accept: "application/json",
                headers: wire.request_headers,
                settings,
                shared_as,
            },
            wait: look_up.clamp(MIN_KEY_WAIT, MAX_KEY_WAIT),
            when_unavailable: wire.when_unavailable,
        })
    }

    /// The list as it is before the first fetch.
    pub fn store(&self) -> Keys {
        let RemoteKeys { settings, source, shared_as, .. } = &self.remote;
        let store = KeyStore::new(*settings, source.clone(), shared_as.is_some());
        Keys::Remote { store: Box::new(store.of_kind(Kind::DenyList)), fallback: None }
    }

    /// The provider whose tokens it is about; none: those of all.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_ref().map(|(name, _)| name.as_str())
    }

    /// Whether tokens pass while it cannot be had.
    pub fn fails_open(&self) -> bool {
        self.when_unavailable == WhenUnavailable::Allow
    }

    fn is_about(&self, provider: ProviderIndex) -> bool {
        self.owner.as_ref().is_none_or(|(_, places)| places.contains(&provider))
    }
}

impl Policy {
    /// Gives every list its place: behind the keys of all providers, the candidate's last. Places
    /// are counted from the policy's own first provider.
    pub(super) fn place_lists(&mut self) {
        self.lists.first = self.all_providers().count();
        let own = self.lists.all.len();
        if let Some(shadow) = &mut self.shadow {
            shadow.lists.first = shadow.providers.len().saturating_add(own);
        }
    }

    /// Its own lists, and behind them the candidate's.
    pub fn all_lists(&self) -> impl Iterator<Item = &RemoteList> {
        let shadow = self.shadow.iter().flat_map(|shadow| &shadow.lists.all);
        self.lists.all.iter().chain(shadow)
    }

    /// The list at this place, and whether it is the candidate's.
    pub fn list_at(&self, place: usize) -> Option<(&RemoteList, bool)> {
        let index = place.checked_sub(self.lists.first)?;
        Some((self.all_lists().nth(index)?, index >= self.lists.all.len()))
    }

    /// How long a request waits for what has this place.
    pub fn wait_for(&self, place: usize) -> Option<Duration> {
        let keys = self.all_providers().nth(place).map(|provider| provider.key_wait);
        keys.or_else(|| self.list_at(place).map(|(list, _)| list.wait))
    }
}

impl Evaluation<'_> {
    /// Refuses a verified token that was revoked since, or of which nobody knows; returns the lists
    /// that have to be waited for.
    pub(super) fn compare_with_lists(
        self,
        provider: ProviderIndex,
        known: &KnownToken,
    ) -> Result<Vec<Wanted>, Denial> {
        let Lists { first, all, .. } = &self.policy.lists;
        let (logouts, mut wanted) = (self.standing.logouts, Vec::new());
        // The usual case should cost nothing.
        if all.is_empty() && logouts.is_empty() {
            return Ok(wanted);
        }
        let token = handles(known);
        if logouts.revoke(&token) {
            return Err(Reason::TokenRevoked.into());
        }
        for (index, list) in all.iter().enumerate().filter(|(_, list)| list.is_about(provider)) {
            let place = first.saturating_add(index);
            let store = self.keys.get(place).and_then(Keys::remote);
            let store = store.ok_or(Reason::ConfigurationInvalid)?;
            let retry_after = match store.deny_list(self.now) {
                KeyState::Ready(list) if list.revokes(&token) => {
                    return Err(Reason::TokenRevoked.into());
                }
                KeyState::Ready(_) => continue,
                KeyState::Pending if self.patience != Patience::Exhausted => {
                    wanted.push(Wanted { provider: place, kid: None, list: None });
                    continue;
                }
                KeyState::Pending => Duration::ZERO,
                KeyState::Unavailable { retry_after } => retry_after,
            };
            match list.when_unavailable {
                WhenUnavailable::Allow => self.budget.note_uncompared(),
                WhenUnavailable::Deny => {
                    let retry_after = Some(retry_after);
                    return Err(Denial { retry_after, ..Reason::RevocationUnavailable.into() });
                }
            }
        }
        Ok(wanted)
    }
}

fn handles(known: &KnownToken) -> Handles<'_> {
    let text = |name: &str| known.facts.get(name).and_then(Value::as_str);
    let claims = &known.claims;
    Handles {
        iss: claims.iss.as_deref(),
        sub: claims.sub.as_deref(),
        jti: text("jti"),
        sid: text("sid"),
        clients: [text("client_id"), text("azp")],
        iat: claims.iat,
    }
}
