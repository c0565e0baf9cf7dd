//! An Ed25519 key (RFC 8037), verified strictly: by tables of its multiples, for which dalek vouches.
//!
//! Strict means no points of small order, and one encoding (RFC 8032 section 5.1.7 and beyond). The
//! arithmetic is `fast-verify`'s and answers exactly as dalek does; what makes it safe to use:
//!
//! - until a key's table has accepted a signature, dalek checks each one, too, and should they ever
//!   disagree, that key is dalek's alone from then on;
//! - all inputs are public: how long it takes is no secret.

use std::rc::Rc;
use std::sync::OnceLock;

use ed25519_dalek::{Signature, VerifyingKey};
use fast_verify::ed25519::{Table, Window, verify};
use sha2::{Digest as _, Sha512};

use crate::jose::table_memory::{KeyTable, Size, TableMemory};
use crate::jose::trust::Trust;

/// Seven bits are worth their memory, an eighth is not: it would save four additions of 72, and take
/// 180 KB.
const LARGE: Window = Window::Bits7;
const SMALL: Window = Window::Bits5;

/// An Ed25519 public key.
#[derive(Clone)]
pub struct EdKey {
    key: VerifyingKey,
    /// No table inside: the arithmetic does not take the key, and is wrong.
    table: KeyTable<Option<Table>>,
    trust: Trust,
}

impl EdKey {
    /// The key with this point, which is not of small order.
    pub fn new(key: VerifyingKey) -> Self {
        Self { key, table: KeyTable::default(), trust: Trust::default() }
    }

    /// Whether the arithmetic was wrong.
    pub fn is_distrusted(&self) -> bool {
        self.trust.is_lost()
    }

    /// Whether there is a table that is believed.
    pub fn is_fast(&self) -> bool {
        self.trust.is_earned()
    }

    /// Takes the memory for its table from there.
    pub fn share_memory(&mut self, memory: &Rc<TableMemory>) {
        self.table.share_memory(memory);
    }

    /// Checks a signature.
    pub fn verify(&self, input: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = <&[u8; 64]>::try_from(signature) else { return false };
        let library = || self.key.verify_strict(input, &Signature::from_bytes(signature)).is_ok();
        if self.is_distrusted() {
            return library();
        }
        let make = |size| {
            self.trust.doubt();
            Table::new(self.key.as_bytes(), window(size))
        };
        let good = match self.table.get(octets, make) {
            None => library(),
            Some(table) => self
                .trust
                .judge(|| self.by_tables(table.table().as_ref(), input, signature), library),
        };
        if self.is_distrusted() {
            self.table.give_up();
        } else if good {
            self.table.count_use();
        }
        good
    }

    fn by_tables(&self, table: Option<&Table>, input: &[u8], signature: &[u8; 64]) -> bool {
        let Some(table) = table else { return false };
        let Some(r) = signature.first_chunk::<32>() else { return false };
        let digest = Sha512::new_with_prefix(r).chain_update(self.key.as_bytes());
        let digest = digest.chain_update(input).finalize();
        verify(generator(), table, &digest.into(), signature)
    }
}

/// The table of the generator: a constant, computed when it is first needed.
fn generator() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::generator(LARGE))
}

fn window(size: Size) -> Window {
    match size {
        Size::Small => SMALL,
        Size::Large => LARGE,
    }
}

fn octets(size: Size) -> usize {
    window(size).octets()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    fn signing() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn key() -> EdKey {
        EdKey::new(signing().verifying_key())
    }

    #[test]
    fn a_table_that_is_wrong_is_never_used_again() {
        let signature = signing().sign(b"input").to_bytes();
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
        for table in [Table::new(other.as_bytes(), SMALL), None] {
            let key = key();
            key.table.put(table);
            for _ in 0..4 {
                assert!(key.verify(b"input", &signature), "by the library");
            }
            assert!(!key.is_distrusted());
            for _ in 0..6 {
                assert!(!key.verify(b"other", &signature));
            }
            assert!(!key.is_distrusted(), "refusals prove nothing");
            for _ in 0..6 {
                assert!(key.verify(b"input", &signature), "nobody is turned away");
                assert!(!key.verify(b"other", &signature));
            }
            assert!(key.is_distrusted() && key.clone().is_distrusted());
            assert_eq!(key.table.octets(), None, "its memory is free");
        }
    }

    #[test]
    fn a_key_goes_through_all_sizes() {
        let signature = signing().sign(b"input").to_bytes();
        let mut key = key();
        let memory = Rc::new(TableMemory::default());
        key.share_memory(&memory);
        let mut sizes = Vec::new();
        for _ in 0..2010 {
            assert!(key.verify(b"input", &signature));
            if sizes.last() != Some(&key.table.octets()) {
                sizes.push(key.table.octets());
                assert_eq!(memory.taken(), key.table.octets().unwrap_or_default());
                assert!(!key.verify(b"other", &signature));
                assert!(!key.verify(b"input", &signature[..63]));
                assert!(!key.verify(b"input", &[0; 64]));
            }
        }
        assert_eq!(sizes, [None, Some(86_724), Some(248_940)]);
        assert!(!key.is_distrusted());
    }
}
