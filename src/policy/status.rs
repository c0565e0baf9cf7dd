//! Token Status Lists: where a token's state stands, and what it comes to.
//!
//! Which list a token names is its issuer's word, since only verified tokens are looked at; which hosts
//! are asked is the configuration's alone.

mod look_up;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use crate::config;
use crate::config::KeySharing;
use crate::denial::Reason;
use crate::jose::jwk::{KeyIssuers, KeyStrength};
use crate::jwks::board::FORMAT;
use crate::jwks::content::Kind;
use crate::jwks::key_store::KeyStore;
use crate::jwks::schedule::{FIRST_BACK_OFF, FetchSettings, MAX_BACK_OFF};
use crate::jwks::source::{Address, Source};
use crate::policy::provider::{MAX_KEY_WAIT, MIN_KEY_WAIT};
use crate::policy::{Provider, ProviderIndex, RemoteKeys};
use crate::revocation::logouts::Logouts;
use crate::time::UnixTime;

/// Default `cache_duration`.
const DEFAULT_CACHE: Duration = Duration::from_secs(300);
/// The shortest, whatever `ttl` says: lists are fetched for everybody together.
const SHORTEST_CACHE: Duration = Duration::from_secs(10);
/// Default `stale_if_error`.
const DEFAULT_STALE: Duration = Duration::from_secs(300);
/// Default `max_lists`.
const DEFAULT_LISTS: u32 = 16;
/// Default `max_octets`: the states of eight million tokens, one bit each.
const DEFAULT_OCTETS: u32 = 1024 * 1024;
/// The least time between two fetches for the sake of requests that wait.
const COOLDOWN: Duration = Duration::from_secs(2);
/// A list that nobody asked for so long is no longer kept fresh; a new one may take its place earlier.
const UNUSED: Duration = Duration::from_secs(600);
/// How long one that was asked for is safe from new ones: else a few lists too many would all be
/// fetched again and again.
const IN_USE: Duration = Duration::from_secs(60);

/// How a provider's lists are fetched.
#[derive(Debug)]
pub(super) struct StatusLists {
    wire: config::status_list::StatusLists,
    shared: Option<String>,
}

/// The list that a token names, and its number there.
struct Reference<'a> {
    uri: &'a str,
    index: u64,
}

impl<'a> Reference<'a> {
    /// What the claim `status` says (section 6.2); none: nothing of a status list.
    fn of(status: Option<&'a Value>) -> Option<Result<Self, Reason>> {
        let list = match status? {
            Value::Object(status) => status.get("status_list")?,
            _ => return Some(Err(Reason::StatusUnacceptable)),
        };
        let uri = list.get("uri").and_then(Value::as_str);
        let index = list.get("idx").and_then(Value::as_u64);
        Some(match (uri, index) {
            (Some(uri), Some(index)) => Ok(Self { uri, index }),
            _ => Err(Reason::StatusUnacceptable),
        })
    }
}

impl StatusLists {
    pub(super) fn compile(wire: config::status_list::StatusLists, sharing: &KeySharing) -> Self {
        Self { wire, shared: (!sharing.disabled).then(|| sharing.secret.clone()) }
    }

    /// How long a request waits for a list.
    pub(super) fn wait(&self) -> Duration {
        COOLDOWN.saturating_add(self.wire.timeout).clamp(MIN_KEY_WAIT, MAX_KEY_WAIT)
    }

    /// The address, if it is `https` and on a host with a cluster.
    fn address(&self, uri: &str) -> Option<Address> {
        let address = Address::parse(uri, "").filter(|address| address.scheme == "https")?;
        let cluster = self.wire.clusters.get(&address.authority)?.clone();
        Some(Address { cluster, ..address })
    }

    fn most_octets(&self) -> usize {
        self.wire.max_octets.unwrap_or(DEFAULT_OCTETS) as usize
    }

    fn remote(&self, uri: &str) -> Option<RemoteKeys> {
        let wire = &self.wire;
        let source = Source::At(self.address(uri)?);
        let fresh_for = wire.cache_duration.unwrap_or(DEFAULT_CACHE);
        let timeout = wire.timeout.as_millis().to_string();
        let shared_as = self.shared.as_ref().map(|secret| {
            let digest = source.digest(&wire.request_headers, &["status", secret, &timeout]);
            format!("jwt_gate/{FORMAT}/{digest}")
        });
        Some(RemoteKeys {
            source,
            accept: "application/statuslist+jwt",
            headers: wire.request_headers.clone(),
            settings: FetchSettings {
                fresh_for,
                fresh_at_least: SHORTEST_CACHE.min(fresh_for),
                stale_for: wire.stale_if_error.unwrap_or(DEFAULT_STALE),
                timeout: wire.timeout,
                cooldown: COOLDOWN,
                first_back_off: FIRST_BACK_OFF,
                longest_back_off: MAX_BACK_OFF,
                // Of no matter to a list.
                strength: KeyStrength::Required,
                issuers: KeyIssuers::Ignored,
            },
            shared_as,
        })
    }
}

