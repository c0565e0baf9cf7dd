//! Proofs of possession (RFC 9449): a request shows that whoever sends it has the key to which its token
//! is bound. A proof is checked for every request; what is kept of it is that it was used, and
//! its key, with the token that is bound to it.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::claims::whole_seconds;
use crate::config::possession as wire;
use crate::config::reader::Errors;
use crate::denial::{Denial, Misuse, Reason};
use crate::extract::TokenLocation;
use crate::jose::algorithm::{ALGORITHMS, Algorithm, Family, Hash};
use crate::jose::base64url;
use crate::jose::hmac_key::HmacKey;
use crate::jose::jwk::Jwk;
use crate::jose::jws::Parts;
use crate::jose::self_signed::{KnownKey, SelfSigned};
use crate::json::{Members, Node};
use crate::policy::dpop_target::Origins;
use crate::policy::evaluate::Evaluation;
use crate::policy::possession::{BoundKey, JTI, misused};
use crate::single_use::{Kind, Use, mark};
use crate::time::UnixTime;

/// Native to browsers and small: what RFC 9449's own examples use, and its like.
const DEFAULT_ALGORITHMS: [&str; 2] = ["ES256", "EdDSA"];
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(60);
const DEFAULT_NONCE_LIFETIME: Duration = Duration::from_secs(300);
/// Section 4.2.
const TYPE: &str = "dpop+jwt";
const HEADER: &str = "dpop";
/// What is signed to make a nonce, in front of the time.
const NONCE: &[u8] = b"jwt-gate dpop nonce ";

/// `dpop`, compiled.
#[derive(Debug)]
pub(super) struct Dpop {
    algorithms: Vec<Algorithm>,
    /// For challenges and metadata, separated by spaces.
    names: String,
    max_age: Duration,
    origins: Origins,
    nonces: Option<Nonces>,
}

/// Nonces that follow from the time: no worker has to remember any, and a plugin has no randomness.
struct Nonces {
    key: HmacKey,
    lifetime: u64,
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the key.
        self.lifetime.fmt(f)
    }
}

impl Dpop {
    pub(super) fn compile(wire: &wire::Dpop, path: &str, errors: &Errors) -> Self {
        let is_public = |own: &Algorithm| !matches!(own.family, Family::Hmac(_));
        let mut algorithms = Vec::new();
        for name in &wire.algorithms {
            match Algorithm::from_name(name).filter(is_public) {
                Some(algorithm) => algorithms.push(algorithm),
                None => {
                    let known = ALGORITHMS.iter().filter(|own| is_public(own));
                    let known: Vec<_> = known.map(|own| own.name).collect();
                    let message = format!("expected some of: {}", known.join(", "));
                    errors.push(&format!("{path}.dpop.algorithms"), message);
                }
            }
        }
        if wire.algorithms.is_empty() {
            algorithms.extend(DEFAULT_ALGORITHMS.into_iter().filter_map(Algorithm::from_name));
        }
        let names: Vec<_> = algorithms.iter().map(|own| own.name).collect();
        Self {
            names: names.join(" "),
            algorithms,
            max_age: wire.max_age.unwrap_or(DEFAULT_MAX_AGE),
            origins: Origins::compile(&wire.origins, &format!("{path}.dpop.origins"), errors),
            nonces: wire.nonce.as_ref().map(|wire| Nonces {
                key: HmacKey::new(wire.secret.clone().into_bytes()),
                lifetime: wire.lifetime.unwrap_or(DEFAULT_NONCE_LIFETIME).as_secs(),
            }),
        }
    }

    /// How old proofs may be.
    pub(super) fn max_age(&self) -> Duration {
        self.max_age
    }

    /// The algorithms of proofs, separated by spaces.
    pub(super) fn algorithm_names(&self) -> &str {
        &self.names
    }

    /// Where tokens are that come with a proof.
    pub(super) fn location() -> TokenLocation {
        TokenLocation::Header { name: "authorization".to_owned(), prefix: "DPoP ".to_owned() }
    }

    /// Where the proof is.
    pub(super) fn proof_location() -> TokenLocation {
        TokenLocation::Header { name: HEADER.to_owned(), prefix: String::new() }
    }
}

impl Nonces {
    /// The nonce of the time `slot`.
    fn of(&self, slot: u64) -> Option<String> {
        let signature = self.key.sign_sha256(&[NONCE, &slot.to_be_bytes()].concat())?;
        Some(URL_SAFE_NO_PAD.encode(signature))
    }

    fn slot(&self, now: UnixTime) -> u64 {
        now.as_secs().checked_div(self.lifetime).unwrap_or_default()
    }

