//! A parsed answer: simd-json's tape beside the bytes that its strings stand in.

use std::mem;
use std::sync::{Mutex, PoisonError};

use self_cell::{MutBorrow, self_cell};
use simd_json::{Buffers, INPUT_PADDING, Node, Tape, fill_tape_padded};

use crate::host::{Go, Stop};

/// Deeper than any answer of DynamoDB's. Beyond, it is Python's parser that says no.
const MOST_DEPTH: usize = 128;

self_cell!(
    pub struct Parsed {
        owner: MutBorrow<Vec<u8>>,
        #[covariant]
        dependent: Tape,
    }
);

/// The largest answer whose memory is kept for the next one: what `BatchGetItem` gives of one
/// partition, 1 MB, and some more. It is up to about 15 times as much where JSON is densest.
const MOST_KEPT: usize = 1_200_000;

/// The memory of an answer that is done with. New memory costs a page fault for every 4 KB, which
/// takes longer than to parse what is then put there.
struct Spare {
    bytes: Vec<u8>,
    tape: Tape<'static>,
    buffers: Buffers,
}

impl Spare {
    fn new() -> Self {
        Self {
            bytes: Vec::new(),
            tape: Tape(Vec::new()),
            buffers: Buffers::with_max_depth(0, MOST_DEPTH),
        }
    }
}

/// What parses. Answers are taken one at a time as a rule, so one spare is enough.
pub struct Parser(Mutex<Option<Spare>>);

impl Parser {
    pub fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Parse a whole body, all of it checked.
    pub fn parse(&self, body: &[u8]) -> Go<(Parsed, Buffers)> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Spare {
            mut bytes,
            tape,
            mut buffers,
        } = spare.unwrap_or_else(Spare::new);
        let len = body.len();
        bytes.clear();
        bytes.reserve(len + INPUT_PADDING);
        bytes.extend_from_slice(body);
        bytes.resize(len + INPUT_PADDING, 0);
        let parsed = Parsed::try_new(MutBorrow::new(bytes), |bytes| {
            let mut tape = tape.reset();
            fill_tape_padded(bytes.borrow_mut(), len, &mut buffers, &mut tape)
                .map_err(|_| Stop::Odd)?;
            Ok::<_, Stop>(tape)
        })?;
        Ok((parsed, buffers))
    }

    /// Keep the memory of an answer for the next.
    pub fn recycle(&self, mut parsed: Parsed, buffers: Buffers) {
        let tape = parsed.with_dependent_mut(|_, tape| mem::replace(tape, Tape::null()).reset());
        let bytes = parsed.into_owner().into_inner();
        if bytes.len() <= MOST_KEPT {
            let spare = Spare {
                bytes,
                tape,
                buffers,
            };
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(spare);
        }
    }
}

impl Parsed {
    pub fn nodes(&self) -> &[Node<'_>] {
        &self.borrow_dependent().0
    }
}

/// A place on the tape, moving forward. What is not as expected is Odd.
#[derive(Clone)]
pub struct Cursor<'a> {
    nodes: &'a [Node<'a>],
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(nodes: &'a [Node<'a>], at: usize) -> Self {
        Self { nodes, at }
    }

    pub fn next(&mut self) -> Go<Node<'a>> {
        let node = self.nodes.get(self.at).ok_or(Stop::Odd)?;
        self.at += 1;
        Ok(*node)
    }

    pub fn string(&mut self) -> Go<&'a str> {
        match self.next()? {
            Node::String(text) => Ok(text),
            _ => Err(Stop::Odd),
        }
    }

    /// Enter an object, and give how many members it has.
    pub fn object(&mut self) -> Go<usize> {
        match self.next()? {
            Node::Object { len, .. } => Ok(len),
            _ => Err(Stop::Odd),
        }
    }

    /// Enter an array, and give how many elements it has.
    pub fn array(&mut self) -> Go<usize> {
        match self.next()? {
            Node::Array { len, .. } => Ok(len),
            _ => Err(Stop::Odd),
        }
    }

    /// Pass over a value with all that is in it.
    pub fn skip(&mut self) -> Go<()> {
        if let Node::Object { count, .. } | Node::Array { count, .. } = self.next()? {
            self.at += count;
        }
        Ok(())
    }
}