/// What is known of tokens that are good no longer.
#[derive(Clone, Copy)]
pub struct Standing<'a> {
    /// The logouts that this gate was told of.
    pub logouts: &'a Logouts,
    /// The lists of token states that are kept.
    pub statuses: &'a Statuses,
    /// The place by which those know the policy's first provider.
    pub first: ProviderIndex,
}

/// The lists that tokens named lately.
#[derive(Default)]
pub struct Statuses {
    all: Vec<Kept>,
    next: usize,
}

/// A list that is kept fresh.
pub struct Kept {
    /// A number that no other one ever had: answers may come late.
    place: usize,
    /// Whose tokens name it.
    pub provider: ProviderIndex,
    /// Its address, as tokens say it.
    pub uri: Rc<str>,
    /// How to fetch it.
    pub remote: RemoteKeys,
    /// The list.
    pub store: KeyStore,
    used: Cell<UnixTime>,
}

impl Statuses {
    /// None yet; the places before this one are taken by others.
    pub fn behind(places: usize) -> Self {
        Self { all: Vec::new(), next: places }
    }

    /// The places of all lists.
    pub fn places(&self) -> Vec<usize> {
        self.all.iter().map(|kept| kept.place).collect()
    }

    /// All of them.
    pub fn stores(&self) -> impl Iterator<Item = &KeyStore> {
        self.all.iter().map(|kept| &kept.store)
    }

    /// The list at this place.
    pub fn get(&self, place: usize) -> Option<&Kept> {
        self.all.iter().find(|kept| kept.place == place)
    }

    /// The list at this place.
    pub fn get_mut(&mut self, place: usize) -> Option<&mut Kept> {
        self.all.iter_mut().find(|kept| kept.place == place)
    }

    /// Moves all times back, after the clock did.
    pub fn shift_back(&mut self, span: Duration) {
        for kept in &mut self.all {
            kept.store.shift_back(span);
            kept.used.set(kept.used.get().before(span));
        }
    }

    fn find(&self, provider: ProviderIndex, uri: &str) -> Option<&Kept> {
        self.all.iter().find(|kept| kept.provider == provider && &*kept.uri == uri)
    }

    /// Whether there is room for one more: an empty place, or one that was not in use lately.
    fn has_room(&self, provider: ProviderIndex, most: u32, now: UnixTime) -> bool {
        let in_use = self
            .all
            .iter()
            .filter(|kept| kept.provider == provider && now.since(kept.used.get()) < IN_USE);
        in_use.count() < most as usize
    }

    /// Somebody waits for this list: it is kept from now on.
    pub fn want(
        &mut self,
        provider: ProviderIndex,
        uri: &Rc<str>,
        settings: Option<&Provider>,
        now: UnixTime,
    ) {
        let found = self.all.iter_mut();
        let mut found = found.filter(|kept| kept.provider == provider && kept.uri == *uri);
        if let Some(kept) = found.next() {
            kept.store.want();
            return;
        }
        drop(found);
        let Some(lists) = settings.and_then(|provider| provider.status_lists.as_ref()) else {
            return;
        };
        let most = lists.wire.max_lists.unwrap_or(DEFAULT_LISTS);
        let own = || self.all.iter().filter(|kept| kept.provider == provider);
        if own().count() >= most as usize {
            if !self.has_room(provider, most, now) {
                return;
            }
            let oldest = own().min_by_key(|kept| kept.used.get()).map(|kept| kept.place);
            self.all.retain(|kept| Some(kept.place) != oldest);
        }
        let Some(remote) = lists.remote(uri) else { return };
        let RemoteKeys { settings, source, shared_as, .. } = &remote;
        let store = KeyStore::new(*settings, source.clone(), shared_as.is_some());
        let mut store = store.of_kind(Kind::StatusList);
        store.want();
        let (uri, used) = (Rc::clone(uri), Cell::new(now));
        self.all.push(Kept { place: self.next, provider, uri, remote, store, used });
        self.next = self.next.saturating_add(1);
    }

    /// Forgets those that nobody asked for lately.
    pub fn forget_unused(&mut self, now: UnixTime) {
        self.all.retain(|kept| now.since(kept.used.get()) < UNUSED);
    }
}
