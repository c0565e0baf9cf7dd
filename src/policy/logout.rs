//! The address at which a provider tells of logouts (OpenID Connect Back-Channel Logout 1.0), and what
//! makes a logout token a good one.

use std::ops::Range;
use std::time::Duration;

use crate::claims::RegisteredClaims;
use crate::config::KeySharing;
use crate::config::reader::Errors;
use crate::config::revocation::Logout;
use crate::jose::jws::{Parts, UnverifiedJws};
use crate::json::Node;
use crate::jwks::board::FORMAT;
use crate::jwks::source::digest_of;
use crate::jwks::{KeyState, Keys, UnknownKid};
use crate::policy::check::is_media_type;
use crate::policy::evaluate::Wanted;
use crate::policy::provider::comparable;
use crate::policy::requirement::Names;
use crate::policy::{Policy, Provider, ProviderIndex, Served};
use crate::request::RequestHead;
use crate::revocation::logouts::{MAX_NAME, When, Who};
use crate::time::UnixTime;

/// The member of `events` that makes a token one of logout (section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Default `remember_for`: longer than most access tokens live.
const DEFAULT_REMEMBER: Duration = Duration::from_secs(3600);
/// How long a provider may take to deliver a logout token.
const MAX_AGE: Duration = Duration::from_secs(300);

/// Where a provider tells of logouts.
#[derive(Debug)]
pub struct LogoutReceiver {
    pub(super) path: String,
    providers: Range<ProviderIndex>,
    clients: Vec<String>,
    all_sessions: bool,
    /// How long a logout is remembered.
    pub remember_for: Duration,
    /// The name under which workers share them; none: they do not.
    pub shared_as: Option<String>,
}

/// Why a logout token is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoLogout {
    /// Claims that are absent or wrong.
    Claims,
    /// Not a form with one `logout_token`.
    Form,
    /// Of another provider, or for other clients.
    NotForUs,
    /// Too old, or ahead of the clock.
    Time,
    /// Not a token, or not one of this kind.
    Token,
    /// The keys cannot be had now.
    Unknown(Option<Wanted>),
    /// No key of the provider made the signature.
    Unsigned,
}

impl NoLogout {
    /// The name in the log and in counters.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Claims => "claims",
            Self::Form => "form",
            Self::NotForUs => "not_for_us",
            Self::Time => "time",
            Self::Token => "token",
            Self::Unknown(_) => "keys_unavailable",
            Self::Unsigned => "signature",
        }
    }
}

impl LogoutReceiver {
    pub(super) fn compile(
        wire: Logout,
        names: &Names,
        sharing: &KeySharing,
        providers: &mut [Provider],
        errors: &Errors,
    ) -> Option<Self> {
        let path = "revocation.logout";
        let places = names.provider(&wire.provider_name).unwrap_or_else(|known| {
            let text = format!("no provider is called `{}`; there is: {known}", wire.provider_name);
            errors.push(&format!("{path}.provider_name"), text);
            0..0
        });
        let mut own = providers.iter_mut().enumerate().filter(|(place, _)| places.contains(place));
        if own.any(|(_, provider)| {
            // Sessions and users are an issuer's own.
            provider.claims_read.extend(["sid".to_owned()]);
            provider.issuers.fit(None).is_some()
        }) {
            errors.push(&format!("{path}.provider_name"), "the provider needs its `issuer`");
        }
        let remember_for = wire.remember_for.unwrap_or(DEFAULT_REMEMBER);
        let seconds = remember_for.as_secs().to_string();
        let parts = [sharing.secret.as_str(), &wire.provider_name, &wire.path, &seconds];
        let shared_as =
            (!sharing.disabled).then(|| format!("jwt_gate/{FORMAT}/{}/logouts", digest_of(&parts)));
        Some(Self {
            path: wire.path,
            providers: places,
            clients: comparable(&wire.client_ids),
            all_sessions: wire.all_sessions,
            remember_for,
            shared_as,
        })
    }

