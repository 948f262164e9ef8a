//! `X Q` and `Xᵀ Y` for thin Q (d × k) and Y (n × k), and their fused form, straight from the detector's type.
//!
//! Every method here is made of these two products. A general matrix product is the wrong tool: it wants X as floats and
//! packs it, while with a thin Q all the time goes into reading X. Here X is read once, a tile of rows at a time; integers
//! are widened in registers, an optional offset per feature (a mean) is subtracted there too, so that centring neither
//! copies nor cancels; a tile that was just used for `X Q` is still in the second-level cache for `Xᵀ Y`.
//!
//! Cost: 2 n d k flops a product, n d values read. Arithmetic is f32 (f64 for f64 data) over at most [`BLOCK_ROWS`] rows;
//! sums over blocks are f64, merged in a fixed order.

use crate::pass::pass;
use crate::rows::{Block, Rows};
use crate::simd::{Pixel, Real, Simd, WithSimd, dispatch, prefetch};
use crate::{Control, Result};
use std::ops::Range;
use std::sync::Mutex;

/// Most rows summed in the type of the arithmetic before the sum goes on in f64.
pub const BLOCK_ROWS: usize = 240;

/// Bytes of X in a tile: it must stay in the second-level cache together with the accumulators.
const TILE_BYTES: usize = 800 << 10;

/// Features whose part of Q stays in the first-level cache while the rows of a tile pass.
const CHUNK_LINES: usize = 16;

/// How far ahead in a row `X Q` asks for X (`Xᵀ Y`, which takes a few features of many rows at a time: a quarter). Rows
/// are read by short pieces, which the hardware does not foresee; without this both wait for memory at half their speed.
const PREFETCH_BYTES: usize = 2048;

/// k thin columns of d values, interleaved in lines of 128 bytes: value (j, c) stands at `((j / L) * k + c) * L + j % L`.
///
/// The order in which a hot loop reads them, whatever the instruction set. Padded with zeros to whole lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel<V> {
    d: usize,
    k: usize,
    line: usize,
    values: Vec<V>,
}

impl<V: Copy + Default> Panel<V> {
    /// Zeros, for data of d features in arithmetic of type `R`.
    pub fn zeros<R: Real>(d: usize, k: usize) -> Self {
        let line = R::LINE;
        Self { d, k, line, values: vec![V::default(); d.div_ceil(line) * line * k] }
    }

    /// Packed from a function of feature j and column c.
    pub fn from_fn<R: Real>(d: usize, k: usize, value: impl Fn(usize, usize) -> V) -> Self {
        let mut panel = Self::zeros::<R>(d, k);
        for c in 0..k {
            for j in 0..d {
                let at = panel.at(j, c);
                panel.values[at] = value(j, c);
            }
        }
        panel
    }

    /// Number of features d.
    pub fn d(&self) -> usize {
        self.d
    }

    /// Number of columns k.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The value of feature j in column c.
    pub fn get(&self, j: usize, c: usize) -> V {
        self.values[self.at(j, c)]
    }

    /// The k × L values of one line of features, column after column.
    pub fn line(&self, line: usize) -> &[V] {
        &self.values[line * self.k * self.line..][..self.k * self.line]
    }

    /// [`line`](Self::line), to change.
    pub fn line_mut(&mut self, line: usize) -> &mut [V] {
        &mut self.values[line * self.k * self.line..][..self.k * self.line]
    }

    /// Column by column, k × d values.
    pub fn to_columns(&self) -> Vec<V> {
        (0..self.k).flat_map(|c| (0..self.d).map(move |j| self.get(j, c))).collect()
    }

    fn at(&self, j: usize, c: usize) -> usize {
        debug_assert!(j < self.d && c < self.k);
        ((j / self.line) * self.k + c) * self.line + j % self.line
    }
}

impl Panel<f64> {
    /// Add a partial sum, value by value.
    pub fn add<R: Real>(&mut self, part: &Panel<R>) {
        assert_eq!((self.d, self.k, self.line), (part.d, part.k, part.line));
        for (total, x) in self.values.iter_mut().zip(&part.values) {
            *total += x.f64();
        }
    }
}

/// Rows that make a tile: few enough to stay in cache between `X Q` and `Xᵀ Y`, a multiple of what registers hold.
pub fn tile_rows<T>(d: usize) -> usize {
    (TILE_BYTES / (d * size_of::<T>()).max(1)).clamp(12, BLOCK_ROWS) / 12 * 12
}

