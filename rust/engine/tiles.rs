//! `X_b Q` and `+= X_bᵀ Y_b` for a tile of rows: the inner loops under [`crate::methods::products`] and the factorisations.
//!
//! Integers are widened in registers and an offset per feature (a mean) is subtracted there too, so that centring neither
//! copies nor cancels. A tile that was just used for `X Q` is still in cache for `Xᵀ Y`.

use crate::engine::panel::Panel;
use crate::engine::rows::{Block, Part};
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch, prefetch};
use crate::engine::sparse_tiles;
use std::ops::Range;

/// Most rows summed in the type of the arithmetic before the sum goes on in f64.
pub const BLOCK_ROWS: usize = 240;

/// Bytes of X in a tile: it, and the next that is asked for meanwhile, must stay in the second-level cache.
const TILE_BYTES: usize = 256 << 10;

/// Features whose part of Q stays in the first-level cache while the rows of a tile pass.
const CHUNK_LINES: usize = 16;

/// How far ahead in a row `X Q` asks for X (`Xᵀ Y`, which takes a few features of many rows at a time: a quarter). Rows
/// are read by short pieces, which the hardware does not foresee; without this both wait for memory at half their speed.
const PREFETCH_BYTES: usize = 2048;
/// Of rows shorter than this it asks for those of the group after the next.
const SHORT_ROW: usize = 2 * PREFETCH_BYTES;

/// Rows that make a tile: few enough to stay in cache between `X Q` and `Xᵀ Y`, a multiple of what registers hold.
pub fn tile_rows<T>(d: usize) -> usize {
    (TILE_BYTES / (d * size_of::<T>()).max(1)).clamp(12, BLOCK_ROWS) / 12 * 12
}

/// Cut `0..n` into tiles of `rows` rows.
pub fn tiles(n: usize, rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(rows).map(move |start| start..(start + rows).min(n))
}

/// The offset of each of d features in the type of the arithmetic, padded to whole lines; empty where none is given.
pub fn pack_offset<R: Real>(offset: Option<&[f64]>, d: usize) -> Vec<R> {
    let Some(offset) = offset else { return Vec::new() };
    assert_eq!(offset.len(), d, "an offset for each feature");
    let mut packed = Vec::from_iter(offset.iter().map(|&x| R::of(x)));
    packed.resize(d.div_ceil(R::LINE) * R::LINE, R::ZERO);
    packed
}

/// `out = (X_b - offset) Q` for a tile of rows; `out` holds `block.n()` × `q.k()` values.
///
/// `offset` comes from [`pack_offset`]; of sparse rows, most of which it would fill, there is none, and their Q lies by feature.
pub fn project<'a, T: Pixel>(
    rows: impl Into<Part<'a, T>>,
    offset: &[T::Real],
    q: &Panel<T::Real>,
    out: &mut [T::Real],
) {
    let rows = rows.into();
    assert_eq!(rows.d(), q.d(), "features of X and Q");
    assert_eq!(matches!(rows, Part::Sparse(_)), q.is_by_feature(), "how Q lies");
    assert_eq!(out.len(), rows.n() * q.k(), "rows of X times columns of Q");
    match rows {
        Part::Dense(block) => with_tile(block, offset, |tile| dispatch(Project { tile, q, out })),
        Part::Sparse(rows) => {
            assert!(offset.is_empty(), "sparse rows without an offset");
            dispatch(sparse_tiles::Project { rows, q, out });
        }
    }
}

/// `into += (X_b - offset)ᵀ Y_b` for a tile of rows; `y` holds `block.n()` × `into.k()` values.
pub fn accumulate<'a, T: Pixel>(
    rows: impl Into<Part<'a, T>>,
    offset: &[T::Real],
    y: &[T::Real],
    into: &mut Panel<T::Real>,
) {
    let rows = rows.into();
    assert_eq!(rows.d(), into.d(), "features of X and of the sum");
    assert_eq!(matches!(rows, Part::Sparse(_)), into.is_by_feature(), "how the sum lies");
    assert_eq!(y.len(), rows.n() * into.k(), "rows of X times columns of Y");
    match rows {
        Part::Dense(block) => with_tile(block, offset, |tile| dispatch(Accumulate { tile, y, into })),
        Part::Sparse(rows) => {
            assert!(offset.is_empty(), "sparse rows without an offset");
            dispatch(sparse_tiles::Accumulate { rows, y, into });
        }
    }
}