    /// Reads the body of a request that tells of a logout: who is out, and since when.
    pub fn read(
        &self,
        policy: &Policy,
        body: &[u8],
        keys: &[Keys],
        now: UnixTime,
    ) -> Result<(Vec<Who>, When), NoLogout> {
        let token = form_field(body).ok_or(NoLogout::Form)?;
        let parts = Parts::of(token).map_err(|_| NoLogout::Token)?;
        let jws = UnverifiedJws::parse(&parts).and_then(UnverifiedJws::decode_signature);
        let jws = jws.map_err(|_| NoLogout::Token)?;
        // Section 2.4 recommends the first; providers of before the final version say the others.
        let kinds = ["logout+jwt", "jwt"];
        let typ = jws.header().typ.as_deref();
        if typ.is_some_and(|typ| !kinds.iter().any(|kind| is_media_type(typ, kind))) {
            return Err(NoLogout::Token);
        }
        let members = jws.unverified_claims();
        let claims = RegisteredClaims::read(members).map_err(|_| NoLogout::Claims)?;
        let iss = claims.iss.as_deref();
        let is_of = |place: &ProviderIndex| {
            let provider = policy.providers.get(*place);
            provider.is_some_and(|provider| provider.issuers.fit(iss).is_some())
        };
        let place = self.providers.clone().find(is_of).ok_or(NoLogout::NotForUs)?;
        let provider = policy.providers.get(place).ok_or(NoLogout::NotForUs)?;
        if !claims.is_for_any(&self.clients) {
            return Err(NoLogout::NotForUs);
        }
        let skew = provider.clock_skew;
        if claims.is_older_than(MAX_AGE, now, skew)
            || claims.is_expired(now, skew)
            || claims.is_not_yet_valid(now, skew)
        {
            return Err(NoLogout::Time);
        }
        let text = |name: &str| members.get(name).map(|value| value.as_text().unwrap_or_default());
        let event = members.get("events").and_then(Node::as_object);
        let is_logout = event.is_some_and(|events| {
            events.get(EVENT).is_some_and(|event| event.as_object().is_some())
        });
        let (sid, sub) = (text("sid"), claims.sub.as_deref());
        let is_name = |name: &str| !name.is_empty() && name.len() <= MAX_NAME;
        let sound = is_logout
            // An ID token has one, and must not pass for this (section 2.4).
            && members.get("nonce").is_none()
            && text("jti").is_some_and(|jti| !jti.is_empty())
            && (sid.is_some() || sub.is_some())
            && sid.into_iter().chain(sub).all(is_name);
        if !sound {
            return Err(NoLogout::Claims);
        }
        let (iss, iat) = iss.zip(claims.iat).ok_or(NoLogout::Claims)?;
        let own = |text: &str| Some(text.to_owned());
        let session = sid.map(|sid| Who { iss: iss.to_owned(), sid: own(sid), sub: None });
        let user = sub.filter(|_| sid.is_none() || self.all_sessions);
        let user = user.map(|sub| Who { iss: iss.to_owned(), sid: None, sub: own(sub) });
        let who = session.into_iter().chain(user).collect();
        let until = now.after(self.remember_for).as_secs();
        let own = keys.get(place).ok_or(NoLogout::Unknown(None))?;
        let wait = |kid: Option<&str>| {
            let kid = kid.map(str::to_owned);
            Err(NoLogout::Unknown(Some(Wanted { provider: place, kid, list: None })))
        };
        let KeyState::Ready(set) = own.state(now) else { return wait(None) };
        let candidates = set.candidates(jws.header(), Some(iss));
        if candidates.is_empty()
            && let Some(kid) = jws.header().kid.as_deref().filter(|kid| !set.names(kid))
            && matches!(own.unknown_kid(kid, now, now), UnknownKid::Wait)
        {
            return wait(Some(kid));
        }
        match jws.verify(candidates.into_iter()) {
            Ok(_) => Ok((who, When { at: iat, until })),
            Err(_) => Err(NoLogout::Unsigned),
        }
    }
}

impl Policy {
    /// Where a provider tells of logouts.
    pub fn logout(&self) -> Option<&LogoutReceiver> {
        self.lists.logout.as_ref()
    }

    /// Whether this request is one to the address for logouts: it is to be read, or answered like this.
    pub fn receives(&self, head: &RequestHead) -> Option<Result<(), Served>> {
        let receiver = self.logout()?;
        if head.path() != receiver.path.as_bytes() {
            return None;
        }
        match head.value(":method") {
            Some(b"POST") => Some(Ok(())),
            _ => {
                let headers = vec![("allow", "POST"), NO_STORE];
                Some(Err(Served { status: 405, headers, body: String::new() }))
            }
        }
    }
}

/// Section 2.8: answers are not to be kept.
const NO_STORE: (&str, &str) = ("cache-control", "no-store");

/// The answer to a request that told of a logout.
pub fn logout_answer(outcome: Result<(), &NoLogout>) -> Served {
    let (status, body) = match outcome {
        Ok(()) => (200, ""),
        Err(NoLogout::Unknown(_)) => (503, ""),
        Err(_) => (400, r#"{"error":"invalid_request"}"#),
    };
    let mut headers = vec![NO_STORE];
    if status == 503 {
        headers.push(("retry-after", "1"));
    }
    if !body.is_empty() {
        headers.push(("content-type", "application/json"));
    }
    Served { status, headers, body: body.to_owned() }
}

/// The one field `logout_token` of a form. Nothing in a token needs to be escaped, so nothing is read
/// that is.
fn form_field(body: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"logout_token=";
    let mut found = body.split(|octet| *octet == b'&').filter_map(|pair| pair.strip_prefix(NAME));
    found.next().filter(|_| found.next().is_none())
}