/// Cut `0..n` into tiles of `rows` rows.
pub fn tiles(n: usize, rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(rows).map(move |start| start..(start + rows).min(n))
}

/// The offset of each of d features in the type of the arithmetic, padded to whole lines; zeros where none is given.
pub fn pack_offset<R: Real>(offset: Option<&[f64]>, d: usize) -> Vec<R> {
    let mut packed = offset.map_or(vec![R::ZERO; d], |offset| offset.iter().map(|&x| R::of(x)).collect());
    assert_eq!(packed.len(), d, "an offset for each feature");
    packed.resize(d.div_ceil(R::LINE) * R::LINE, R::ZERO);
    packed
}

/// `out = (X_b - offset) Q` for a tile of rows; `out` holds `block.n()` × `q.k()` values.
///
/// `offset` comes from [`pack_offset`].
pub fn project<T: Pixel>(block: Block<'_, T>, offset: &[T::Real], q: &Panel<T::Real>, out: &mut [T::Real]) {
    assert_eq!(block.d(), q.d, "features of X and Q");
    assert_eq!(out.len(), block.n() * q.k, "rows of X times columns of Q");
    with_tile(block, offset, |tile| dispatch(Project { tile, q, out }));
}

/// `into += (X_b - offset)ᵀ Y_b` for a tile of rows; `y` holds `block.n()` × `into.k()` values.
pub fn accumulate<T: Pixel>(block: Block<'_, T>, offset: &[T::Real], y: &[T::Real], into: &mut Panel<T::Real>) {
    assert_eq!(block.d(), into.d, "features of X and of the sum");
    assert_eq!(y.len(), block.n() * into.k, "rows of X times columns of Y");
    with_tile(block, offset, |tile| dispatch(Accumulate { tile, y, into }));
}

/// `(X - offset) Q`, n × k row by row.
pub fn x_q<T: Pixel>(
    rows: Rows<'_, T>,
    offset: Option<&[f64]>,
    q: &Panel<T::Real>,
    control: &Control,
) -> Result<Vec<T::Real>> {
    let offset = pack_offset(offset, rows.d());
    let tile = tile_rows::<T>(rows.d());
    let mut out = vec![T::Real::ZERO; rows.n() * q.k];
    let block = |range: Range<usize>, out: &mut [T::Real]| {
        let mut scratch = Vec::new();
        let block = rows.block(range, &mut scratch);
        for part in tiles(block.n(), tile) {
            project(block.part(part.clone()), &offset, q, &mut out[part.start * q.k..part.end * q.k]);
        }
    };
    control.expect(rows.n() as u64);
    pass(rows.n(), BLOCK_ROWS, control, &mut out, block, |()| ())?;
    Ok(out)
}

/// `(X - offset)ᵀ Y`; `y` holds n × k values row by row.
pub fn xt_y<T: Pixel>(
    rows: Rows<'_, T>,
    offset: Option<&[f64]>,
    y: &[T::Real],
    k: usize,
    control: &Control,
) -> Result<Panel<f64>> {
    assert_eq!(y.len(), rows.n() * k, "rows of X times columns of Y");
    let offset = pack_offset(offset, rows.d());
    sum_over_blocks(rows, k, control, |block, first, sum| {
        for part in tiles(block.n(), tile_rows::<T>(rows.d())) {
            let y = &y[(first + part.start) * k..(first + part.end) * k];
            accumulate(block.part(part), &offset, y, sum);
        }
    })
}

/// `(X - offset)ᵀ (X - offset) Q` in one read of X.
pub fn xt_x_q<T: Pixel>(
    rows: Rows<'_, T>,
    offset: Option<&[f64]>,
    q: &Panel<T::Real>,
    control: &Control,
) -> Result<Panel<f64>> {
    let offset = pack_offset(offset, rows.d());
    sum_over_blocks(rows, q.k, control, |block, _, sum| {
        let tile = tile_rows::<T>(rows.d());
        let mut y = vec![T::Real::ZERO; tile * q.k];
        for part in tiles(block.n(), tile) {
            let y = &mut y[..part.len() * q.k];
            let block = block.part(part);
            project(block, &offset, q, y);
            accumulate(block, &offset, y, sum);
        }
    })
}

