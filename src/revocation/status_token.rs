//! A Token Status List as it was fetched, and what it comes to under which keys.
//!
//! What a signature says is known only when somebody asks with the keys at hand. Until a new list has
//! counted, the last one that did is kept beside it: a bad answer discards nothing.

use std::cell::{Ref, RefCell};
use std::rc::Rc;
use std::time::Duration;

use crate::claims::whole_seconds;
use crate::jose::base64url;
use crate::jose::header::Header;
use crate::json::Node;
use crate::revocation::deny_list::MAX_LIST_OCTETS;
use crate::revocation::status_list::{StatusError, StatusList};
use crate::time::UnixTime;

/// A token of which nobody has checked the signature yet.
#[derive(Debug)]
pub struct StatusToken {
    header: Header,
    /// When to ask again; nobody vouches for it, so it says nothing else.
    expires: Option<u64>,
    ttl: Option<u64>,
    verdict: RefCell<Option<Verdict>>,
    earlier: RefCell<Vec<Earlier>>,
}

#[derive(Debug)]
struct Verdict {
    generation: u64,
    came_to: Result<Rc<SignedList>, StatusError>,
}

/// A list whose signature was checked.
#[derive(Debug)]
pub struct SignedList {
    /// What it says.
    pub list: StatusList,
    /// The places in their set of the keys that made the signature.
    pub signers: Vec<usize>,
}

/// A list that was fetched before, and may serve still.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// What it comes to.
    pub token: Rc<StatusToken>,
    /// Its text.
    pub text: Rc<str>,
    /// How long it would serve if no other had come.
    pub until: UnixTime,
}

impl StatusToken {
    /// Reads as much of a list as needs no key.
    pub fn parse(text: &[u8]) -> Result<Self, StatusError> {
        if text.len() > MAX_LIST_OCTETS {
            return Err(StatusError::TooLong);
        }
        let mut parts = text.split(|octet| *octet == b'.');
        let mut part = || {
            let part = parts.next().and_then(|part| base64url::decode(part).ok());
            part.ok_or(StatusError::NotAToken)
        };
        let (header, payload) = (part()?, part()?);
        let header = Header::parse(&header).map_err(|_| StatusError::NotAToken)?;
        let Ok(Node::Object(claims)) = Node::parse(&payload) else {
            return Err(StatusError::NotAToken);
        };
        let seconds = |name: &str| match claims.get(name) {
            Some(Node::Number(number)) => whole_seconds(number),
            _ => None,
        };
        Ok(Self {
            header,
            expires: seconds("exp"),
            ttl: seconds("ttl").filter(|ttl| *ttl > 0),
            verdict: RefCell::default(),
            earlier: RefCell::default(),
        })
    }

    /// Its header: the sender's word.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How long it wants to be kept from this time on (`ttl` and `exp`).
    pub fn ttl(&self, now: UnixTime) -> Option<Duration> {
        let left = self.expires.map(|expires| expires.saturating_sub(now.as_secs()));
        left.into_iter().chain(self.ttl).min().map(Duration::from_secs)
    }

    /// What it comes to under the keys of this generation: `read` once, for everybody's tokens, and
    /// remembered.
    pub fn under(
        &self,
        generation: u64,
        read: impl FnOnce() -> Result<SignedList, StatusError>,
    ) -> Result<Rc<SignedList>, StatusError> {
        let mut verdict = self.verdict.borrow_mut();
        if let Some(before) = verdict.as_ref().filter(|before| before.generation == generation) {
            return before.came_to.clone();
        }
        let came_to = read().map(Rc::new);
        *verdict = Some(Verdict { generation, came_to: came_to.clone() });
        came_to
    }

    /// Whether it counted when it was last looked at; none: nobody did.
    fn counted(&self) -> Option<bool> {
        self.verdict.borrow().as_ref().map(|verdict| verdict.came_to.is_ok())
    }

    /// Keeps beside this one the list that it follows, unless that is known to be bad, and the last one
    /// that counted: not more, whatever comes.
    pub fn follow(&self, before: Earlier) {
        let mut earlier = before.token.earlier.take();
        earlier.retain(|one| one.token.counted() == Some(true));
        earlier.truncate(1);
        if before.token.counted() != Some(false) {
            earlier.insert(0, before);
        }
        *self.earlier.borrow_mut() = earlier;
    }

    /// The lists that may serve while this one does not count, the newest first.
    pub fn earlier(&self, now: UnixTime) -> Ref<'_, Vec<Earlier>> {
        self.earlier.borrow_mut().retain(|one| now < one.until);
        self.earlier.borrow()
    }

    /// This one counts.
    pub fn forget_earlier(&self) {
        self.earlier.take();
    }

    /// Moves all times back, after the clock did.
    pub fn shift_back(&self, span: Duration) {
        for one in self.earlier.borrow_mut().iter_mut() {
            one.until = one.until.before(span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Rc<StatusToken> {
        let text = br#"eyJhbGciOiJFUzI1NiJ9.e30.AAAA"#;
        Rc::new(StatusToken::parse(text).unwrap())
    }

    fn follows(before: &Rc<StatusToken>, until: u64) -> Rc<StatusToken> {
        let after = token();
        let until = UnixTime::from_secs(until);
        after.follow(Earlier { token: Rc::clone(before), text: "".into(), until });
        after
    }

    fn signed() -> SignedList {
        let list = StatusList::unpack(1, &[0x78, 1, 3, 0, 0, 0, 0, 1], 9, None).unwrap();
        SignedList { list, signers: vec![0] }
    }

    #[test]
    fn a_list_is_read_once_for_each_set_of_keys() {
        let (token, mut read) = (token(), 0);
        for (generation, expected) in [(1, 1), (1, 1), (2, 2), (2, 2), (1, 3)] {
            let count = || {
                read += 1;
                if generation == 2 { Err(StatusError::Unsigned) } else { Ok(signed()) }
            };
            assert_eq!(token.under(generation, count).is_ok(), generation == 1);
            assert_eq!(read, expected);
        }
    }

    #[test]
    fn exp_counts_from_now() {
        // {"exp":1000,"ttl":300}
        let text = "eyJhbGciOiJFUzI1NiJ9.eyJleHAiOjEwMDAsInR0bCI6MzAwfQ.AAAA";
        let token = StatusToken::parse(text.as_bytes()).unwrap();
        let left = |now| token.ttl(UnixTime::from_secs(now)).unwrap().as_secs();
        assert_eq!([0, 800, 999, 1000, 2000].map(left), [300, 200, 1, 0, 0]);
    }

    #[test]
    fn the_last_list_that_counted_is_kept_beside_bad_ones() {
        let now = UnixTime::from_secs(50);
        let good = token();
        good.under(1, || Ok(signed())).unwrap();
        let mut latest = follows(&good, 100);
        // Bad ones, and ones that nobody looked at.
        for is_looked_at in [true, false, false, true, false, true] {
            if is_looked_at {
                latest.under(1, || Err(StatusError::Unsigned)).unwrap_err();
            }
            latest = follows(&latest, 200);
            let earlier = latest.earlier(now);
            assert!(Rc::ptr_eq(&earlier.last().unwrap().token, &good));
            assert_eq!(earlier.len(), if is_looked_at { 1 } else { 2 });
        }
        latest.shift_back(Duration::from_secs(40));
        assert!(latest.earlier(UnixTime::from_secs(60)).is_empty(), "not longer than its time");
    }
}
