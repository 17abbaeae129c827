//! The compiled codec of aiobatch.
//!
//! It does the common cases and leaves all others to the Python codec, which it is given the
//! functions of: so both agree on rare types, odd numbers and the texts of errors.

mod answer;
mod decode;
mod encode;
mod host;
mod names;
mod numbers;
mod parsed;
mod tape;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::host::{Host, Limits, Numbers, or_none};
use crate::tape::Parser;

/// Changes whenever a Python side written for the old one would not work with the new one.
const INTERFACE: u32 = 4;

#[pyclass(frozen, module = "aiobatch_native")]
pub struct Codec {
    host: Host,
    parser: Parser,
    encode_item: Py<PyAny>,
    encode_key: Py<PyAny>,
    encode_values: Py<PyAny>,
    decode_item: Py<PyAny>,
    not_asked: Py<PyAny>,
    resume: Py<PyAny>,
}

#[pymethods]
impl Codec {
    #[new]
    fn new(python: &Bound<'_, PyDict>, limits: &Bound<'_, PyDict>) -> PyResult<Self> {
        let function = |name: &str| Ok::<_, PyErr>(python.as_any().get_item(name)?.unbind());
        let limit = |name: &str| limits.as_any().get_item(name)?.extract::<usize>();
        Ok(Self {
            host: Host {
                limits: Limits {
                    item_bytes: limit("item_bytes")?,
                    name_bytes: limit("name_bytes")?,
                    key_bytes: limit("key_bytes")?,
                    levels: limit("levels")?,
                    digits: limit("digits")?,
                },
                numbers: Numbers {
                    decimal: function("Decimal")?,
                    int_text: function("int_text")?,
                    float_text: function("float_text")?,
                    decimal_text: function("decimal_text")?,
                    canonical_read: function("canonical_read")?,
                    native: function("native")?,
                    exact: function("decimal")?,
                    strict: function("strict")?,
                },
            },
            parser: Parser::new(),
            encode_item: function("encode_item")?,
            encode_key: function("encode_key")?,
            encode_values: function("encode_values")?,
            decode_item: function("decode_item")?,
            not_asked: function("not_asked")?,
            resume: function("resume")?,
        })
    }

    fn encode_item<'py>(
        &self,
        py: Python<'py>,
        item: &Bound<'py, PyAny>,
        schema: &Bound<'py, PyAny>,
        serialize: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match or_none(py, encode::item(item, schema, &self.host))? {
            Some(encoded) => Ok(encoded.into_pyobject(py)?.into_any()),
            None => self.encode_item.bind(py).call1((item, schema, serialize)),
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn encode_items<'py>(
        &self,
        items: &Bound<'py, PyList>,
        schema: &Bound<'py, PyAny>,
        _serialize: &Bound<'py, PyAny>,
        encode: &Bound<'py, PyAny>,
        fragments: &Bound<'py, PyList>,
        identities: &Bound<'py, PyList>,
        room: usize,
    ) -> PyResult<()> {
        encode::items(
            items, schema, encode, fragments, identities, room, &self.host,
        )
    }

    fn encode_keys<'py>(
        &self,
        keys: &Bound<'py, PyList>,
        schema: &Bound<'py, PyAny>,
        encode: &Bound<'py, PyAny>,
        fragments: &Bound<'py, PyList>,
        room: usize,
    ) -> PyResult<()> {
        encode::keys(keys, schema, encode, fragments, room, &self.host)
    }

    fn encode_key<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        schema: &Bound<'py, PyAny>,
        serialize: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match or_none(py, encode::key(key, schema, &self.host))? {
            Some(encoded) => Ok(encoded.into_any()),
            None => self.encode_key.bind(py).call1((key, schema, serialize)),
        }
    }

    fn encode_values<'py>(
        &self,
        py: Python<'py>,
        values: &Bound<'py, PyAny>,
        serialize: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match or_none(py, encode::values(values, &self.host))? {
            Some(encoded) => Ok(encoded.into_any()),
            None => self.encode_values.bind(py).call1((values, serialize)),
        }
    }

    fn decode_item<'py>(
        &self,
        py: Python<'py>,
        attributes: &Bound<'py, PyAny>,
        numbers: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match or_none(py, parsed::item(attributes, numbers, &self.host))? {
            Some(item) => Ok(item.into_any()),
            None => self.decode_item.bind(py).call1((attributes, numbers)),
        }
    }

    fn read_answer<'py>(
        slf: &Bound<'py, Self>,
        body: &Bound<'py, PyBytes>,
        names: &Bound<'py, PyAny>,
        numbers: &Bound<'py, PyAny>,
    ) -> PyResult<Option<answer::Read<'py>>> {
        let read = answer::read(slf.clone().unbind(), &slf.get().host, body, names, numbers);
        or_none(slf.py(), read)
    }
}

/// The CRC-32 of these bytes, after others that had this one: several times as fast as zlib's.
#[pyfunction]
#[pyo3(signature = (data, value, /))]
fn crc32(data: &[u8], value: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(value);
    hasher.update(data);
    hasher.finalize()
}

#[pymodule(gil_used = true)]
mod aiobatch_native {
    #[pymodule_export]
    use super::Codec;
    #[pymodule_export]
    use super::answer::Items;
    #[pymodule_export]
    use super::crc32;

    #[pymodule_export]
    const INTERFACE: u32 = super::INTERFACE;
}
