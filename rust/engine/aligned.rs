//! Values on whole cache lines.

use crate::engine::room::{Zero, zeros_or_unwind};
use std::ops::{Deref, DerefMut};

/// Values that start at a multiple of 128 bytes, so that no register of them straddles two cache lines.
#[derive(Debug)]
pub struct Aligned<V> {
    buffer: Vec<V>,
    start: usize,
    len: usize,
}

impl<V: Zero> Aligned<V> {
    /// `len` zeros.
    pub fn new(len: usize) -> Self {
        let buffer: Vec<V> = zeros_or_unwind(len.saturating_add(128 / size_of::<V>()), "matrices");
        let start = buffer.as_ptr().align_offset(128);
        assert!(start + len <= buffer.len());
        Self { buffer, start, len }
    }
}

impl<V> Deref for Aligned<V> {
    type Target = [V];
    #[inline(always)]
    fn deref(&self) -> &[V] {
        &self.buffer[self.start..self.start + self.len]
    }
}

impl<V> DerefMut for Aligned<V> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [V] {
        &mut self.buffer[self.start..self.start + self.len]
    }
}

impl<V: PartialEq> PartialEq for Aligned<V> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