/// Registers of features at a time in [`Accumulate`]: G x K sums.
const G: usize = 2;

/// Call `$self.$columns::<S, K, R, OFFSET>($simd, first column, $more...)` for each group of K columns of which, R rows of X at a
/// time, all sums, the rows and a column fit into the registers of the instruction set; more would be spilled, which costs half
/// the speed.
macro_rules! for_column_groups {
    ($self:ident, $columns:ident, $simd:ident, $k:expr, $($more:expr),*) => {
        if $self.tile.offset.is_empty() {
            for_column_groups!(@false, $self, $columns, $simd, $k, $($more),*)
        } else {
            for_column_groups!(@true, $self, $columns, $simd, $k, $($more),*)
        }
    };
    (@$offset:literal, $self:ident, $columns:ident, $simd:ident, $k:expr, $($more:expr),*) => {{
        let mut first = 0;
        while first < $k {
            first += match $k - first {
                8.. if S::REGISTER_COUNT >= 32 => $self.$columns::<S, 8, 2, $offset>($simd, first, $($more),*),
                6 if S::REGISTER_COUNT >= 32 => $self.$columns::<S, 6, 3, $offset>($simd, first, $($more),*),
                4.. => $self.$columns::<S, 4, 3, $offset>($simd, first, $($more),*),
                3 if S::REGISTER_COUNT >= 32 => $self.$columns::<S, 3, 4, $offset>($simd, first, $($more),*),
                3 => $self.$columns::<S, 3, 3, $offset>($simd, first, $($more),*),
                2.. => $self.$columns::<S, 2, 4, $offset>($simd, first, $($more),*),
                _ => $self.$columns::<S, 1, 4, $offset>($simd, first, $($more),*),
            }
        }
    }};
}

/// A tile of rows: whole lines where they stand, the rest of each row copied to a line of its own, padded with zeros.
struct Tile<'a, T: Pixel> {
    block: Block<'a, T>,
    tail: &'a [T],
    /// Of each feature, or none of any.
    offset: &'a [T::Real],
}

impl<'a, T: Pixel> Tile<'a, T> {
    /// The offset of the features from `at` on.
    #[inline(always)]
    fn offset<S: Simd, const O: bool>(&self, simd: S, at: usize) -> <T::Real as Real>::Lanes<S> {
        let lanes = T::Real::lanes::<S>();
        debug_assert!(!O || at + lanes <= self.offset.len());
        // SAFETY: `with_tile` checked that there is one for each feature of whole lines.
        if O {
            T::Real::load(simd, unsafe { self.offset.get_unchecked(at..at + lanes) })
        } else {
            T::Real::splat(simd, T::Real::ZERO)
        }
    }

    #[inline(always)]
    fn lines(&self) -> usize {
        self.block.d().div_ceil(T::Real::LINE)
    }

    /// Line `line` of row `i`.
    #[inline(always)]
    fn line(&self, i: usize, line: usize) -> &'a [T] {
        let size = T::Real::LINE;
        debug_assert!(i < self.block.n() && line < self.lines());
        if (line + 1) * size <= self.block.d() {
            // SAFETY: within row i.
            unsafe { self.block.row(i).get_unchecked(line * size..(line + 1) * size) }
        } else {
            // SAFETY: `with_tile` copied one line for each row.
            unsafe { self.tail.get_unchecked(i * size..(i + 1) * size) }
        }
    }
}

/// Call `body` with `block` as a tile.
fn with_tile<T: Pixel>(block: Block<'_, T>, offset: &[T::Real], body: impl FnOnce(Tile<'_, T>)) {
    let (d, size) = (block.d(), T::Real::LINE);
    let whole = [0, d.div_ceil(size) * size].contains(&offset.len());
    assert!(whole, "an offset for each feature, from pack_offset");
    let mut tail = Vec::new();
    if d % size != 0 {
        tail.resize(block.n() * size, T::default());
        for (i, line) in tail.chunks_mut(size).enumerate() {
            line[..d % size].copy_from_slice(&block.row(i)[d - d % size..]);
        }
    }
    body(Tile { block, tail: &tail, offset });
}

struct Project<'a, T: Pixel> {
    tile: Tile<'a, T>,
    q: &'a Panel<T::Real>,
    out: &'a mut [T::Real],
}

