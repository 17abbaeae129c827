//! Attribute names repeat from item to item, in one order as a rule: one Python string for each.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// More names than any sensible table has, and longer ones, are made anew each time.
const MOST_NAMES: usize = 1024;
const LONGEST_NAME: usize = 64;

#[derive(Default)]
pub struct Names {
    known: Vec<(Box<str>, Py<PyString>)>,
    places: HashMap<Box<str>, usize, RandomState>,
    /// The place of the name after the last one, were the order that of the item before.
    next: usize,
}

impl Names {
    pub fn get<'py>(&mut self, py: Python<'py>, name: &str) -> Bound<'py, PyString> {
        if let Some((known, string)) = self.known.get(self.next)
            && **known == *name
        {
            self.next += 1;
            return string.bind(py).clone();
        }
        if let Some(place) = self.places.get(name)
            && let Some((_, string)) = self.known.get(*place)
        {
            self.next = place + 1;
            return string.bind(py).clone();
        }
        let string = PyString::new(py, name);
        if self.known.len() < MOST_NAMES && name.len() <= LONGEST_NAME {
            self.next = self.known.len() + 1;
            self.places.insert(name.into(), self.known.len());
            self.known.push((name.into(), string.clone().unbind()));
        }
        string
    }
}
