//! A cache of verified tokens: what a signature check and the reading of the payload brought, for
//! tokens that come again.
//!
//! It changes what a request costs, never how it is decided: an entry stands for "these octets were
//! verified under this provider with this key set", and everything that depends on the time, the
//! request or the rule is checked again. What makes that safe:
//!
//! - only a [`VerifiedPayload`] gets in, so tokens that are refused displace nothing;
//! - tokens are compared octet by octet, the hash only says where to look;
//! - an entry counts under the generation of keys that verified it and under no other, so a
//!   withdrawn key takes its tokens along;
//! - places are fixed in number: a look-up compares at most [`WAYS`] tokens, however they were
//!   chosen (this target has no random seed to keep a hash secret with).

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::policy::known_token::KnownToken;

/// How many places a token may be in.
const WAYS: usize = 8;
/// Tokens for each set of places: with twice as many places as tokens, few find theirs taken.
const TOKENS_PER_SET: usize = 4;
/// Sets that are looked through for a token that makes room for another.
const MOST_SETS_SEARCHED: usize = 64;
/// Tokens that make room for one: short ones for a long one.
const MOST_DROPPED: usize = 32;
/// Default number of tokens kept for a provider, in each worker.
pub const DEFAULT_TOKENS: u32 = 1000;
/// Native's `jwt_cache_size`, where `jwt_cache_config` does not say.
pub const NATIVE_TOKENS: u32 = 100;
/// Default length of the longest token that is kept, in octets, as natively.
pub const DEFAULT_TOKEN_OCTETS: u32 = 4096;
/// Most octets kept for a provider, for each token that it may keep: many short ones or few long.
const OCTETS_PER_TOKEN: usize = 2048;

/// How much to keep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CacheSettings {
    /// Tokens; zero: none at all.
    pub tokens: u32,
    /// The longest token, in octets.
    pub token_octets: u32,
}

struct Place {
    known: Rc<KnownToken>,
    used: u64,
}

/// The verified tokens of one provider in one worker.
pub struct VerifiedTokens {
    settings: CacheSettings,
    /// Made at the first use: a gate with fifty providers may see tokens of one.
    sets: RefCell<Vec<Set>>,
    tokens: Cell<usize>,
    octets: Cell<usize>,
    clock: Cell<u64>,
}

type Set = [Option<Place>; WAYS];

impl VerifiedTokens {
    /// An empty cache.
    pub fn new(settings: CacheSettings) -> Self {
        let (sets, tokens, octets, clock) = Default::default();
        Self { settings, sets, tokens, octets, clock }
    }

    /// What is known of `token`, if it was verified with this generation of keys.
    pub fn get(&self, token: &[u8], generation: u64) -> Option<Rc<KnownToken>> {
        let mut sets = self.sets.borrow_mut();
        let index = place(token, sets.len())?;
        let places = sets.get_mut(index)?.iter_mut().flatten();
        let mut fitting = places.filter(|place| {
            place.known.generation == generation && is_same(&place.known.token, token)
        });
        let found = fitting.next()?;
        found.used = self.tick();
        Some(Rc::clone(&found.known))
    }

    /// Keeps what is known of a token, if it is not too long.
    pub fn insert(&self, known: Rc<KnownToken>) {
        let CacheSettings { tokens, token_octets } = self.settings;
        let length = u32::try_from(known.token.len()).unwrap_or(u32::MAX);
        if tokens == 0 || length > token_octets {
            return;
        }
        let mut sets = self.sets.borrow_mut();
        if sets.is_empty() {
            let count = (tokens as usize).div_ceil(TOKENS_PER_SET);
            sets.resize_with(count, Default::default);
        }
        let Some(index) = place(&known.token, sets.len()) else { return };
        let Some(places) = sets.get_mut(index) else { return };
        // The place of the same token under older keys, an empty one while there may be more tokens,
        // or the one not used longest.
        let limit = OCTETS_PER_TOKEN.saturating_mul(tokens as usize);
        if known.octets() > limit {
            return;
        }
        let is_full = self.tokens.get() >= tokens as usize
            || self.octets.get().saturating_add(known.octets()) > limit;
        let rank = |place: &Option<Place>| match place {
            Some(place) if place.known.token == known.token => 0,
            None if !is_full => 1,
            Some(place) => place.used.saturating_add(2),
            None => u64::MAX,
        };
        let Some(place) = places.iter_mut().min_by_key(|place| rank(place)) else { return };
        let freed = place.as_ref().map_or(0, |place| place.known.octets());
        self.octets.set(self.octets.get().saturating_sub(freed).saturating_add(known.octets()));
        if place.replace(Place { known, used: self.tick() }).is_none() {
            self.tokens.set(self.tokens.get().saturating_add(1));
        }
        let is_too_much = || self.tokens.get() > tokens as usize || self.octets.get() > limit;
        for _ in 0..MOST_DROPPED {
            if !is_too_much() {
                return;
            }
            // The oldest of the next set that has one.
            let next = index.saturating_add(1).min(sets.len());
            let (before, after) = sets.split_at_mut(next);
            let mut near = after.iter_mut().chain(before).take(MOST_SETS_SEARCHED);
            let used = |place: &Option<Place>| place.as_ref().map_or(u64::MAX, |place| place.used);
            self.forget(
                near.find_map(|set| set.iter_mut().min_by_key(|place| used(place))?.take()),
            );
        }
        if is_too_much() {
            // What came last goes again: there was nothing nearby, or all of it was short.
            let used = |place: &Option<Place>| place.as_ref().map_or(0, |place| place.used);
            let own = sets.get_mut(index);
            self.forget(own.and_then(|set| set.iter_mut().max_by_key(|place| used(place))?.take()));
        }
    }

