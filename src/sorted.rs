//! Sorted maps without the sorting: collecting into a `BTreeMap` sorts first, and that costs the
//! module some ten kilobytes for each type of pair. These maps are small, or made once.

use std::collections::BTreeMap;

/// A map of these pairs; of two with the same key, the later one.
pub(crate) fn map<K: Ord, V>(pairs: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    for (key, value) in pairs {
        map.insert(key, value);
    }
    map
}
