//! One answer to BatchGetItem: parsed at once, its items decoded when they are asked for.

use pyo3::exceptions::PyStopIteration;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};
use simd_json::{Buffers, Node, StaticNode};
use std::collections::HashSet;
use std::sync::Arc;

use crate::Codec;
use crate::decode::{Decoder, Keys};
use crate::host::{Go, Host, Stop, or_none};
use crate::names::{Layouts, Names};
use crate::numbers::Mode;
use crate::tape::{Cursor, Parsed};

/// The items of an answer: an iterator of identity and item.
#[pyclass(module = "aiobatch_native")]
pub struct Items {
    codec: Py<Codec>,
    /// None once it was recycled.
    parsed: Option<(Parsed, Buffers)>,
    mode: Mode,
    names: Names,
    layouts: Layouts,
    /// The tables that are not yet begun, the last one first.
    tables: Vec<Table>,
    /// The key attributes of the table at hand.
    keys: Arc<Keys>,
    /// Where the next item stands, and how many of its table are left.
    at: usize,
    left: usize,
    /// How many items were given: where Python goes on if one is odd.
    given: usize,
    body: Py<PyBytes>,
    given_names: Py<PyAny>,
    given_mode: Py<PyAny>,
    rest: Option<Py<PyAny>>,
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
    let mut finder = Finder::new(names)?;
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
    let mut tables = tables_at(&mut at(responses.ok_or(Stop::Odd)?), &mut finder)?;
    for table in &tables {
        at(table.place).array()?;
    }
    tables.reverse();
    let left = PyList::empty(py);
    for table in tables_at(&mut at(unprocessed.ok_or(Stop::Odd)?), &mut finder)? {
        let mut list = at(keys_at(&mut at(table.place))?);
        for _ in 0..list.array()? {
            left.append(table.keys.identity_at(py, &mut list, host)?)?;
        }
    }
    let capacity = match consumed {
        Some(place) => capacity_at(py, &mut at(place))?,
        None => PyList::empty(py),
    };
    let items = Items {
        codec,
        parsed: Some((parsed, buffers)),
        mode,
        names: Names::default(),
        layouts: Layouts::default(),
        tables,
        keys: Arc::default(),
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

/// One table of an answer.
struct Table {
    keys: Arc<Keys>,
    /// Where what there is of it stands.
    place: usize,
}

/// Finds the key attributes of a table.
enum Finder<'py> {
    /// All tables have the same.
    One(Arc<Keys>),
    /// Python knows them, and what an identity in this table begins with.
    Many(Bound<'py, PyAny>),
}

impl<'py> Finder<'py> {
    fn new(names: &Bound<'py, PyAny>) -> Go<Self> {
        if names.is_callable() {
            return Ok(Self::Many(names.clone()));
        }
        Ok(Self::One(Arc::new(Keys::new(&[], names.extract()?)?)))
    }

    fn find(&self, table: &str) -> Go<Arc<Keys>> {
        match self {
            Self::One(keys) => Ok(Arc::clone(keys)),
            Self::Many(find) => {
                let (mark, names): (Bound<'_, PyBytes>, Vec<String>) =
                    find.call1((table,))?.extract()?;
                Ok(Arc::new(Keys::new(mark.as_bytes(), names)?))
            }
        }
    }
}

/// The tables in a map of them. A table twice is Python's.
fn tables_at(cursor: &mut Cursor<'_>, finder: &mut Finder<'_>) -> Go<Vec<Table>> {
    let len = cursor.object()?;
    let mut names = HashSet::new();
    let mut tables = Vec::with_capacity(len.min(100));
    for _ in 0..len {
        let name = cursor.string()?;
        if !names.insert(name) {
            return Err(Stop::Odd);
        }
        tables.push(Table {
            keys: finder.find(name)?,
            place: cursor.at,
        });
        cursor.skip()?;
    }
    Ok(tables)
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
        match self.read(py)? {
            Next::Item(identity, item) => Ok(Some((identity, item).into_pyobject(py)?.into_any())),
            Next::Rest => self
                .rest(py)?
                .call_method1(intern!(py, "__next__"), ())
                .map_or_else(
                    |error| {
                        if error.is_instance_of::<PyStopIteration>(py) {
                            Ok(None)
                        } else {
                            Err(error)
                        }
                    },
                    |next| Ok(Some(next)),
                ),
            Next::Nothing => Ok(None),
        }
    }

    /// See `Items` in `codec/answers.py`.
    fn take<'py>(
        &mut self,
        py: Python<'py>,
        asked: &Bound<'py, PyDict>,
        most: usize,
        entries: &Bound<'py, PyList>,
        found: &Bound<'py, PyList>,
    ) -> PyResult<bool> {
        for _ in 0..most {
            match self.read(py)? {
                Next::Item(identity, item) => {
                    let Some(entry) = asked.get_item(&identity)? else {
                        let error = self.codec.get().not_asked.bind(py).call0()?;
                        return Err(PyErr::from_value(error));
                    };
                    found.set_item(entry.extract()?, item)?;
                    entries.append(entry)?;
                    asked.del_item(identity)?;
                }
                // It has its own idea of how long it may take.
                Next::Rest => {
                    return self
                        .rest(py)?
                        .call_method1(intern!(py, "take"), (asked, most, entries, found))?
                        .extract();
                }
                Next::Nothing => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// What an answer has next.
enum Next<'py> {
    Item(Bound<'py, PyBytes>, Bound<'py, PyDict>),
    /// Something that Python has to read, and all that follows.
    Rest,
    Nothing,
}

impl Items {
    fn rest<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(rest) = &self.rest {
            return Ok(rest.bind(py).clone());
        }
        let resume = self.codec.get().resume.bind(py);
        let rest = resume.call1((&self.body, &self.given_names, &self.given_mode, self.given))?;
        self.rest = Some(rest.clone().unbind());
        Ok(rest)
    }

    fn read<'py>(&mut self, py: Python<'py>) -> PyResult<Next<'py>> {
        if self.rest.is_some() {
            return Ok(Next::Rest);
        }
        let Some((parsed, _)) = &self.parsed else {
            return Ok(Next::Nothing);
        };
        while self.left == 0 {
            let Some(table) = self.tables.pop() else {
                self.recycle();
                return Ok(Next::Nothing);
            };
            let mut cursor = Cursor::new(parsed.nodes(), table.place);
            self.keys = table.keys;
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
        let read = decoder.item(&mut cursor, &self.keys, &mut self.layouts);
        Ok(match or_none(py, read)? {
            Some((identity, item)) => {
                self.at = cursor.at;
                self.left -= 1;
                self.given += 1;
                Next::Item(identity, item)
            }
            None => Next::Rest,
        })
    }

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
