//! DynamoDB's JSON to Python values, off the tape.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyList, PySet, PyString};
use simd_json::{Node, StaticNode};

use crate::encode::write_string;
use crate::host::{Go, Host, Stop};
use crate::names::{Layout, Layouts, Names};
use crate::numbers::{self, Mode};
use crate::tape::Cursor;

/// More key attributes than this no table has.
pub const MOST_KEYS: usize = 2;

/// The key attributes, in the order of their names.
#[derive(Default)]
pub struct Keys {
    /// What each identity begins with.
    mark: Box<[u8]>,
    names: Vec<Box<str>>,
    /// `{"name":{"`, and `},"name":{"` for a second one.
    heads: Vec<Vec<u8>>,
}

/// Where the value of each key attribute stands.
type Places = [Option<usize>; MOST_KEYS];

impl Keys {
    pub fn new(mark: &[u8], mut names: Vec<String>) -> Go<Self> {
        names.sort(); // UTF-8 has the order of Python's strings
        if !(1..=MOST_KEYS).contains(&names.len()) {
            return Err(Stop::Odd);
        }
        let mut heads = Vec::with_capacity(names.len());
        for name in &names {
            let mut head = Vec::with_capacity(name.len() + 8);
            head.push(if heads.is_empty() { b'{' } else { b',' });
            write_string(&mut head, name)?;
            head.extend_from_slice(br#":{""#);
            heads.push(head);
        }
        Ok(Self {
            mark: mark.into(),
            names: names.into_iter().map(Into::into).collect(),
            heads,
        })
    }

    fn note(&self, name: &str, at: usize, places: &mut Places) {
        for (key, place) in self.names.iter().zip(places) {
            if **key == *name {
                *place = Some(at);
            }
        }
    }

    /// The identity of the key that stands at this place.
    pub fn identity_at<'py>(
        &self,
        py: Python<'py>,
        cursor: &mut Cursor<'_>,
        host: &Host,
    ) -> Go<Bound<'py, PyBytes>> {
        let mut places = Places::default();
        for _ in 0..cursor.object()? {
            let name = cursor.string()?;
            self.note(name, cursor.at, &mut places);
            cursor.skip()?;
        }
        self.identity(py, cursor, &places, host)
    }

    fn identity<'py>(
        &self,
        py: Python<'py>,
        cursor: &Cursor<'_>,
        places: &Places,
        host: &Host,
    ) -> Go<Bound<'py, PyBytes>> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(&self.mark);
        for (head, place) in self.heads.iter().zip(places) {
            let mut cursor = cursor.clone();
            cursor.at = place.ok_or(Stop::Odd)?;
            out.extend_from_slice(head);
            let (tag, text) = (typed(&mut cursor)?, cursor.string()?);
            match tag {
                b"S" => {
                    out.extend_from_slice(br#"S":"#);
                    write_string(&mut out, text)?;
                }
                b"N" => {
                    out.extend_from_slice(br#"N":""#);
                    numbers::write_canonical(py, text, &mut out, host)?;
                    out.push(b'"');
                }
                b"B" => {
                    // The crate reads only what it would write, so the text is canonical.
                    STANDARD.decode(text).map_err(|_| Stop::Odd)?;
                    out.extend_from_slice(br#"B":""#);
                    out.extend_from_slice(text.as_bytes());
                    out.push(b'"');
                }
                _ => return Err(Stop::Odd),
            }
            out.push(b'}');
        }
        out.push(b'}');
        Ok(PyBytes::new(py, &out))
    }
}

/// Enter an AttributeValue, and give its tag.
fn typed<'a>(cursor: &mut Cursor<'a>) -> Go<&'a [u8]> {
    // More than one tag is wrong, or one tag twice, of which Python's parser takes the last.
    if cursor.object()? != 1 {
        return Err(Stop::Odd);
    }
    Ok(cursor.string()?.as_bytes())
}

pub struct Decoder<'a, 'py> {
    pub py: Python<'py>,
    pub mode: Mode,
    pub names: &'a mut Names,
    pub host: &'a Host,
}