    fn forget(&self, place: Option<Place>) {
        if let Some(Place { known, .. }) = place {
            self.octets.set(self.octets.get().saturating_sub(known.octets()));
            self.tokens.set(self.tokens.get().saturating_sub(1));
        }
    }

    /// How many tokens are kept, and how many octets they take.
    pub fn size(&self) -> (usize, usize) {
        (self.tokens.get(), self.octets.get())
    }

    fn tick(&self) -> u64 {
        self.clock.set(self.clock.get().saturating_add(1));
        self.clock.get()
    }
}

/// Whether two tokens are the same: all of their octets are compared, so that how long it takes tells
/// nobody how far a guess is right. Eight at a time: in WebAssembly, comparing them one by one takes
/// longer than the rest of the decision.
fn is_same(own: &[u8], token: &[u8]) -> bool {
    let ((own_words, own_rest), (words, rest)) = (own.as_chunks::<8>(), token.as_chunks::<8>());
    let word = |octets: &[u8; 8]| u64::from_le_bytes(*octets);
    let words = own_words.iter().map(word).zip(words.iter().map(word));
    let rest = own_rest.iter().zip(rest).map(|(a, b)| (u64::from(*a), u64::from(*b)));
    own.len() == token.len()
        && words.chain(rest).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

/// In which set of places to look for a token: by the end of it, which is the end of its signature
/// and differs between any two good tokens.
fn place(token: &[u8], sets: usize) -> Option<usize> {
    let (rest, last) = token.split_last_chunk::<8>()?;
    let (last, before) = (u64::from_le_bytes(*last), u64::from_le_bytes(*rest.last_chunk()?));
    // Two rounds of multiplying and folding: every octet reaches every bit of the upper half.
    let fold = |mixed: u64| mixed ^ (mixed >> 32);
    let mixed = fold((last ^ before.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mixed = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93);
    usize::try_from(mixed >> 32).ok()?.checked_rem(sets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::Facts;
    use crate::claims::RegisteredClaims;
    use crate::policy::possession::Binding;

    const SETTINGS: CacheSettings = CacheSettings { tokens: 8, token_octets: 100 };

    fn known(token: &str, generation: u64) -> Rc<KnownToken> {
        let claims = RegisteredClaims {
            iss: None,
            sub: Some(token.to_owned()),
            aud: Vec::new(),
            exp: None,
            nbf: None,
            iat: None,
        };
        let token = token.as_bytes().to_vec();
        let record = Rc::default();
        Rc::new(KnownToken {
            token,
            generation,
            claims,
            edits: Vec::new(),
            parameters: Vec::new(),
            facts: Facts::default(),
            binding: Binding::default(),
            record,
        })
    }

    fn token(index: usize) -> String {
        format!("token with a signature {index:016}")
    }

    #[test]
    fn octets_and_generation_must_be_the_same() {
        let cache = VerifiedTokens::new(SETTINGS);
        let own = token(1);
        assert!(cache.get(own.as_bytes(), 1).is_none());
        cache.insert(known(&own, 1));
        assert_eq!(cache.get(own.as_bytes(), 1).unwrap().claims.sub.as_ref(), Some(&own));
        assert!(cache.get(own.as_bytes(), 2).is_none(), "other keys");
        // The same end, and so the same place.
        let other = own.replacen('t', "T", 1);
        assert!(cache.get(other.as_bytes(), 1).is_none());
        assert!(cache.get(&own.as_bytes()[1..], 1).is_none());
        cache.insert(known(&own, 2));
        assert!(cache.get(own.as_bytes(), 1).is_none());
        assert!(cache.get(own.as_bytes(), 2).is_some());
        assert_eq!(cache.size().0, 1, "in the place of its older self");
    }

    #[test]
    fn size_is_bounded_in_number_and_octets() {
        let cache = VerifiedTokens::new(SETTINGS);
        for index in 0..1000 {
            cache.insert(known(&token(index), 1));
            assert!(cache.get(token(index).as_bytes(), 1).is_some(), "the latest is there");
        }
        assert_eq!(cache.size().0, 8);
        let counted: usize =
            cache.sets.borrow().iter().flatten().flatten().map(|place| place.known.octets()).sum();
        assert_eq!(cache.size().1, counted);
        assert_eq!(cache.sets.borrow().iter().flatten().flatten().count(), 8);
        cache.insert(known(&"x".repeat(101), 1));
        assert_eq!(cache.size().0, 8, "too long to be kept");
        let long = CacheSettings { tokens: 4, token_octets: 1 << 20 };
        let cache = VerifiedTokens::new(long);
        cache.insert(known(&"x".repeat(4 * OCTETS_PER_TOKEN), 1));
        assert_eq!(cache.size(), (0, 0), "more octets than all together may take");
        for none in ["", "short"] {
            cache.insert(known(none, 1));
            assert!(cache.get(none.as_bytes(), 1).is_none());
        }
        let off = VerifiedTokens::new(CacheSettings { tokens: 0, ..SETTINGS });
        off.insert(known(&token(1), 1));
        assert!(off.get(token(1).as_bytes(), 1).is_none());
    }

    #[test]
    fn places_are_spread() {
        let mut counts = [0_usize; 16];
        for index in 0..1600 {
            counts[place(token(index).as_bytes(), 16).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
    }

    /// As many tokens as are to be kept come in turn: nearly all are known the next time.
    #[test]
    fn tokens_find_places() {
        let cache = VerifiedTokens::new(CacheSettings { tokens: 1000, token_octets: 100 });
        let mut hits = 0;
        for round in 0..3 {
            for index in 0..1000 {
                let token = token(index);
                match cache.get(token.as_bytes(), 1) {
                    Some(_) => hits += usize::from(round == 2),
                    None => cache.insert(known(&token, 1)),
                }
            }
        }
        assert!(hits > 900, "{hits}");
        // Others take over, also where sets were empty.
        for index in 10_000..20_000 {
            let token = token(index);
            cache.insert(known(&token, 1));
            assert!(cache.get(token.as_bytes(), 1).is_some());
            assert!(cache.size().0 <= 1000);
        }
        let kept = cache.sets.borrow().iter().flatten().flatten().count();
        assert_eq!(cache.size().0, kept);
    }

    /// Octets run out before tokens do: old ones go, and new ones are known.
    #[test]
    fn long_tokens_make_room_for_each_other() {
        let settings = CacheSettings { tokens: 100, token_octets: 1 << 20 };
        let limit = 100 * OCTETS_PER_TOKEN;
        for length in [2_500, 3_900, 20_000, 90_000] {
            let cache = VerifiedTokens::new(settings);
            for index in 0..1_000 {
                // Short ones in between.
                let length = if index % 7 == 0 { 100 } else { length };
                let token = format!("{}{}", "x".repeat(length), token(index));
                cache.insert(known(&token, 1));
                assert!(cache.get(token.as_bytes(), 1).is_some(), "{length} {index}");
                let (tokens, octets) = cache.size();
                assert!(tokens <= 100 && octets <= limit, "{tokens} {octets}");
            }
            let sets = cache.sets.borrow();
            let kept = || sets.iter().flatten().flatten().map(|place| place.known.octets());
            assert_eq!(cache.size(), (kept().count(), kept().sum()));
        }
    }

    #[test]
    fn what_was_used_lately_stays() {
        let cache = VerifiedTokens::new(CacheSettings { tokens: 4, ..SETTINGS });
        let favourite = token(0);
        cache.insert(known(&favourite, 1));
        for index in 1..100 {
            cache.insert(known(&token(index), 1));
            assert!(cache.get(favourite.as_bytes(), 1).is_some());
        }
    }
}