impl<T: Pixel> WithSimd for Project<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (n, k) = (self.tile.block.n(), self.q.k());
        // Sums wait here while other chunks of features pass, so that a chunk of Q and of X serves all. Where the tile ends
        // amid a group of rows, which are four at most, its last row fills the group.
        let mut sums = vec![T::Real::splat(simd, T::Real::ZERO); (n + 3) * k];
        for chunk in tiles(self.tile.lines(), CHUNK_LINES) {
            for_column_groups!(self, columns, simd, k, chunk.clone(), &mut sums);
        }
        for (out, &sum) in self.out.iter_mut().zip(&sums) {
            *out = T::Real::sum(simd, sum);
        }
    }
}

impl<T: Pixel> Project<'_, T> {
    /// Add the share of a chunk of lines to columns `first..first + K` of the sums, R rows at a time; returns K.
    #[inline(always)]
    fn columns<S: Simd, const K: usize, const R: usize, const O: bool>(
        &self,
        simd: S,
        first: usize,
        chunk: Range<usize>,
        sums: &mut [<T::Real as Real>::Lanes<S>],
    ) -> usize {
        let (block, size) = (self.tile.block, T::Real::LINE);
        let (n, k, whole) = (block.n(), self.q.k(), block.d() / size);
        let step = block.row_step();
        let ahead = if (0..SHORT_ROW as isize).contains(&step) { 2 * R * step as usize } else { PREFETCH_BYTES };
        for start in (0..n).step_by(R) {
            let mut x = [&[] as &[T]; R];
            let mut acc = [[T::Real::splat(simd, T::Real::ZERO); K]; R];
            for r in 0..R {
                x[r] = block.row((start + r).min(n - 1));
                acc[r].copy_from_slice(&sums[(start + r) * k + first..][..K]);
            }
            for line in chunk.start..chunk.end.min(whole) {
                let mut part = x;
                for x in &mut part {
                    // SAFETY: a whole line of the row.
                    *x = unsafe { x.get_unchecked(line * size..(line + 1) * size) };
                    prefetch(x, ahead);
                }
                self.line::<S, K, R, O>(simd, first, line, part, &mut acc);
            }
            if chunk.end > whole {
                for (r, x) in x.iter_mut().enumerate() {
                    *x = self.tile.line((start + r).min(n - 1), whole);
                }
                self.line::<S, K, R, O>(simd, first, whole, x, &mut acc);
            }
            for r in 0..R {
                sums[(start + r) * k + first..][..K].copy_from_slice(&acc[r]);
            }
        }
        K
    }

    /// One line of features of R rows.
    #[inline(always)]
    fn line<S: Simd, const K: usize, const R: usize, const O: bool>(
        &self,
        simd: S,
        first: usize,
        line: usize,
        x: [&[T]; R],
        acc: &mut [[<T::Real as Real>::Lanes<S>; K]; R],
    ) {
        let (size, lanes) = (T::Real::LINE, T::Real::lanes::<S>());
        let at = (line * self.q.k() + first) * size;
        // SAFETY: Q holds `lines()` whole lines of each column.
        let columns = unsafe { self.q.values().get_unchecked(at..at + K * size) };
        for part in (0..size).step_by(lanes) {
            let offset = self.tile.offset::<S, O>(simd, line * size + part);
            let mut values = [offset; R];
            for (value, x) in values.iter_mut().zip(&x) {
                let x = T::load(simd, &x[part..part + lanes]);
                *value = if O { T::Real::sub(simd, x, offset) } else { x };
            }
            for (c, column) in columns.chunks_exact(size).enumerate() {
                let q = T::Real::load(simd, &column[part..part + lanes]);
                for r in 0..R {
                    acc[r][c] = T::Real::mul_add(simd, values[r], q, acc[r][c]);
                }
            }
        }
    }
}

struct Accumulate<'a, T: Pixel> {
    tile: Tile<'a, T>,
    y: &'a [T::Real],
    into: &'a mut Panel<T::Real>,
}

impl<T: Pixel> WithSimd for Accumulate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for line in 0..self.tile.lines() {
            for_column_groups!(self, columns, simd, self.into.k(), line);
        }
    }
}

