//! A parsed answer: simd-json's tape beside the bytes that its strings stand in.

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

impl Parsed {
    /// Parse a whole body, all of it checked.
    pub fn of(body: &[u8]) -> Go<Self> {
        let len = body.len();
        let mut padded = Vec::with_capacity(len + INPUT_PADDING);
        padded.extend_from_slice(body);
        padded.resize(len + INPUT_PADDING, 0);
        Self::try_new(MutBorrow::new(padded), |bytes| {
            let mut buffers = Buffers::with_max_depth(len, MOST_DEPTH);
            let mut tape = Tape(Vec::with_capacity(len / 8));
            fill_tape_padded(bytes.borrow_mut(), len, &mut buffers, &mut tape)
                .map_err(|_| Stop::Odd)?;
            Ok(tape)
        })
    }

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