    /// Whether it was handed out in this slot or the one before.
    fn takes(&self, nonce: &str, now: UnixTime) -> bool {
        let Ok(nonce) = base64url::decode(nonce.as_bytes()) else { return false };
        let slot = self.slot(now);
        [slot, slot.saturating_sub(1)].into_iter().any(|slot| {
            let input = [NONCE, &slot.to_be_bytes()].concat();
            self.key.verify(Hash::Sha256, &input, &nonce)
        })
    }
}

impl Evaluation<'_> {
    /// Checks the proof of a request with a token that is bound to `key` (RFC 9449 section 4.3), what
    /// costs nothing first. Returns what is used up by it.
    pub(super) fn check_proof(
        self,
        dpop: &Dpop,
        clock_skew: Duration,
        key: &BoundKey,
        location: &TokenLocation,
    ) -> Result<Use, Denial> {
        if *location != Dpop::location() {
            return Err(misused(Misuse::SentAsBearer));
        }
        let mut proofs = self.head.values(HEADER);
        let proof = proofs.next().ok_or(misused(Misuse::ProofMissing))?;
        if proofs.next().is_some() {
            return Err(misused(Misuse::ProofRepeated));
        }
        if !self.budget.spend_octets(proof.len()) {
            return Err(Reason::TooManyTokens.into());
        }
        let malformed = || misused(Misuse::ProofMalformed);
        let parts = Parts::of(proof).map_err(|_| malformed())?;
        let known = KnownKey { thumbprint: &key.jkt, key: key.proven.0.get() };
        let proof = SelfSigned::parse(&parts, known).ok_or_else(malformed)?;
        let typ = proof.header().typ.as_deref();
        if !typ.is_some_and(|typ| typ.eq_ignore_ascii_case(TYPE)) {
            return Err(malformed());
        }
        if !dpop.algorithms.contains(&proof.header().algorithm) {
            return Err(misused(Misuse::ProofAlgorithm));
        }
        if proof.thumbprint() != key.jkt {
            return Err(misused(Misuse::ProofKey));
        }
        let claims = Claims::read(proof.unverified_claims()).ok_or_else(malformed)?;
        if self.head.value(":method") != Some(claims.htm.as_bytes()) {
            return Err(misused(Misuse::ProofMethod));
        }
        if !dpop.origins.fit(&claims.htu, self.head) {
            return Err(misused(Misuse::ProofTarget));
        }
        if claims.ath != key.ath {
            return Err(misused(Misuse::ProofToken));
        }
        let (now, skew) = (self.now.as_secs(), clock_skew.as_secs());
        let until = claims.iat.saturating_add(dpop.max_age.as_secs()).saturating_add(skew);
        if claims.iat > now.saturating_add(skew) || now > until {
            return Err(misused(Misuse::ProofAge));
        }
        if let Some(nonces) = &dpop.nonces
            && !claims.nonce.is_some_and(|nonce| nonces.takes(&nonce, self.now))
        {
            let nonce = nonces.of(nonces.slot(self.now));
            let asked = nonce.map(Into::into);
            return Err(Denial { asked, ..misused(Misuse::ProofNonce) });
        }
        let mark = mark(Kind::Proof, &[key.jkt.as_bytes(), claims.jti.as_bytes()]);
        if !self.budget.spend_signature() {
            return Err(Reason::TooManyTokens.into());
        }
        let (_, new) = proof.verify(known).map_err(|_| misused(Misuse::ProofSignature))?;
        if let Some(mut new) = new {
            new.share_memory(&self.policy.client_table_memory);
            // Nobody else has set it: this is the only thread.
            let _ = key.proven.0.set(new);
        }
        if key.proven.0.get().is_some_and(Jwk::is_distrusted) {
            self.budget.note_distrusted_key();
        }
        // As long as any provider would take it.
        let until = claims.iat.saturating_add(self.policy.longest_proof);
        Ok(Use { kind: Kind::Proof, mark, until })
    }
}

/// What a proof says (RFC 9449 section 4.2).
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    ath: String,
    iat: u64,
    nonce: Option<String>,
}

impl Claims {
    /// None: one is missing, or of another type.
    fn read(claims: &Members<'_>) -> Option<Self> {
        let text = |name| claims.get(name)?.as_text().map(str::to_owned);
        let iat = match claims.get("iat")? {
            Node::Number(number) => whole_seconds(number)?,
            _ => return None,
        };
        let nonce = match claims.get("nonce") {
            None => None,
            Some(nonce) => Some(nonce.as_text()?.to_owned()),
        };
        let jti = text(JTI).filter(|jti| !jti.is_empty())?;
        Some(Self { jti, htm: text("htm")?, htu: text("htu")?, ath: text("ath")?, iat, nonce })
    }
}
