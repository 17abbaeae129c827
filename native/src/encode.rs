//! Python values to DynamoDB's JSON: exact types alone. Everything else is Python's.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString,
    PyTuple,
};

use crate::host::{Go, Host, Stop, or_none};
use crate::numbers;

/// What most items fit into.
const ROOM: usize = 1024;

/// What is known of a table's key attributes; a `KeySchema` of the Python side.
struct Schema<'py> {
    /// In the order of their names.
    names: Bound<'py, PyTuple>,
    types: Option<Bound<'py, PyAny>>,
}

impl<'py> Schema<'py> {
    fn of(schema: &Bound<'py, PyAny>) -> Go<Option<Self>> {
        if schema.is_none() {
            return Ok(None);
        }
        let py = schema.py();
        let types = schema.getattr(intern!(py, "types"))?;
        Ok(Some(Self {
            names: schema
                .getattr(intern!(py, "in_order"))?
                .cast_into_exact::<PyTuple>()
                .map_err(|_| Stop::Odd)?,
            types: if types.is_none() { None } else { Some(types) },
        }))
    }
}

/// Give an item's JSON and, with a schema, its identity.
pub fn item<'py>(
    item: &Bound<'py, PyAny>,
    schema: &Bound<'py, PyAny>,
    host: &Host,
) -> Go<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let schema = Schema::of(schema)?;
    let mut encoder = Encoder {
        out: Vec::with_capacity(ROOM),
        host,
    };
    encoder.whole_item(item, schema.as_ref())
}

/// Give JSON and identity of items from one on, until so many bytes are written or one is left to
/// `encode`. `schema` is what `python.encode_items()` takes.
pub fn items<'py>(
    items: &Bound<'py, PyList>,
    schema: &Bound<'py, PyAny>,
    encode: &Bound<'py, PyAny>,
    fragments: &Bound<'py, PyList>,
    identities: &Bound<'py, PyList>,
    room: usize,
    host: &Host,
) -> PyResult<()> {
    let py = items.py();
    let schema = or_none(py, Schema::of(schema))?;
    let mut encoder = Encoder {
        out: Vec::with_capacity(ROOM),
        host,
    };
    let mut written = 0;
    while written < room && fragments.len() < items.len() {
        let item = items.get_item(fragments.len())?;
        let json = match &schema {
            // Without a schema, one attribute may as well be boto3's wrapping.
            Some(None) if item.len().is_ok_and(|len| len < 2) => None,
            Some(schema) => {
                encoder.out.clear();
                or_none(py, encoder.whole_item(&item, schema.as_ref()))?
            }
            None => None,
        };
        if let Some((fragment, identity)) = json {
            written += encoder.out.len();
            fragments.append(fragment)?;
            identities.append(identity)?;
        } else {
            let both = encode.call1((item,))?;
            let (fragment, identity) = (both.get_item(0)?, both.get_item(1)?);
            fragments.append(fragment)?;
            identities.append(identity)?;
            return Ok(());
        }
    }
    Ok(())
}

/// Give the JSON of keys from one on, as `items()` does.
pub fn keys<'py>(
    keys: &Bound<'py, PyList>,
    schema: &Bound<'py, PyAny>,
    encode: &Bound<'py, PyAny>,
    fragments: &Bound<'py, PyList>,
    room: usize,
    host: &Host,
) -> PyResult<()> {
    let py = keys.py();
    let schema = or_none(py, Schema::of(schema))?.flatten();
    let mut encoder = Encoder {
        out: Vec::with_capacity(ROOM),
        host,
    };
    let mut written = 0;
    while written < room && fragments.len() < keys.len() {
        let key = keys.get_item(fragments.len())?;
        encoder.out.clear();
        let json = match &schema {
            Some(schema) => or_none(py, encoder.known_key(&key, schema))?,
            None => None,
        };
        if let Some(fragment) = json {
            written += encoder.out.len();
            fragments.append(fragment)?;
        } else {
            fragments.append(encode.call1((key,))?)?;
            return Ok(());
        }
    }
    Ok(())
}