/// One pass in which each block of rows adds to a d × k sum; `block(rows, index of the first row, sum)`.
fn sum_over_blocks<T: Pixel>(
    rows: Rows<'_, T>,
    k: usize,
    control: &Control,
    block: impl Fn(Block<'_, T>, usize, &mut Panel<T::Real>) + Sync,
) -> Result<Panel<f64>> {
    let spare = Spare::new(|| Panel::zeros::<T::Real>(rows.d(), k));
    let mut total = Panel::zeros::<T::Real>(rows.d(), k);
    let sum_block = |range: Range<usize>, _: &mut [u8]| {
        let mut scratch = Vec::new();
        let mut sum = spare.take();
        block(rows.block(range.clone(), &mut scratch), range.start, &mut sum);
        sum
    };
    control.expect(rows.n() as u64);
    pass(rows.n(), BLOCK_ROWS, control, &mut [], sum_block, |sum| {
        total.add(&sum);
        spare.put(sum);
    })?;
    Ok(total)
}

/// Partial sums that were merged and may be used again: at most a few per thread are ever made.
pub struct Spare<R, F> {
    make: F,
    free: Mutex<Vec<Panel<R>>>,
}

impl<R: Real, F: Fn() -> Panel<R>> Spare<R, F> {
    /// None yet; `make` makes one.
    pub fn new(make: F) -> Self {
        Self { make, free: Mutex::new(Vec::new()) }
    }

    /// One that holds zeros.
    pub fn take(&self) -> Panel<R> {
        let free = self.free.lock().unwrap().pop();
        let Some(mut panel) = free else { return (self.make)() };
        panel.values.fill(R::ZERO);
        panel
    }

    /// Give one back.
    pub fn put(&self, panel: Panel<R>) {
        self.free.lock().unwrap().push(panel);
    }
}

/// Registers of features at a time in [`Accumulate`]: G x K sums.
const G: usize = 2;

/// Call `$self.$columns::<S, K, R>` for each group of K columns of which, R rows of X at a time, all sums, columns and
/// rows fit into the registers of the instruction set; more would be spilled, which costs half the speed.
macro_rules! for_column_groups {
    ($self:ident, $columns:ident, $simd:ident, $k:expr) => {{
        let mut first = 0;
        while first < $k {
            first += match $k - first {
                8.. if S::REGISTER_COUNT >= 32 => $self.$columns::<S, 8, 2>($simd, first),
                4.. => $self.$columns::<S, 4, 3>($simd, first),
                2.. => $self.$columns::<S, 2, 4>($simd, first),
                _ => $self.$columns::<S, 1, 4>($simd, first),
            }
        }
    }};
}

/// A tile of rows: whole lines where they stand, the rest of each row copied to a line of its own, padded with zeros.
struct Tile<'a, T: Pixel> {
    block: Block<'a, T>,
    tail: &'a [T],
    offset: &'a [T::Real],
}

impl<'a, T: Pixel> Tile<'a, T> {
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
    assert_eq!(offset.len(), d.div_ceil(size) * size, "an offset for each feature, from pack_offset");
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
    fn with_simd<S: Simd>(mut self, simd: S) {
        for_column_groups!(self, columns, simd, self.q.k);
    }
}

