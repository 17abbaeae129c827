//! The numbers that nearly all are: short ints and short fractions in plain notation.
//!
//! Whatever else DynamoDB stores goes to the functions of `codec/numbers.py`.

use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyString};

use crate::host::{Go, Host, Stop, text_from};

/// How to decode numbers, by the caller's `numbers=`.
#[derive(Clone, Copy)]
pub enum Mode {
    Native,
    Exact,
    Strict,
}

impl Mode {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "native" => Some(Self::Native),
            "decimal" => Some(Self::Exact),
            "strict" => Some(Self::Strict),
            _ => None,
        }
    }
}

/// An int of so many characters, its sign included, fits into 64 bits.
const SURELY_64_BITS: usize = 19;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Digits, perhaps after a minus.
    Whole,
    /// Digits with one point between them, perhaps after a minus; no zero at the end.
    Fraction,
    Other,
}

fn shape(text: &str) -> Shape {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let mut point = None;
    for (index, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {}
            b'.' if point.is_none() && index > 0 => point = Some(index),
            _ => return Shape::Other,
        }
    }
    match (point, digits.last()) {
        (None, Some(_)) => Shape::Whole,
        (Some(_), Some(b'1'..=b'9')) => Shape::Fraction,
        _ => Shape::Other,
    }
}

/// Whether a text that is no fraction, or one that Python wrote, is the one this codec writes.
fn is_canonical_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    text == "0" || !digits.starts_with('0')
}

/// Decode a number that the service sent.
pub fn read<'py>(py: Python<'py>, text: &str, mode: Mode, host: &Host) -> Go<Bound<'py, PyAny>> {
    if text.len() <= host.limits.digits {
        match (shape(text), mode) {
            (Shape::Other, _) => {}
            (_, Mode::Exact) => return Ok(host.numbers.decimal.bind(py).call1((text,))?),
            (Shape::Whole, _) if text.len() <= SURELY_64_BITS => {
                let number = text.parse::<i64>().map_err(|_| Stop::Odd)?;
                return Ok(PyInt::new(py, number).into_any());
            }
            (Shape::Whole, _) => {}
            (Shape::Fraction, _) => {
                let number = text.parse::<f64>().map_err(|_| Stop::Odd)?;
                let exact = || zmij::Buffer::new().format(number) == text;
                if matches!(mode, Mode::Native) || exact() {
                    return Ok(PyFloat::new(py, number).into_any());
                }
            }
        }
    }
    let read = match mode {
        Mode::Native => &host.numbers.native,
        Mode::Exact => &host.numbers.exact,
        Mode::Strict => &host.numbers.strict,
    };
    Ok(read.bind(py).call1((text,))?)
}

/// Write the canonical text of a number that the service sent.
pub fn write_canonical(py: Python<'_>, text: &str, out: &mut Vec<u8>, host: &Host) -> Go<()> {
    let canonical =
        text.len() <= host.limits.digits && shape(text) == Shape::Whole && is_canonical_whole(text);
    if canonical {
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    let text = PyString::new(py, text).into_any();
    push(
        out,
        &text_from(host.numbers.canonical_read.bind(py), &text)?,
    )
}

/// Write an int, exactly of that type.
pub fn write_int(value: &Bound<'_, PyInt>, out: &mut Vec<u8>, host: &Host) -> Go<()> {
    if let Ok(number) = value.extract::<i64>() {
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        return Ok(());
    }
    let text = text_from(host.numbers.int_text.bind(value.py()), value.as_any())?;
    push(out, &text)
}

/// Write a float, exactly of that type.
pub fn write_float(value: &Bound<'_, PyFloat>, out: &mut Vec<u8>, host: &Host) -> Go<()> {
    let number = value.value();
    if !number.is_finite() {
        return Err(Stop::Odd);
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(number);
    if text.contains('e') {
        let text = text_from(host.numbers.float_text.bind(value.py()), value.as_any())?;
        return push(out, &text);
    }
    let text = text.strip_suffix(".0").unwrap_or(text);
    out.extend_from_slice(if text == "-0" { b"0" } else { text.as_bytes() });
    Ok(())
}

/// Write a Decimal, exactly of that type.
pub fn write_decimal(value: &Bound<'_, PyAny>, out: &mut Vec<u8>, host: &Host) -> Go<()> {
    let text = value.str()?;
    let plain = text.to_str()?;
    let canonical = plain.len() <= host.limits.digits
        && match shape(plain) {
            Shape::Whole => is_canonical_whole(plain),
            Shape::Fraction => true, // str() writes no leading zeros
            Shape::Other => false,
        };
    if canonical {
        out.extend_from_slice(plain.as_bytes());
        return Ok(());
    }
    push(
        out,
        &text_from(host.numbers.decimal_text.bind(value.py()), value)?,
    )
}

fn push(out: &mut Vec<u8>, text: &Bound<'_, PyString>) -> Go<()> {
    out.extend_from_slice(text.to_str()?.as_bytes());
    Ok(())
}
