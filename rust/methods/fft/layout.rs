//! How the half-transform of a real row lies in memory.

/// Values in a cache line: columns are stored in multiples of it.
pub const LINE: usize = 16;

/// Complex columns that hold the half-transform of a row of `n` real values.
pub fn packed(n: usize) -> usize {
    n.div_ceil(2)
}

/// Real parts (and imaginary parts) stored per half-transformed row of `n` real values.
pub fn stride(n: usize) -> usize {
    packed(n).next_multiple_of(LINE)
}
