//! What the Python side lends: its own functions for whatever this crate leaves to it, its limits.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Why this crate does not go on.
pub enum Stop {
    /// Something rare or wrong. The Python codec does the whole thing again: it knows every type
    /// and every error's text, so that both codecs agree on them by construction.
    Odd,
    /// Python raised.
    Raised(Box<PyErr>),
}

pub type Go<T> = Result<T, Stop>;

impl From<PyErr> for Stop {
    fn from(error: PyErr) -> Self {
        Self::Raised(Box::new(error))
    }
}

impl From<pyo3::CastError<'_, '_>> for Stop {
    fn from(_: pyo3::CastError<'_, '_>) -> Self {
        Self::Odd
    }
}

/// The result, or None where Python has to do it. What is no `Exception` (an interrupt) goes up.
pub fn or_none<T>(py: Python<'_>, result: Go<T>) -> PyResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Stop::Odd) => Ok(None),
        Err(Stop::Raised(error)) if error.is_instance_of::<PyException>(py) => Ok(None),
        Err(Stop::Raised(error)) => Err(*error),
    }
}

/// The limits of `aiobatch.limits` that matter here.
pub struct Limits {
    pub item_bytes: usize,
    pub name_bytes: usize,
    /// Of the shorter kind of key. A longer one is Python's to judge.
    pub key_bytes: usize,
    pub levels: usize,
    pub digits: usize,
}

/// The functions of `codec/numbers.py` for the numbers that are not simple.
pub struct Numbers {
    pub decimal: Py<PyAny>,
    pub int_text: Py<PyAny>,
    pub float_text: Py<PyAny>,
    pub decimal_text: Py<PyAny>,
    pub canonical_read: Py<PyAny>,
    pub native: Py<PyAny>,
    pub exact: Py<PyAny>,
    pub strict: Py<PyAny>,
}

pub struct Host {
    pub limits: Limits,
    pub numbers: Numbers,
}

/// Call one of them, and give its text.
pub fn text_from<'py>(
    function: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
) -> Go<Bound<'py, PyString>> {
    function
        .call1((value,))?
        .cast_into_exact::<PyString>()
        .map_err(|_| Stop::Odd)
}
