//! Attribute names repeat from item to item, in one order as a rule: one Python string for each, and
//! one dict to copy.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// More names than any sensible table has, and longer ones, are made anew each time.
const MOST_NAMES: usize = 1024;
const LONGEST_NAME: usize = 64;

/// A dict of fewer attributes never grows.
const FEW_ATTRIBUTES: usize = 6;
/// How often an answer may change its mind about what its items are like.
const MOST_LAYOUTS: usize = 8;

/// The attributes of an item, in its order.
pub struct Layout {
    pub names: Vec<(Box<str>, Py<PyString>)>,
    /// They all, with None for values. A copy of it is an item to be filled in, which does not grow
    /// from size to size as an empty dict would.
    pub form: Py<PyDict>,
}

/// The layout of the last items.
#[derive(Default)]
pub struct Layouts {
    last: Option<Layout>,
    count: usize,
}

impl Layouts {
    pub fn of_len(&self, len: usize) -> Option<&Layout> {
        self.last
            .as_ref()
            .filter(|layout| layout.names.len() == len)
    }

    /// Remember what an item was like that had another layout. `len` is how many attributes it had
    /// when it came: one may have come twice.
    pub fn learn(&mut self, item: &Bound<'_, PyDict>, len: usize) -> PyResult<()> {
        if len < FEW_ATTRIBUTES || item.len() != len || self.count == MOST_LAYOUTS {
            return Ok(());
        }
        self.count += 1;
        let py = item.py();
        let form = PyDict::new(py);
        let mut names = Vec::with_capacity(len);
        for name in item.keys() {
            form.set_item(&name, py.None())?;
            let name = name.cast_into::<PyString>()?;
            names.push((name.to_str()?.into(), name.unbind()));
        }
        self.last = Some(Layout {
            names,
            form: form.unbind(),
        });
        Ok(())
    }
}

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
