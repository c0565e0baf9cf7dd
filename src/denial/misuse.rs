//! Tokens that are good, and are not good for this: used before, or in the wrong hands.

/// What is wrong about how a token is used.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Misuse {
    /// It is bound to a client certificate, and there is another one.
    CertificateMismatch,
    /// It is bound to a client certificate, and there is none.
    CertificateMissing,
    /// It is bound to nobody, and must be.
    ConfirmationMissing,
    /// It is bound in a way that nobody here can check (RFC 7800 section 3.1).
    ConfirmationUnknown,
    /// What was used cannot be remembered: our fault, not the client's.
    MemoryFull,
    /// It is sent as one that is bound to a key, and is not.
    NotBound,
    /// The proof is too old, or not of this time yet.
    ProofAge,
    /// The proof has an algorithm that is not taken.
    ProofAlgorithm,
    /// The proof is one of another key.
    ProofKey,
    /// The proof is none.
    ProofMalformed,
    /// The proof is for another method.
    ProofMethod,
    /// There is no proof.
    ProofMissing,
    /// The proof has no nonce, or an old one.
    ProofNonce,
    /// There is more than one proof.
    ProofRepeated,
    /// The proof was used before.
    ProofReplayed,
    /// The signature of the proof does not fit.
    ProofSignature,
    /// The proof is for another address.
    ProofTarget,
    /// The proof is for another token.
    ProofToken,
    /// It was used before, and may be used once.
    Replayed,
    /// It is bound to a key, and is sent like one that is not.
    SentAsBearer,
}

impl Misuse {
    /// Every one.
    pub(super) const ALL: [Self; 20] = [
        Self::CertificateMismatch,
        Self::CertificateMissing,
        Self::ConfirmationMissing,
        Self::ConfirmationUnknown,
        Self::MemoryFull,
        Self::NotBound,
        Self::ProofAge,
        Self::ProofAlgorithm,
        Self::ProofKey,
        Self::ProofMalformed,
        Self::ProofMethod,
        Self::ProofMissing,
        Self::ProofNonce,
        Self::ProofRepeated,
        Self::ProofReplayed,
        Self::ProofSignature,
        Self::ProofTarget,
        Self::ProofToken,
        Self::Replayed,
        Self::SentAsBearer,
    ];

    /// The code and what the client reads.
    pub(super) fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::CertificateMismatch => {
                ("certificate_mismatch", "Jwt is bound to another client certificate")
            }
            Self::CertificateMissing => {
                ("certificate_missing", "Jwt is bound to a client certificate")
            }
            Self::ConfirmationMissing => ("confirmation_missing", "Jwt is bound to nobody"),
            Self::ConfirmationUnknown => {
                ("confirmation_unknown", "Jwt is bound in a way that is not supported")
            }
            Self::MemoryFull => ("replay_memory_full", "Too many Jwts are in use"),
            Self::NotBound => ("dpop_not_bound", "Jwt is not bound to a key"),
            Self::ProofAge => ("dpop_age", "DPoP proof is too old, or ahead of the clock"),
            Self::ProofAlgorithm => {
                ("dpop_algorithm", "DPoP proof has an algorithm that is not supported")
            }
            Self::ProofKey => ("dpop_key_mismatch", "Jwt is bound to another key"),
            Self::ProofMalformed => ("dpop_malformed", "DPoP proof is malformed"),
            Self::ProofMethod => ("dpop_method_mismatch", "DPoP proof is for another method"),
            Self::ProofMissing => ("dpop_missing", "DPoP proof is missing"),
            Self::ProofNonce => ("dpop_nonce_needed", "DPoP proof needs a nonce of the server"),
            Self::ProofRepeated => ("dpop_repeated", "Found multiple DPoP proofs"),
            Self::ProofReplayed => ("dpop_replayed", "DPoP proof was used before"),
            Self::ProofSignature => ("dpop_signature_invalid", "DPoP proof verification fails"),
            Self::ProofTarget => ("dpop_url_mismatch", "DPoP proof is for another URL"),
            Self::ProofToken => ("dpop_token_mismatch", "DPoP proof is for another Jwt"),
            Self::Replayed => ("token_replayed", "Jwt was used before"),
            Self::SentAsBearer => ("dpop_scheme_needed", "Jwt is bound to a key"),
        }
    }

    /// What the challenge calls it (RFC 6750 section 3.1, RFC 9449 sections 7.1 and 9).
    pub(super) fn error(self) -> &'static str {
        match self {
            Self::ProofNonce => "use_dpop_nonce",
            // It is the token that does not fit.
            Self::CertificateMismatch
            | Self::CertificateMissing
            | Self::ConfirmationMissing
            | Self::ConfirmationUnknown
            | Self::MemoryFull
            | Self::NotBound
            | Self::ProofKey
            | Self::Replayed
            | Self::SentAsBearer => "invalid_token",
            Self::ProofAge
            | Self::ProofAlgorithm
            | Self::ProofMalformed
            | Self::ProofMethod
            | Self::ProofMissing
            | Self::ProofRepeated
            | Self::ProofReplayed
            | Self::ProofSignature
            | Self::ProofTarget
            | Self::ProofToken => "invalid_dpop_proof",
        }
    }

    /// Whether a proof of possession is what would help.
    pub(super) fn wants_proof(self) -> bool {
        matches!(self, Self::SentAsBearer | Self::ProofKey) || self.error() != "invalid_token"
    }
}