impl<T: Pixel> Project<'_, T> {
    /// Columns `first..first + K` of the product, R rows at a time; returns K.
    #[inline(always)]
    fn columns<S: Simd, const K: usize, const R: usize>(&mut self, simd: S, first: usize) -> usize {
        let n = self.tile.block.n();
        // Sums in registers between chunks of features, spilled here so that Q's chunk serves all rows of the tile.
        let mut sums = vec![[[T::Real::splat(simd, T::Real::ZERO); K]; R]; n.div_ceil(R)];
        for chunk in tiles(self.tile.lines(), CHUNK_LINES) {
            for (group, sums) in sums.iter_mut().enumerate() {
                // The last row again where the tile ends sooner.
                let rows = std::array::from_fn(|r| (group * R + r).min(n - 1));
                self.chunk::<S, K, R>(simd, first, chunk.clone(), rows, sums);
            }
        }
        for (i, sums) in sums.iter().flatten().take(n).enumerate() {
            for (c, &sum) in sums.iter().enumerate() {
                self.out[i * self.q.k + first + c] = T::Real::sum(simd, sum);
            }
        }
        K
    }

    #[inline(always)]
    fn chunk<S: Simd, const K: usize, const R: usize>(
        &self,
        simd: S,
        first: usize,
        chunk: Range<usize>,
        rows: [usize; R],
        sums: &mut [[<T::Real as Real>::Lanes<S>; K]; R],
    ) {
        let (size, lanes) = (T::Real::LINE, T::Real::lanes::<S>());
        let mut acc = *sums;
        for line in chunk {
            let x = rows.map(|i| self.tile.line(i, line));
            for x in x {
                prefetch(x, PREFETCH_BYTES);
            }
            let at = (line * self.q.k + first) * size;
            // SAFETY: Q and the offset hold `lines()` whole lines of each column.
            let (q, offset) = unsafe {
                (
                    self.q.values.get_unchecked(at..at + K * size),
                    self.tile.offset.get_unchecked(line * size..(line + 1) * size),
                )
            };
            for part in (0..size).step_by(lanes) {
                let q: [_; K] = std::array::from_fn(|c| T::Real::load(simd, &q[c * size + part..][..lanes]));
                let offset = T::Real::load(simd, &offset[part..part + lanes]);
                for (x, acc) in x.iter().zip(&mut acc) {
                    let x = T::Real::sub(simd, T::load(simd, &x[part..part + lanes]), offset);
                    for c in 0..K {
                        acc[c] = T::Real::mul_add(simd, x, q[c], acc[c]);
                    }
                }
            }
        }
        *sums = acc;
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
        for_column_groups!(self, columns, simd, self.into.k);
    }
}