/// Give a key's JSON, which is its identity.
pub fn key<'py>(
    key: &Bound<'py, PyAny>,
    schema: &Bound<'py, PyAny>,
    host: &Host,
) -> Go<Bound<'py, PyBytes>> {
    let attributes = key.cast_exact::<PyDict>()?;
    let mut encoder = Encoder {
        out: Vec::with_capacity(ROOM / 4),
        host,
    };
    if let Some(schema) = Schema::of(schema)? {
        return encoder.known_key(key, &schema);
    }
    if !(1..=2).contains(&attributes.len()) {
        return Err(Stop::Odd);
    }
    let mut entries = Vec::with_capacity(2);
    for (name, value) in attributes.iter() {
        entries.push((
            name.cast_into_exact::<PyString>().map_err(|_| Stop::Odd)?,
            value,
        ));
    }
    // Texts in UTF-8 have the order of their code points, which is Python's.
    if let [(one, _), (other, _)] = entries.as_slice()
        && one.to_str()? > other.to_str()?
    {
        entries.reverse();
    }
    encoder.out.push(b'{');
    for (name, value) in &entries {
        check_key(name, value, None, host)?;
        encoder.attribute(name, value, 1)?;
    }
    encoder.close(b'}');
    Ok(PyBytes::new(key.py(), &encoder.out))
}

/// Give the JSON of `ExpressionAttributeValues`.
pub fn values<'py>(values: &Bound<'py, PyAny>, host: &Host) -> Go<Bound<'py, PyBytes>> {
    let mut encoder = Encoder {
        out: Vec::with_capacity(ROOM),
        host,
    };
    encoder.attributes(values.cast_exact::<PyDict>()?, 1)?;
    Ok(PyBytes::new(values.py(), &encoder.out))
}

/// Go on for a key attribute that is surely fine. It is written, and so valid, later.
fn check_key(
    name: &Bound<'_, PyString>,
    value: &Bound<'_, PyAny>,
    types: Option<&Bound<'_, PyAny>>,
    host: &Host,
) -> Go<()> {
    let limit = host.limits.key_bytes;
    let tag = if let Ok(text) = value.cast_exact::<PyString>() {
        if !(1..=limit).contains(&text.to_str()?.len()) {
            return Err(Stop::Odd);
        }
        "S"
    } else if value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.get_type().is(&host.numbers.decimal)
    {
        "N"
    } else if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        if !(1..=limit).contains(&bytes.as_bytes().len()) {
            return Err(Stop::Odd);
        }
        "B"
    } else {
        return Err(Stop::Odd);
    };
    if let Some(types) = types
        && types.get_item(name)?.cast_exact::<PyString>()?.to_str()? != tag
    {
        return Err(Stop::Odd);
    }
    Ok(())
}

struct Encoder<'a> {
    out: Vec<u8>,
    host: &'a Host,
}

