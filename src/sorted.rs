//! Sorted maps and lists without the library's sorting, which costs the module some ten kilobytes for
//! each type. These are small, or made once.

use std::collections::BTreeMap;

/// A map of these pairs; of two with the same key, the later one.
pub(crate) fn map<K: Ord, V>(pairs: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    for (key, value) in pairs {
        map.insert(key, value);
    }
    map
}

/// A list of these items in their order, each once.
pub(crate) fn list<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut list: Vec<T> = Vec::new();
    for item in items {
        if let Err(place) = list.binary_search(&item) {
            list.insert(place, item);
        }
    }
    list
}

#[cfg(test)]
mod tests {
    #[test]
    fn lists_are_sorted_and_hold_each_item_once() {
        assert_eq!(super::list([3, 1, 2, 3, 1, 0]), [0, 1, 2, 3]);
        assert_eq!(super::list(["a"; 0]), [""; 0]);
    }
}
