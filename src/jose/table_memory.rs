//! Tables of multiples make signatures cheap and take memory: who has one, of which size, and when.
//!
//! All keys of an engine share one purse of octets. A table takes its octets when it is made and gives
//! them back when it goes, which is when its key does, with the key set of before a rotation. Only good
//! signatures count for a key: whoever cannot sign cannot have tables made.

use std::cell::Cell;
use std::rc::Rc;

/// Octets for the tables of all keys of an engine, unless configured.
pub const DEFAULT_TABLE_OCTETS: u32 = 1024 * 1024;
/// A table costs as much as some five to ten signatures by the library: a key that is used less often
/// has none.
const USES_BEFORE_TABLE: u32 = 3;
/// A large table costs as much as seventy signatures with a small one and saves a seventh of each
/// (Ed25519): worth it after some five hundred, and so for keys that will see thousands more.
const USES_BEFORE_LARGE_TABLE: u32 = 2000;

/// What there is for tables, and what is taken of it.
#[derive(Debug)]
pub struct TableMemory {
    most: usize,
    taken: Cell<usize>,
}

impl Default for TableMemory {
    fn default() -> Self {
        Self::new(DEFAULT_TABLE_OCTETS)
    }
}

impl TableMemory {
    /// A purse of so many octets.
    pub fn new(octets: u32) -> Self {
        Self { most: octets as usize, taken: Cell::default() }
    }

    /// Another purse, of a fraction of the octets that are in this one at most.
    pub fn share(&self, fraction: usize) -> Self {
        Self { most: self.most.checked_div(fraction).unwrap_or_default(), taken: Cell::default() }
    }

    /// Octets of the tables there are.
    pub fn taken(&self) -> usize {
        self.taken.get()
    }

    fn take(self: &Rc<Self>, octets: usize) -> Option<Loan> {
        let taken = self.taken().checked_add(octets).filter(|taken| *taken <= self.most)?;
        self.taken.set(taken);
        Some(Loan { memory: Rc::clone(self), octets })
    }

    /// Whether so many octets can be taken, with so many given back before.
    fn affords(&self, octets: usize, given_back: usize) -> bool {
        let rest = self.taken().saturating_sub(given_back);
        rest.checked_add(octets).is_some_and(|taken| taken <= self.most)
    }
}

/// Octets that were taken, until this is dropped.
#[derive(Debug)]
struct Loan {
    memory: Rc<TableMemory>,
    octets: usize,
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.memory.taken.set(self.memory.taken().saturating_sub(self.octets));
    }
}

/// How large a table is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Size {
    /// For a key that is in use.
    Small,
    /// For one that is in use all the time.
    Large,
}

/// A table that was made.
pub(super) struct Kept<T> {
    table: T,
    loan: Loan,
}

impl<T> Kept<T> {
    /// The table itself.
    pub(super) fn table(&self) -> &T {
        &self.table
    }
}

/// The table of a key, as far as it has one.
pub(super) struct KeyTable<T> {
    kept: Cell<Option<Rc<Kept<T>>>>,
    /// Good signatures.
    uses: Cell<u32>,
    memory: Rc<TableMemory>,
}

impl<T> Default for KeyTable<T> {
    fn default() -> Self {
        Self { kept: Cell::default(), uses: Cell::default(), memory: Rc::default() }
    }
}

impl<T> Clone for KeyTable<T> {
    fn clone(&self) -> Self {
        let kept = self.kept.take();
        self.kept.set(kept.clone());
        let (uses, memory) = (self.uses.clone(), Rc::clone(&self.memory));
        Self { kept: Cell::new(kept), uses, memory }
    }
}

impl<T> KeyTable<T> {
    /// Takes its octets from there.
    pub(super) fn share_memory(&mut self, memory: &Rc<TableMemory>) {
        self.memory = Rc::clone(memory);
    }

    /// The table, made now if it is due and there is room for it. `octets` tells what a table will
    /// take, and `make` makes it.
    pub(super) fn get(
        &self,
        octets: impl Fn(Size) -> usize,
        make: impl Fn(Size) -> T,
    ) -> Option<Rc<Kept<T>>> {
        let due = match self.uses.get() {
            uses if uses <= USES_BEFORE_TABLE => return None,
            uses if uses <= USES_BEFORE_LARGE_TABLE => Size::Small,
            _ => Size::Large,
        };
        let make = |size| {
            let loan = self.memory.take(octets(size))?;
            Some(Rc::new(Kept { table: make(size), loan }))
        };
        let kept = match (self.kept.take(), due) {
            (None, Size::Small) => make(Size::Small),
            (None, Size::Large) => make(Size::Large).or_else(|| make(Size::Small)),
            (Some(kept), Size::Large) if kept.loan.octets < octets(Size::Large) => {
                // The small one goes before the large one comes, unless a copy of the key has it.
                let back = if Rc::strong_count(&kept) == 1 { kept.loan.octets } else { 0 };
                if self.memory.affords(octets(Size::Large), back) {
                    drop(kept);
                    make(Size::Large)
                } else {
                    Some(kept)
                }
            }
            (kept, _) => kept,
        };
        self.kept.set(kept.clone());
        kept
    }