impl<'py> Decoder<'_, 'py> {
    /// Decode an item, and give its identity before it.
    pub fn item(
        &mut self,
        cursor: &mut Cursor<'_>,
        keys: &Keys,
        layouts: &mut Layouts,
    ) -> Go<(Bound<'py, PyBytes>, Bound<'py, PyDict>)> {
        let len = cursor.object()?;
        let mut places = Places::default();
        if let Some(layout) = layouts.of_len(len) {
            let begin = cursor.at;
            if let Some(item) = self.item_like(layout, cursor, keys, &mut places)? {
                return Ok((keys.identity(self.py, cursor, &places, self.host)?, item));
            }
            cursor.at = begin;
            places = Places::default();
        }
        let item = PyDict::new(self.py);
        for _ in 0..len {
            let name = cursor.string()?;
            keys.note(name, cursor.at, &mut places);
            let name = self.names.get(self.py, name);
            let value = self.value(cursor, 1)?;
            item.set_item(name, value)?;
        }
        layouts.learn(&item, len)?;
        Ok((keys.identity(self.py, cursor, &places, self.host)?, item))
    }

    /// Decode an item as long as it has this layout.
    fn item_like(
        &mut self,
        layout: &Layout,
        cursor: &mut Cursor<'_>,
        keys: &Keys,
        places: &mut Places,
    ) -> Go<Option<Bound<'py, PyDict>>> {
        let item = layout.form.bind(self.py).copy()?;
        for (text, name) in &layout.names {
            if cursor.string()? != &**text {
                return Ok(None);
            }
            keys.note(text, cursor.at, places);
            let value = self.value(cursor, 1)?;
            item.set_item(name, value)?;
        }
        Ok(Some(item))
    }

    fn map(&mut self, cursor: &mut Cursor<'_>, level: usize) -> Go<Bound<'py, PyDict>> {
        let len = cursor.object()?;
        self.check(level, len)?;
        let map = PyDict::new(self.py);
        for _ in 0..len {
            let name = self.names.get(self.py, cursor.string()?);
            let value = self.value(cursor, level)?;
            map.set_item(name, value)?;
        }
        Ok(map)
    }

    fn list(&mut self, cursor: &mut Cursor<'_>, level: usize) -> Go<Bound<'py, PyList>> {
        let len = cursor.array()?;
        self.check(level, len)?;
        let mut values = Vec::with_capacity(len);
        for _ in 0..len {
            values.push(self.value(cursor, level)?);
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

    /// Decode one AttributeValue; `level` is the one that it stands on.
    fn value(&mut self, cursor: &mut Cursor<'_>, level: usize) -> Go<Bound<'py, PyAny>> {
        Ok(match typed(cursor)? {
            b"S" => self.text(cursor)?,
            b"N" => self.number(cursor)?,
            b"BOOL" => match cursor.next()? {
                Node::Static(StaticNode::Bool(flag)) => {
                    PyBool::new(self.py, flag).to_owned().into_any()
                }
                _ => return Err(Stop::Odd),
            },
            b"M" => self.map(cursor, level + 1)?.into_any(),
            b"L" => self.list(cursor, level + 1)?.into_any(),
            b"NULL" => match cursor.next()? {
                Node::Static(StaticNode::Bool(true)) => self.py.None().into_bound(self.py),
                _ => return Err(Stop::Odd),
            },
            b"B" => self.binary(cursor)?,
            b"SS" => self.set(cursor, Self::text)?,
            b"NS" => self.set(cursor, Self::number)?,
            b"BS" => self.set(cursor, Self::binary)?,
            _ => return Err(Stop::Odd),
        })
    }

    fn text(&mut self, cursor: &mut Cursor<'_>) -> Go<Bound<'py, PyAny>> {
        Ok(PyString::new(self.py, cursor.string()?).into_any())
    }

    fn number(&mut self, cursor: &mut Cursor<'_>) -> Go<Bound<'py, PyAny>> {
        numbers::read(self.py, cursor.string()?, self.mode, self.host)
    }

    fn binary(&mut self, cursor: &mut Cursor<'_>) -> Go<Bound<'py, PyAny>> {
        let bytes = STANDARD.decode(cursor.string()?).map_err(|_| Stop::Odd)?;
        Ok(PyBytes::new(self.py, &bytes).into_any())
    }

    fn set(
        &mut self,
        cursor: &mut Cursor<'_>,
        element: impl Fn(&mut Self, &mut Cursor<'_>) -> Go<Bound<'py, PyAny>>,
    ) -> Go<Bound<'py, PyAny>> {
        let set = PySet::empty(self.py)?;
        for _ in 0..cursor.array()? {
            set.add(element(self, cursor)?)?;
        }
        Ok(set.into_any())
    }
}