impl<T: Pixel> Accumulate<'_, T> {
    /// Columns `first..first + K` of the sum, G registers of features at a time; returns K.
    #[inline(always)]
    fn columns<S: Simd, const K: usize, const R: usize, const O: bool>(
        &mut self,
        simd: S,
        first: usize,
        line: usize,
    ) -> usize {
        for part in (0..T::Real::LINE).step_by(G * T::Real::lanes::<S>()) {
            // Once for each cache line: to ask takes as long as to load.
            let ask = first == 0 && ((line * T::Real::LINE + part) * size_of::<T>()).is_multiple_of(64);
            if ask {
                self.registers::<S, K, O, true>(simd, first, line, part);
            } else {
                self.registers::<S, K, O, false>(simd, first, line, part);
            }
        }
        K
    }

    /// G registers of features; where `ASK`, those further on in each row are asked for, and those of the next tile, for which
    /// memory has time now.
    #[inline(always)]
    fn registers<S: Simd, const K: usize, const O: bool, const ASK: bool>(
        &mut self,
        simd: S,
        first: usize,
        line: usize,
        part: usize,
    ) {
        let (k, size, lanes) = (self.into.k(), T::Real::LINE, T::Real::lanes::<S>());
        let at = (line * k + first) * size;
        let sums = &mut self.into.values_mut()[at..at + K * size];
        // Loops, not `from_fn`, whose closures are not always compiled for the instruction set at hand.
        let mut offset = [T::Real::splat(simd, T::Real::ZERO); G];
        for (g, offset) in offset.iter_mut().enumerate() {
            *offset = self.tile.offset::<S, O>(simd, line * size + part + g * lanes);
        }
        let mut acc = [[T::Real::splat(simd, T::Real::ZERO); K]; G];
        for (g, acc) in acc.iter_mut().enumerate() {
            for (c, acc) in acc.iter_mut().enumerate() {
                *acc = T::Real::load(simd, &sums[c * size + part + g * lanes..][..lanes]);
            }
        }
        let n = self.tile.block.n();
        let next = (n as isize * self.tile.block.row_step()) as usize;
        for i in 0..n {
            let x = &self.tile.line(i, line)[part..part + G * lanes];
            if ASK {
                prefetch(x, PREFETCH_BYTES / 4);
                prefetch(x, next);
            }
            // SAFETY: `y` holds n * k values and `first + K <= k`.
            let y = unsafe { self.y.get_unchecked(i * k + first..i * k + first + K) };
            let mut values = offset;
            for (g, value) in values.iter_mut().enumerate() {
                let x = T::load(simd, &x[g * lanes..(g + 1) * lanes]);
                *value = if O { T::Real::sub(simd, x, *value) } else { x };
            }
            for c in 0..K {
                let y = T::Real::splat(simd, y[c]);
                for g in 0..G {
                    acc[g][c] = T::Real::mul_add(simd, values[g], y, acc[g][c]);
                }
            }
        }
        for (g, acc) in acc.iter().enumerate() {
            for (c, &acc) in acc.iter().enumerate() {
                T::Real::store(simd, &mut sums[c * size + part + g * lanes..][..lanes], acc);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rows;

    #[test]
    fn every_instruction_set_agrees_with_the_baseline() {
        let (n, d, k) = if cfg!(miri) { (5, 67, 9) } else { (11, 531, 9) };
        let data = Vec::from_iter((0..n * d).map(|i| (i * i % 251) as u8));
        let rows = Rows::from_slice(&data, n, d);
        let q = Panel::<f32>::from_fn(d, k, |j, c| ((j * 7 + c * 3) % 11) as f32 - 5.0);
        #[derive(Clone)]
        struct Both<'a>(Block<'a, u8>, &'a Panel<f32>);
        impl WithSimd for Both<'_> {
            type Output = (Vec<f32>, Vec<f32>);
            #[inline(always)]
            fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
                let (block, q) = (self.0, self.1);
                let mut y = vec![0.0; block.n() * q.k()];
                let offset = pack_offset(None, q.d());
                with_tile(block, &offset, |tile| Project { tile, q, out: &mut y }.with_simd(simd));
                let mut into = Panel::<f32>::zeros(q.d(), q.k());
                let small = Vec::from_iter(y.iter().map(|y| y % 64.0));
                with_tile(block, &offset, |tile| Accumulate { tile, y: &small, into: &mut into }.with_simd(simd));
                (y, into.to_columns())
            }
        }
        let mut scratch = Vec::new();
        // Whole numbers small enough to be exact in f32: every order of summation gives the same bits.
        let outputs = crate::engine::simd::on_each(Both(rows.block(0..n, &mut scratch), &q));
        assert!(outputs.iter().all(|output| *output == outputs[0]));
    }
}
