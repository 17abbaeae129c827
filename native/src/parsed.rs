//! DynamoDB's JSON that orjson has parsed already (one item, a page of a query) to Python values.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyList, PySet, PyString};

use crate::host::{Go, Host, Stop};
use crate::numbers::{self, Mode};

/// Decode an item that the service sent.
pub fn item<'py>(
    attributes: &Bound<'py, PyAny>,
    numbers: &Bound<'py, PyAny>,
    host: &Host,
) -> Go<Bound<'py, PyDict>> {
    let mode = Mode::named(numbers.cast_exact::<PyString>()?.to_str()?).ok_or(Stop::Odd)?;
    Decoder {
        py: attributes.py(),
        mode,
        host,
    }
    .map(attributes, 1)
}

struct Decoder<'a, 'py> {
    py: Python<'py>,
    mode: Mode,
    host: &'a Host,
}

impl<'py> Decoder<'_, 'py> {
    fn map(&self, attributes: &Bound<'py, PyAny>, level: usize) -> Go<Bound<'py, PyDict>> {
        let attributes = attributes.cast_exact::<PyDict>()?;
        let len = attributes.len();
        self.check(level, len)?;
        let map = PyDict::new(self.py);
        for (name, typed) in attributes.iter() {
            map.set_item(name, self.value(&typed, level)?)?;
            // As in encoding: Python ran, perhaps, and another thread with it.
            if attributes.len() != len {
                return Err(Stop::Odd);
            }
        }
        Ok(map)
    }

    fn list(&self, elements: &Bound<'py, PyAny>, level: usize) -> Go<Bound<'py, PyList>> {
        let elements = elements.cast_exact::<PyList>()?;
        self.check(level, elements.len())?;
        let mut values = Vec::with_capacity(elements.len());
        for typed in elements.iter() {
            values.push(self.value(&typed, level)?);
        }
        Ok(PyList::new(self.py, values)?)
    }

    fn check(&self, level: usize, len: usize) -> Go<()> {
        if level > self.host.limits.levels && len > 0 {
            Err(Stop::Odd)
        } else {
            Ok(())
        }
    }

    fn value(&self, typed: &Bound<'py, PyAny>, level: usize) -> Go<Bound<'py, PyAny>> {
        let typed = typed.cast_exact::<PyDict>()?;
        if typed.len() != 1 {
            return Err(Stop::Odd);
        }
        let (tag, value) = typed.iter().next().ok_or(Stop::Odd)?;
        Ok(match tag.cast_exact::<PyString>()?.to_str()?.as_bytes() {
            b"S" => self.text(value)?,
            b"N" => self.number(value)?,
            b"BOOL" if value.is_exact_instance_of::<PyBool>() => value,
            b"M" => self.map(&value, level + 1)?.into_any(),
            b"L" => self.list(&value, level + 1)?.into_any(),
            b"NULL" if value.cast_exact::<PyBool>()?.is_true() => {
                self.py.None().into_bound(self.py)
            }
            b"B" => self.binary(value)?,
            b"SS" => self.set(&value, Self::text)?,
            b"NS" => self.set(&value, Self::number)?,
            b"BS" => self.set(&value, Self::binary)?,
            _ => return Err(Stop::Odd),
        })
    }

    // They take the value to be of one type with the others, which set() calls by reference.
    #[allow(clippy::unused_self)]
    fn text(&self, value: Bound<'py, PyAny>) -> Go<Bound<'py, PyAny>> {
        if value.is_exact_instance_of::<PyString>() {
            Ok(value)
        } else {
            Err(Stop::Odd)
        }
    }

    #[allow(clippy::needless_pass_by_value)]
    fn number(&self, value: Bound<'py, PyAny>) -> Go<Bound<'py, PyAny>> {
        let text = value.cast_exact::<PyString>()?.to_str()?;
        numbers::read(self.py, text, self.mode, self.host)
    }

    #[allow(clippy::needless_pass_by_value)]
    fn binary(&self, value: Bound<'py, PyAny>) -> Go<Bound<'py, PyAny>> {
        let text = value.cast_exact::<PyString>()?.to_str()?;
        let bytes = STANDARD.decode(text).map_err(|_| Stop::Odd)?;
        Ok(PyBytes::new(self.py, &bytes).into_any())
    }

    fn set(
        &self,
        elements: &Bound<'py, PyAny>,
        element: impl Fn(&Self, Bound<'py, PyAny>) -> Go<Bound<'py, PyAny>>,
    ) -> Go<Bound<'py, PyAny>> {
        let set = PySet::empty(self.py)?;
        for value in elements.cast_exact::<PyList>()?.iter() {
            set.add(element(self, value)?)?;
        }
        Ok(set.into_any())
    }
}
