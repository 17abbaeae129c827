//! One answer to BatchGetItem: parsed at once, its items decoded when they are asked for.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyIterator, PyList, PyString};
use simd_json::{Buffers, Node, StaticNode};
use std::collections::HashSet;

use crate::Codec;
use crate::decode::{Decoder, Keys};
use crate::host::{Go, Host, Stop, or_none};
use crate::names::Names;
use crate::numbers::Mode;
use crate::tape::{Cursor, Parsed};

/// The items of an answer: an iterator of identity and item.
#[pyclass(module = "aiobatch_native")]
pub struct Items {
    codec: Py<Codec>,
    /// None once it was recycled.
    parsed: Option<(Parsed, Buffers)>,
    keys: Keys,
    mode: Mode,
    names: Names,
    /// Where the tables' lists that are not yet begun stand, last table first.
    tables: Vec<usize>,
    /// Where the next item stands, and how many of its table are left.
    at: usize,
    left: usize,
    /// How many items were given: where Python goes on if one is odd.
    given: usize,
    body: Py<PyBytes>,
    given_names: Py<PyAny>,
    given_mode: Py<PyAny>,
    rest: Option<Py<PyIterator>>,
}

pub type Read<'py> = (Items, Bound<'py, PyList>, Bound<'py, PyList>);

/// Parse an answer: its items to come, the identities left over, the capacity consumed.
pub fn read<'py>(
    codec: Py<Codec>,
    host: &Host,
    body: &Bound<'py, PyBytes>,
    names: &Bound<'py, PyAny>,
    numbers: &Bound<'py, PyAny>,
) -> Go<Read<'py>> {
    let py = body.py();
    let mode = Mode::named(numbers.cast_exact::<PyString>()?.to_str()?).ok_or(Stop::Odd)?;
    let mut in_order: Vec<String> = names.extract()?;
    in_order.sort(); // UTF-8 has the order of Python's strings
    let keys = Keys::new(in_order)?;
    let (parsed, buffers) = codec.get().parser.parse(body.as_bytes())?;

    let mut responses = None;
    let mut unprocessed = None;
    let mut consumed = None;
    let mut cursor = Cursor::new(parsed.nodes(), 0);
    // A name twice: Python's parser takes the last.
    for _ in 0..cursor.object()? {
        match cursor.string()? {
            "Responses" => responses = Some(cursor.at),
            "UnprocessedKeys" => unprocessed = Some(cursor.at),
            "ConsumedCapacity" => consumed = Some(cursor.at),
            _ => {}
        }
        cursor.skip()?;
    }
    let at = |place| Cursor::new(parsed.nodes(), place);
    let mut tables = tables_at(&mut at(responses.ok_or(Stop::Odd)?))?;
    for table in &tables {
        at(*table).array()?;
    }
    tables.reverse();
    let left = PyList::empty(py);
    for table in tables_at(&mut at(unprocessed.ok_or(Stop::Odd)?))? {
        let mut list = at(keys_at(&mut at(table))?);
        for _ in 0..list.array()? {
            left.append(keys.identity_at(py, &mut list, host)?)?;
        }
    }
    let capacity = match consumed {
        Some(place) => capacity_at(py, &mut at(place))?,
        None => PyList::empty(py),
    };
    let items = Items {
        codec,
        parsed: Some((parsed, buffers)),
        keys,
        mode,
        names: Names::default(),
        tables,
        at: 0,
        left: 0,
        given: 0,
        body: body.clone().unbind(),
        given_names: names.clone().unbind(),
        given_mode: numbers.clone().unbind(),
        rest: None,
    };
    Ok((items, left, capacity))
}

/// The places of the values in a map of tables. A table twice is Python's.
fn tables_at(cursor: &mut Cursor<'_>) -> Go<Vec<usize>> {
    let len = cursor.object()?;
    let mut names = HashSet::new();
    let mut places = Vec::with_capacity(len.min(100));
    for _ in 0..len {
        if !names.insert(cursor.string()?) {
            return Err(Stop::Odd);
        }
        places.push(cursor.at);
        cursor.skip()?;
    }
    Ok(places)
}

/// The place of the keys in what one table left over.
fn keys_at(cursor: &mut Cursor<'_>) -> Go<usize> {
    let mut keys = None;
    for _ in 0..cursor.object()? {
        if cursor.string()? == "Keys" {
            keys = Some(cursor.at);
        }
        cursor.skip()?;
    }
    keys.ok_or(Stop::Odd)
}

fn capacity_at<'py>(py: Python<'py>, cursor: &mut Cursor<'_>) -> Go<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    match cursor.next()? {
        Node::Static(StaticNode::Null) => {}
        Node::Array { len, .. } => {
            for _ in 0..len {
                list.append(json(py, cursor)?.cast_exact::<PyDict>()?)?;
            }
        }
        _ => return Err(Stop::Odd),
    }
    Ok(list)
}

/// Any JSON value; the parser bounds its depth.
fn json<'py>(py: Python<'py>, cursor: &mut Cursor<'_>) -> Go<Bound<'py, PyAny>> {
    Ok(match cursor.next()? {
        Node::String(text) => PyString::new(py, text).into_any(),
        Node::Static(StaticNode::Null) => py.None().into_bound(py),
        Node::Static(StaticNode::Bool(flag)) => PyBool::new(py, flag).to_owned().into_any(),
        Node::Static(StaticNode::I64(number)) => PyInt::new(py, number).into_any(),
        Node::Static(StaticNode::U64(number)) => PyInt::new(py, number).into_any(),
        Node::Static(StaticNode::F64(number)) => PyFloat::new(py, number).into_any(),
        Node::Array { len, .. } => {
            let list = PyList::empty(py);
            for _ in 0..len {
                list.append(json(py, cursor)?)?;
            }
            list.into_any()
        }
        Node::Object { len, .. } => {
            let dict = PyDict::new(py);
            for _ in 0..len {
                let name = cursor.string()?;
                dict.set_item(name, json(py, cursor)?)?;
            }
            dict.into_any()
        }
    })
}

#[pymethods]
impl Items {
    fn __iter__(items: PyRef<'_, Self>) -> PyRef<'_, Self> {
        items
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if let Some(rest) = &self.rest {
            return rest.bind(py).clone().next().transpose();
        }
        let Some((parsed, _)) = &self.parsed else {
            return Ok(None);
        };
        while self.left == 0 {
            let Some(table) = self.tables.pop() else {
                self.recycle();
                return Ok(None);
            };
            let mut cursor = Cursor::new(parsed.nodes(), table);
            self.left = or_none(py, cursor.array())?.unwrap_or(0); // looked at before
            self.at = cursor.at;
        }
        let host = &self.codec.get().host;
        let mut cursor = Cursor::new(parsed.nodes(), self.at);
        let mut decoder = Decoder {
            py,
            mode: self.mode,
            names: &mut self.names,
            host,
        };
        let read = decoder.item(&mut cursor, &self.keys);
        if let Some(entry) = or_none(py, read)? {
            self.at = cursor.at;
            self.left -= 1;
            self.given += 1;
            return Ok(Some(entry.into_pyobject(py)?.into_any()));
        }
        let resume = self.codec.get().resume.bind(py);
        let rest = resume
            .call1((&self.body, &self.given_names, &self.given_mode, self.given))?
            .try_iter()?;
        self.rest = Some(rest.clone().unbind());
        rest.clone().next().transpose()
    }
}

impl Items {
    fn recycle(&mut self) {
        if let Some((parsed, buffers)) = self.parsed.take() {
            self.codec.get().parser.recycle(parsed, buffers);
        }
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        self.recycle();
    }
}