impl Encoder<'_> {
    fn fragment<'py>(&self, py: Python<'py>) -> Go<Bound<'py, PyBytes>> {
        // JSON is longer than what DynamoDB counts. Beyond, Python counts.
        if self.out.len() > self.host.limits.item_bytes {
            return Err(Stop::Odd);
        }
        Ok(PyBytes::new(py, &self.out))
    }

    /// Give an item's JSON and, with a schema, its identity.
    fn whole_item<'py>(
        &mut self,
        item: &Bound<'py, PyAny>,
        schema: Option<&Schema<'py>>,
    ) -> Go<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let py = item.py();
        let attributes = item.cast_exact::<PyDict>()?;
        let Some(schema) = schema else {
            self.attributes(attributes, 1)?;
            return Ok((self.fragment(py)?, PyBytes::new(py, b"")));
        };
        let spans = self.item(attributes, schema)?;
        let fragment = self.fragment(py)?;
        let mut identity = Vec::with_capacity(ROOM / 4);
        identity.push(b'{');
        for span in spans {
            if identity.len() > 1 {
                identity.push(b',');
            }
            identity.extend_from_slice(self.out.get(span).ok_or(Stop::Odd)?);
        }
        identity.push(b'}');
        Ok((fragment, PyBytes::new(py, &identity)))
    }

    /// Give the JSON of a key of a table with this schema.
    fn known_key<'py>(
        &mut self,
        key: &Bound<'py, PyAny>,
        schema: &Schema<'py>,
    ) -> Go<Bound<'py, PyBytes>> {
        let attributes = key.cast_exact::<PyDict>()?;
        if attributes.len() != schema.names.len() {
            return Err(Stop::Odd);
        }
        self.out.push(b'{');
        for name in schema.names.iter_borrowed() {
            let value = attributes.get_item(name)?.ok_or(Stop::Odd)?;
            let name = name.cast_exact::<PyString>()?;
            check_key(&name, &value, schema.types.as_ref(), self.host)?;
            self.attribute(&name, &value, 1)?;
        }
        self.close(b'}');
        Ok(PyBytes::new(key.py(), &self.out))
    }

    /// Write an item, and give where its key attributes stand, each once, in the schema's order.
    fn item(
        &mut self,
        attributes: &Bound<'_, PyDict>,
        schema: &Schema<'_>,
    ) -> Go<Vec<Range<usize>>> {
        let mut names = Vec::with_capacity(2);
        for name in schema.names.iter_borrowed() {
            names.push(name.cast_exact::<PyString>()?.to_owned());
        }
        let mut texts = Vec::with_capacity(2);
        for name in &names {
            texts.push(name.to_str()?);
        }
        let mut spans = vec![0..0; names.len()];
        let len = attributes.len();
        self.out.push(b'{');
        for (name, value) in attributes.iter() {
            let name = name.cast_exact::<PyString>()?;
            let text = name.to_str()?;
            let begin = self.out.len();
            self.attribute(name, &value, 1)?;
            for (key, span) in texts.iter().zip(&mut spans) {
                if *key == text {
                    check_key(name, &value, schema.types.as_ref(), self.host)?;
                    *span = begin..self.out.len() - 1; // without its comma
                }
            }
            // Python ran, perhaps, and another thread with it. PyO3 panics on what the next step
            // of the iterator would then find.
            if attributes.len() != len {
                return Err(Stop::Odd);
            }
        }
        self.close(b'}');
        if spans.iter().any(Range::is_empty) {
            return Err(Stop::Odd);
        }
        Ok(spans)
    }

    /// Write attributes by name; `level` is the one that their values stand on.
    fn attributes(&mut self, attributes: &Bound<'_, PyDict>, level: usize) -> Go<()> {
        let len = attributes.len();
        if level > self.host.limits.levels && len > 0 {
            return Err(Stop::Odd);
        }
        self.out.push(b'{');
        for (name, value) in attributes.iter() {
            self.attribute(name.cast_exact::<PyString>()?, &value, level)?;
            if attributes.len() != len {
                return Err(Stop::Odd);
            }
        }
        self.close(b'}');
        Ok(())
    }

    /// Write one attribute and a comma.
    fn attribute(
        &mut self,
        name: &Bound<'_, PyString>,
        value: &Bound<'_, PyAny>,
        level: usize,
    ) -> Go<()> {
        let text = name.to_str()?;
        if !(1..=self.host.limits.name_bytes).contains(&text.len()) {
            return Err(Stop::Odd);
        }
        write_string(&mut self.out, text)?;
        self.out.push(b':');
        self.value(value, level)?;
        self.out.push(b',');
        Ok(())
    }

    /// Put what closes a list in the place of its last comma.
    fn close(&mut self, bracket: u8) {
        match self.out.last_mut() {
            Some(last) if *last == b',' => *last = bracket,
            _ => self.out.push(bracket),
        }
    }

    fn put(&mut self, json: &[u8]) {
        self.out.extend_from_slice(json);
    }

    /// Write one AttributeValue.
    fn value(&mut self, value: &Bound<'_, PyAny>, level: usize) -> Go<()> {
        if let Ok(text) = value.cast_exact::<PyString>() {
            self.put(br#"{"S":"#);
            write_string(&mut self.out, text.to_str()?)?;
            self.put(b"}");
        } else if let Ok(number) = value.cast_exact::<PyInt>() {
            self.put(br#"{"N":""#);
            numbers::write_int(number, &mut self.out, self.host)?;
            self.put(br#""}"#);
        } else if let Ok(number) = value.cast_exact::<PyFloat>() {
            self.put(br#"{"N":""#);
            numbers::write_float(number, &mut self.out, self.host)?;
            self.put(br#""}"#);
        } else if let Ok(flag) = value.cast_exact::<PyBool>() {
            self.put(if flag.is_true() {
                br#"{"BOOL":true}"#
            } else {
                br#"{"BOOL":false}"#
            });
        } else if value.is_none() {
            self.put(br#"{"NULL":true}"#);
        } else if let Ok(attributes) = value.cast_exact::<PyDict>() {
            self.put(br#"{"M":"#);
            self.attributes(attributes, level + 1)?;
            self.put(b"}");
        } else if let Ok(list) = value.cast_exact::<PyList>() {
            self.elements(list.len(), list.iter(), level + 1)?;
        } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            self.elements(tuple.len(), tuple.iter(), level + 1)?;
        } else if value.get_type().is(&self.host.numbers.decimal) {
            self.put(br#"{"N":""#);
            numbers::write_decimal(value, &mut self.out, self.host)?;
            self.put(br#""}"#);
        } else if let Ok(bytes) = value.cast_exact::<PyBytes>() {
            self.put(br#"{"B":"#);
            self.binary(bytes.as_bytes())?;
            self.put(b"}");
        } else if let Ok(set) = value.cast_exact::<PySet>() {
            self.set(set.iter())?;
        } else if let Ok(set) = value.cast_exact::<PyFrozenSet>() {
            self.set(set.iter())?;
        } else if let Ok(bytes) = value.cast_exact::<PyByteArray>() {
            self.put(br#"{"B":"#);
            self.binary(&bytes.to_vec())?;
            self.put(b"}");
        } else {
            return Err(Stop::Odd);
        }
        Ok(())
    }

    /// Write a list; `level` is the one that its elements stand on.
    fn elements<'py>(
        &mut self,
        len: usize,
        elements: impl Iterator<Item = Bound<'py, PyAny>>,
        level: usize,
    ) -> Go<()> {
        if level > self.host.limits.levels && len > 0 {
            return Err(Stop::Odd);
        }
        self.put(br#"{"L":["#);
        for element in elements {
            self.value(&element, level)?;
            self.out.push(b',');
        }
        self.close(b']');
        self.put(b"}");
        Ok(())
    }

    /// Write a set whose elements are all of one exact type. Then no two have one text; of a mixed
    /// set (10**23 and 1e23) they may, and Python looks.
    fn set<'py>(&mut self, elements: impl Iterator<Item = Bound<'py, PyAny>>) -> Go<()> {
        let mut elements = elements.peekable();
        let kind = elements.peek().ok_or(Stop::Odd)?.get_type();
        let mut first = true;
        for element in elements {
            if !element.get_type().is(&kind) {
                return Err(Stop::Odd);
            }
            if let Ok(text) = element.cast_exact::<PyString>() {
                self.put(if first { br#"{"SS":["# } else { b"," });
                write_string(&mut self.out, text.to_str()?)?;
            } else if let Ok(bytes) = element.cast_exact::<PyBytes>() {
                self.put(if first { br#"{"BS":["# } else { b"," });
                self.binary(bytes.as_bytes())?;
            } else {
                self.put(if first { br#"{"NS":[""# } else { br#",""# });
                if let Ok(number) = element.cast_exact::<PyInt>() {
                    numbers::write_int(number, &mut self.out, self.host)?;
                } else if let Ok(number) = element.cast_exact::<PyFloat>() {
                    numbers::write_float(number, &mut self.out, self.host)?;
                } else if kind.is(&self.host.numbers.decimal) {
                    numbers::write_decimal(&element, &mut self.out, self.host)?;
                } else {
                    return Err(Stop::Odd);
                }
                self.out.push(b'"');
            }
            first = false;
        }
        self.put(b"]}");
        Ok(())
    }

    fn binary(&mut self, bytes: &[u8]) -> Go<()> {
        let begin = self.out.len() + 1;
        let len = base64::encoded_len(bytes.len(), true).ok_or(Stop::Odd)?;
        self.out.push(b'"');
        self.out.resize(begin + len, 0);
        let room = self.out.get_mut(begin..).ok_or(Stop::Odd)?;
        STANDARD.encode_slice(bytes, room).map_err(|_| Stop::Odd)?;
        self.out.push(b'"');
        Ok(())
    }
}

/// Write a JSON string.
pub fn write_string(out: &mut Vec<u8>, text: &str) -> Go<()> {
    serde_json::to_writer(out, text).map_err(|_| Stop::Odd)
}