    /// A signature was good.
    pub(super) fn count_use(&self) {
        self.uses.set(self.uses.get().saturating_add(1));
    }

    /// Does without a table from now on.
    pub(super) fn give_up(&self) {
        self.kept.set(None);
    }

    /// Has this table, however it was come by.
    #[cfg(test)]
    pub(super) fn put(&self, table: T) {
        let loan = Loan { memory: Rc::clone(&self.memory), octets: 0 };
        self.kept.set(Some(Rc::new(Kept { table, loan })));
    }

    /// What the table takes, in octets.
    #[cfg(test)]
    pub(super) fn octets(&self) -> Option<usize> {
        let kept = self.kept.take();
        let octets = kept.as_ref().map(|kept| kept.loan.octets);
        self.kept.set(kept);
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Option<usize> = Some(10);
    const LARGE: Option<usize> = Some(30);

    /// A key that is used so many times, and what its table takes then.
    fn used(key: &KeyTable<Size>, times: u32) -> Option<usize> {
        for _ in 0..times {
            let table = key.get(octets, |size| size);
            assert_eq!(
                table.map(|table| octets(*table.table())),
                key.octets(),
                "a table of that size"
            );
            key.count_use();
        }
        key.octets()
    }

    fn octets(size: Size) -> usize {
        match size {
            Size::Small => 10,
            Size::Large => 30,
        }
    }

    fn key(memory: &Rc<TableMemory>) -> KeyTable<Size> {
        let mut key = KeyTable::default();
        key.share_memory(memory);
        key
    }

    #[test]
    fn tables_grow_with_use() {
        let memory = Rc::new(TableMemory::new(100));
        let key = key(&memory);
        assert_eq!(used(&key, USES_BEFORE_TABLE + 1), None);
        assert_eq!(memory.taken(), 0);
        assert_eq!(used(&key, 1), SMALL);
        assert_eq!(memory.taken(), 10);
        assert_eq!(used(&key, USES_BEFORE_LARGE_TABLE - USES_BEFORE_TABLE - 1), SMALL);
        assert_eq!(used(&key, 1), LARGE);
        assert_eq!(memory.taken(), 30, "the small one was given back");
        let copy = key.clone();
        drop(key);
        assert_eq!((copy.octets(), memory.taken()), (LARGE, 30), "counted once");
        drop(copy);
        assert_eq!(memory.taken(), 0);
    }

    #[test]
    fn refusals_make_no_tables() {
        let memory = Rc::new(TableMemory::new(100));
        let key = key(&memory);
        for _ in 0..10 {
            assert!(key.get(octets, |size| size).is_none());
        }
        assert_eq!(memory.taken(), 0);
    }

    #[test]
    fn an_empty_purse_is_no_misfortune() {
        let memory = Rc::new(TableMemory::new(45));
        let keys = [(); 6].map(|()| key(&memory));
        let sizes = keys.each_ref().map(|key| used(key, 10));
        assert_eq!(sizes, [SMALL, SMALL, SMALL, SMALL, None, None]);
        assert_eq!(memory.taken(), 40);
        // No room for a large one: the small one stays.
        assert_eq!(used(&keys[0], 3000), SMALL);
        // One that is gone leaves enough, with what the small one gives back; a copy keeps its own.
        let [first, second, third, fourth, fifth, sixth] = keys;
        drop(fourth);
        assert_eq!(used(&first, 1), SMALL, "30 + 20 are more than 45");
        drop(third);
        let copy = first.clone();
        assert_eq!(used(&first, 1), SMALL, "its own is not given back: 20 + 30 are more than 45");
        drop(copy);
        assert_eq!((used(&first, 1), memory.taken()), (LARGE, 40));
        // Nor is a large one needed for a small one to do.
        assert_eq!(used(&fifth, 3000), None);
        second.give_up();
        assert_eq!((used(&fifth, 1), memory.taken()), (SMALL, 40));
        assert_eq!(used(&sixth, 10), None);
        drop((first, second, fifth));
        assert_eq!(memory.taken(), 0);
        assert_eq!(used(&sixth, 1), SMALL);
    }

    #[test]
    fn none_at_all() {
        let memory = Rc::new(TableMemory::new(0));
        let key = key(&memory);
        assert_eq!((used(&key, 3000), memory.taken()), (None, 0));
    }
}