impl<T: Pixel> Accumulate<'_, T> {
    /// Columns `first..first + K` of the sum, G registers of features at a time; returns K.
    #[inline(always)]
    fn columns<S: Simd, const K: usize, const R: usize>(&mut self, simd: S, first: usize) -> usize {
        for line in 0..self.tile.lines() {
            for part in (0..T::Real::LINE).step_by(G * T::Real::lanes::<S>()) {
                self.registers::<S, K>(simd, first, line, part);
            }
        }
        K
    }

    #[inline(always)]
    fn registers<S: Simd, const K: usize>(&mut self, simd: S, first: usize, line: usize, part: usize) {
        let (k, size, lanes) = (self.into.k, T::Real::LINE, T::Real::lanes::<S>());
        let at = (line * k + first) * size;
        let sums = &mut self.into.values[at..at + K * size];
        let offset = &self.tile.offset[line * size..(line + 1) * size];
        let offset: [_; G] = std::array::from_fn(|g| T::Real::load(simd, &offset[part + g * lanes..][..lanes]));
        let mut acc: [[_; K]; G] = std::array::from_fn(|g| {
            std::array::from_fn(|c| T::Real::load(simd, &sums[c * size + part + g * lanes..][..lanes]))
        });
        for i in 0..self.tile.block.n() {
            let x = &self.tile.line(i, line)[part..part + G * lanes];
            prefetch(x, PREFETCH_BYTES / 4);
            // SAFETY: `y` holds n * k values and `first + K <= k`.
            let y = unsafe { self.y.get_unchecked(i * k + first..i * k + first + K) };
            let x: [_; G] =
                std::array::from_fn(|g| T::Real::sub(simd, T::load(simd, &x[g * lanes..(g + 1) * lanes]), offset[g]));
            for c in 0..K {
                let y = T::Real::splat(simd, y[c]);
                for g in 0..G {
                    acc[g][c] = T::Real::mul_add(simd, x[g], y, acc[g][c]);
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
    use crate::pool;

    fn noise(seed: u64, len: usize) -> Vec<f64> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        (0..len).map(|_| next()).collect()
    }

    /// All three products against plain loops in f64.
    fn check<T: Pixel>(n: usize, d: usize, k: usize, centred: bool, pixel: impl Fn(f64) -> T) {
        let data = Vec::from_iter(noise(7, n * d).into_iter().map(pixel));
        let x = |i: usize, j: usize| data[i * d + j].real().f64();
        let offset = Vec::from_iter((0..d).map(|j| if centred { x(0, j) } else { 0.0 }));
        let q = Panel::from_fn::<T::Real>(d, k, |j, c| T::Real::of(noise((j * 64 + c + 1) as u64, 1)[0] - 0.5));
        let rows = Rows::from_slice(&data, n, d);
        let given = centred.then_some(&offset[..]);

        let y = x_q(rows, given, &q, &Control::new()).unwrap();
        let scale = (0..n * d).map(|i| data[i].real().f64().abs()).fold(1.0, f64::max);
        let tolerance = 1e-6 * scale * (d.max(n) as f64).sqrt() * 4.0;
        for i in 0..n {
            for c in 0..k {
                let exact: f64 = (0..d).map(|j| (x(i, j) - offset[j]) * q.get(j, c).f64()).sum();
                assert!((y[i * k + c].f64() - exact).abs() <= tolerance, "{n} {d} {k}: {} {exact}", y[i * k + c].f64());
            }
        }
        let z = xt_y(rows, given, &y, k, &Control::new()).unwrap();
        let largest = y.iter().map(|y| y.f64().abs()).fold(1.0, f64::max);
        for (j, offset) in offset.iter().enumerate() {
            for c in 0..k {
                let exact: f64 = (0..n).map(|i| (x(i, j) - offset) * y[i * k + c].f64()).sum();
                assert!((z.get(j, c) - exact).abs() <= tolerance * largest, "{n} {d} {k}: {} {exact}", z.get(j, c));
            }
        }
        let fused = xt_x_q(rows, given, &q, &Control::new()).unwrap();
        assert_eq!(fused, z, "the fused form is the same sum in the same order");
    }

    #[test]
    fn products_equal_plain_loops_for_every_type_and_odd_sizes() {
        for (n, d, k) in [(1, 1, 1), (5, 16, 2), (7, 33, 3), (13, 600, 5), (300, 70, 8), (9, 1000, 31), (250, 17, 7)] {
            for centred in [false, true] {
                check::<u8>(n, d, k, centred, |x| (x * 255.0) as u8);
                check::<u16>(n, d, k, centred, |x| (x * 60000.0) as u16);
                check::<u32>(n, d, k, centred, |x| (x * 1e6) as u32);
                check::<i16>(n, d, k, centred, |x| (x * 6e4 - 3e4) as i16);
                check::<i32>(n, d, k, centred, |x| (x * 1e6 - 5e5) as i32);
                check::<f32>(n, d, k, centred, |x| x as f32);
                check::<f64>(n, d, k, centred, |x| x - 0.5);
            }
        }
    }

    #[test]
    fn every_instruction_set_agrees_with_the_baseline() {
        let (n, d, k) = (11, 531, 9);
        let data = Vec::from_iter(noise(3, n * d).into_iter().map(|x| (x * 255.0) as u8));
        let rows = Rows::from_slice(&data, n, d);
        let q = Panel::from_fn::<f32>(d, k, |j, c| ((j * 7 + c * 3) % 11) as f32 - 5.0);
        #[derive(Clone)]
        struct Both<'a>(Block<'a, u8>, &'a Panel<f32>);
        impl WithSimd for Both<'_> {
            type Output = (Vec<f32>, Vec<f32>);
            #[inline(always)]
            fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
                let (block, q) = (self.0, self.1);
                let mut y = vec![0.0; block.n() * q.k];
                let offset = pack_offset(None, q.d);
                with_tile(block, &offset, |tile| Project { tile, q, out: &mut y }.with_simd(simd));
                let mut into = Panel::zeros::<f32>(q.d, q.k);
                let small = Vec::from_iter(y.iter().map(|y| y % 64.0));
                with_tile(block, &offset, |tile| Accumulate { tile, y: &small, into: &mut into }.with_simd(simd));
                (y, into.to_columns())
            }
        }
        let mut scratch = Vec::new();
        // Whole numbers small enough to be exact in f32: every order of summation gives the same bits.
        let outputs = crate::simd::on_each(Both(rows.block(0..n, &mut scratch), &q));
        assert!(outputs.iter().all(|output| *output == outputs[0]));
    }

    #[test]
    fn the_sum_is_the_same_on_one_two_and_three_threads() {
        let (n, d, k) = (2000, 333, 4);
        let data = Vec::from_iter(noise(5, n * d).into_iter().map(|x| x as f32));
        let q = Panel::from_fn::<f32>(d, k, |j, c| (j as f32 - 100.0) * 0.01 + c as f32);
        let sums = [1, 2, 3].map(|threads| {
            let former = pool::set_num_threads_here(threads);
            let sum = xt_x_q(Rows::from_slice(&data, n, d), None, &q, &Control::new()).unwrap();
            pool::set_num_threads_here(former);
            sum
        });
        assert!(sums[0] == sums[1] && sums[1] == sums[2]);
    }
}
