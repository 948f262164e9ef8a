//! A few rows transposed, so that a register holds one feature of many rows.
//!
//! With about ten features a row does not fill a register, and the sum over its lanes costs more than the products. Transposed,
//! a distance is d steps in each of which all lanes work, and its result lies in lanes too, ready for whatever each row
//! needs next (a smallest value, a quotient). Rows come in groups of [`Real::LINE`], two of the widest registers: group g
//! holds feature j of its rows at `group(g)[j * LINE..(j + 1) * LINE]`, whatever the instruction set. What is transposed is
//! (x - offset) factor, or x - offset where there are no factors: of centred and scaled data 32-bit floats lose no digits to
//! a mean or a unit.
//!
//! Cost: a load, a store and two shuffles for four values, 2 d / LINE registers of arithmetic; of f32 with AVX-512 or AVX2 a
//! load for four values, a store and two shuffles for sixteen or eight.

use crate::engine::rows::Block;
use crate::engine::simd::{Pixel, Real, Simd, prefetch};
use std::ops::Range;
#[cfg(target_arch = "x86_64")]
use std::{any::TypeId, arch::x86_64::*};

/// How many rows ahead memory is asked for.
const AHEAD: usize = 64;

/// Rows in groups of `LINE`, transposed; filled again and again by one thread.
#[derive(Debug, Clone)]
pub struct Lanes<R> {
    d: usize,
    n: usize,
    values: Vec<R>,
}

impl<R: Real> Lanes<R> {
    /// None yet, of `d` features.
    pub fn new(d: usize) -> Self {
        Self { d, n: 0, values: Vec::new() }
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.n.div_ceil(R::LINE)
    }

    /// Those of all groups, one after another.
    #[inline(always)]
    pub fn values(&self) -> &[R] {
        &self.values[..self.groups() * self.d * R::LINE]
    }

    /// The d × LINE values of a group, feature after feature.
    #[inline(always)]
    pub fn group(&self, group: usize) -> &[R] {
        &self.values[group * self.d * R::LINE..][..self.d * R::LINE]
    }

    /// Sets the number of rows that are going to be transposed, at least one.
    pub fn resize(&mut self, n: usize) {
        assert!(n > 0);
        self.n = n;
        if self.values.len() < self.groups() * self.d * R::LINE {
            self.values.resize(self.groups() * self.d * R::LINE, R::ZERO);
        }
    }

    /// Transposes the rows of some groups: those of `block`, or `which` of them, as many as [`resize`](Self::resize) was asked for; the lanes of the
    /// last group beyond them hold the last row again. `offset` holds a value for each feature, `factor` too or none.
    ///
    /// Where rows are picked, memory is asked for ahead: which ones are needed the hardware does not foresee.
    ///
    /// To be called within a [`WithSimd`](crate::engine::simd::WithSimd).
    #[inline(always)]
    pub fn fill_groups<S: Simd, T: Pixel<Real = R>>(
        &mut self,
        simd: S,
        groups: Range<usize>,
        block: Block<'_, T>,
        which: Option<&[u32]>,
        offset: &[R],
        factor: &[R],
    ) {
        let (d, n) = (self.d, self.n);
        let row = |i: usize| match which {
            None => block.row(i.min(n - 1)),
            Some(which) => {
                prefetch(block.row(which[(i + AHEAD).min(n - 1)] as usize), 0);
                block.row(which[i.min(n - 1)] as usize)
            }
        };
        assert!(block.d() == d && offset.len() == d, "rows of d features");
        assert!(factor.is_empty() || factor.len() == d, "a factor for each feature, or none");
        // The token, not the width of a register, says what this machine has: wide registers of another set are emulated.
        #[cfg(target_arch = "x86_64")]
        let at_once = match TypeId::of::<S>() {
            _ if d < 4 || TypeId::of::<T>() != TypeId::of::<f32>() => 0,
            set if set == TypeId::of::<pulp::x86::V4>() => 16,
            set if set == TypeId::of::<pulp::x86::V3>() => 8,
            _ => 0,
        };
        for g in groups {
            let group = &mut self.values[g * d * R::LINE..][..d * R::LINE];
            #[cfg(target_arch = "x86_64")]
            if at_once > 0 {
                for l in (0..R::LINE).step_by(at_once) {
                    let first = g * R::LINE + l;
                    let mut rows = [std::ptr::null(); 16];
                    if which.is_none() && first + at_once <= n {
                        match at_once {
                            16 => rows = block.pointers::<16>(first).map(<*const T>::cast),
                            _ => rows[..8].copy_from_slice(&block.pointers::<8>(first).map(<*const T>::cast)),
                        }
                    } else {
                        for (i, at) in rows[..at_once].iter_mut().enumerate() {
                            *at = row(first + i).as_ptr().cast();
                        }
                    }
                    let group = same_mut(&mut group[l..]);
                    // SAFETY: S is V4, a token of which there is only where the machine has AVX-512, or V3, where it has AVX2; T,
                    // and so R, is f32, and every row holds d.
                    unsafe {
                        if at_once == 16 {
                            transpose_sixteen(&rows, same(offset), same(factor), group);
                        } else {
                            transpose_eight(&rows, same(offset), same(factor), group);
                        }
                    }
                }
                continue;
            }
            for l in (0..R::LINE).step_by(4) {
                let mut rows: [&[T]; 4] = [&[]; 4];
                for (i, at) in rows.iter_mut().enumerate() {
                    *at = &row(g * R::LINE + l + i)[..d];
                }
                for j in if d < 4 { 0..d } else { 0..0 } {
                    (0..4).for_each(|i| group[j * R::LINE + l + i] = rows[i][j].real());
                }
                let mut j = if d < 4 { d } else { 0 };
                while j < d {
                    let square = [four(rows[0], j), four(rows[1], j), four(rows[2], j), four(rows[3], j)];
                    for (c, column) in R::transpose(square).iter().enumerate() {
                        group[(j + c) * R::LINE + l..][..4].copy_from_slice(column);
                    }
                    // Where d is no multiple of four the last four overlap those before.
                    j += if d - j > 4 { (d - j - 4).min(4) } else { 4 };
                }
            }
            for (j, line) in group.chunks_exact_mut(R::LINE).enumerate() {
                let (offset, factor) = (R::splat(simd, offset[j]), R::splat(simd, *factor.get(j).unwrap_or(&R::ONE)));
                for part in line.chunks_exact_mut(R::lanes::<S>()) {
                    let x = <R as Real>::sub(simd, R::load(simd, part), offset);
                    R::store(simd, part, <R as Real>::mul(simd, x, factor));
                }
            }
        }
    }
}

/// Write the columns of `from`, in rows of `width`, as rows of `rows` values, and so back: of both, as much as there is.
///
/// To be called within a [`WithSimd`](crate::engine::simd::WithSimd).
#[inline(always)]
pub fn transpose<R: Real>(from: &[R], width: usize, to: &mut [R], rows: usize) {
    let (n, k) = ((from.len() / width).min(rows), (to.len() / rows).min(width));
    if n < 4 || k < 4 {
        for i in 0..n {
            for j in 0..k {
                to[j * rows + i] = from[i * width + j];
            }
        }
        return;
    }
    // Where a count is no multiple of four the last four overlap those before.
    for i in (0..n).step_by(4).map(|i| i.min(n - 4)) {
        for j in (0..k).step_by(4).map(|j| j.min(k - 4)) {
            let mut square = [[R::ZERO; 4]; 4];
            for (a, row) in square.iter_mut().enumerate() {
                row.copy_from_slice(&from[(i + a) * width + j..][..4]);
            }
            for (b, column) in R::transpose(square).iter().enumerate() {
                to[(j + b) * rows + i..][..4].copy_from_slice(column);
            }
        }
    }
}

/// A function that transposes as many rows of f32 as a register holds: four features of all at a time, in lanes of 128 bits.
#[cfg(target_arch = "x86_64")]
macro_rules! transpose_rows {
    ($name:ident, $rows:literal, $features:literal, $four:ident, $low:ident, $high:ident, $shuffle:ident, $splat:ident,
     $sub:ident, $mul:ident, $store:ident) => {
        /// `group` starts at the first of the rows.
        ///
        /// # Safety
        /// Every row must hold as many values as `offset`, 4 or more.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn $name(rows: &[*const f32; 16], offset: &[f32], factor: &[f32], group: &mut [f32]) {
            let d = offset.len();
            assert!(factor.is_empty() || factor.len() == d);
            assert!(group.len() >= (d - 1) * f32::LINE + $rows);
            let mut j = 0;
            loop {
                // SAFETY: j + 4 is at most d.
                let [a, b, c, e] =
                    unsafe { [$four(rows, 0, j), $four(rows, 1, j), $four(rows, 2, j), $four(rows, 3, j)] };
                let (low, high, low_next, high_next) = ($low(a, b), $high(a, b), $low(c, e), $high(c, e));
                let columns = [
                    $shuffle::<0x44>(low, low_next),
                    $shuffle::<0xEE>(low, low_next),
                    $shuffle::<0x44>(high, high_next),
                    $shuffle::<0xEE>(high, high_next),
                ];
                for (c, &x) in columns.iter().enumerate() {
                    // SAFETY: j + c is less than d.
                    unsafe {
                        let mut x = $sub(x, $splat(*offset.get_unchecked(j + c)));
                        if !factor.is_empty() {
                            x = $mul(x, $splat(*factor.get_unchecked(j + c)));
                        }
                        $store(group.as_mut_ptr().add((j + c) * f32::LINE), x);
                    }
                }
                if j + 4 == d {
                    return;
                }
                j = (j + 4).min(d - 4); // where d is no multiple of four the last four overlap those before
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
transpose_rows!(
    transpose_sixteen,
    16,
    "avx512f,avx512dq",
    four_of_sixteen,
    _mm512_unpacklo_ps,
    _mm512_unpackhi_ps,
    _mm512_shuffle_ps,
    _mm512_set1_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_storeu_ps
);
#[cfg(target_arch = "x86_64")]
transpose_rows!(
    transpose_eight,
    8,
    "avx2",
    four_of_eight,
    _mm256_unpacklo_ps,
    _mm256_unpackhi_ps,
    _mm256_shuffle_ps,
    _mm256_set1_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_storeu_ps
);

/// Features j to j + 4 of rows i, 4 + i, 8 + i and 12 + i.
///
/// # Safety
/// The rows have so many.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
unsafe fn four_of_sixteen(rows: &[*const f32; 16], i: usize, j: usize) -> __m512 {
    // SAFETY: as promised.
    unsafe {
        let x = _mm512_castps128_ps512(_mm_loadu_ps(rows[i].add(j)));
        let x = _mm512_insertf32x4::<1>(x, _mm_loadu_ps(rows[4 + i].add(j)));
        let x = _mm512_insertf32x4::<2>(x, _mm_loadu_ps(rows[8 + i].add(j)));
        _mm512_insertf32x4::<3>(x, _mm_loadu_ps(rows[12 + i].add(j)))
    }
}

/// Features j to j + 4 of rows i and 4 + i.
///
/// # Safety
/// The rows have so many.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn four_of_eight(rows: &[*const f32; 16], i: usize, j: usize) -> __m256 {
    // SAFETY: as promised.
    unsafe {
        let x = _mm256_castps128_ps256(_mm_loadu_ps(rows[i].add(j)));
        _mm256_insertf128_ps::<1>(x, _mm_loadu_ps(rows[4 + i].add(j)))
    }
}

/// As of the type that it is.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn same<A: 'static, B: 'static>(values: &[A]) -> &[B] {
    assert_eq!(TypeId::of::<A>(), TypeId::of::<B>());
    // SAFETY: the same type.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

/// [`same`], to change.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn same_mut<A: 'static, B: 'static>(values: &mut [A]) -> &mut [B] {
    assert_eq!(TypeId::of::<A>(), TypeId::of::<B>());
    // SAFETY: the same type.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), values.len()) }
}

#[inline(always)]
fn four<T: Pixel>(row: &[T], j: usize) -> [T::Real; 4] {
    let x = &row[j..j + 4];
    [x[0].real(), x[1].real(), x[2].real(), x[3].real()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rows;
    use crate::engine::simd::{WithSimd, on_each};
    use ndarray::{Array2, ArrayView2, s};

    #[derive(Clone)]
    struct Fill<'a, T: Pixel>(ArrayView2<'a, T>, Option<&'a [u32]>, Vec<T::Real>, Vec<T::Real>);
    impl<T: Pixel> WithSimd for Fill<'_, T> {
        type Output = Lanes<T::Real>;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let mut lanes = Lanes::new(self.0.ncols());
            let (rows, mut scratch) = (Rows::new(self.0), Vec::new());
            // Filled twice, the first time with more rows.
            for (first, which) in [(0, None), (1, self.1)] {
                let block = rows.block(first..rows.n(), &mut scratch);
                lanes.resize(which.map_or(block.n(), |which| which.len()));
                lanes.fill_groups(simd, 0..lanes.groups(), block, which, &self.2, &self.3);
            }
            lanes
        }
    }

    fn check<T: Pixel>(of: impl Fn(usize) -> T) {
        let (line, real) = (T::Real::LINE, |x: usize| T::Real::of(x as f64));
        let sizes = [(9, 5), (2, 1), (34, 3), (33, 10), (35, 4), (40, 5), (9, 8), (71, 71)];
        for &(n, d) in if cfg!(miri) { &sizes[..1] } else { &sizes[..] } {
            let data = Array2::from_shape_fn((2 * n, 3 * d), |(i, j)| of((i * 31 + j * 7) % 120));
            let (offset, factors) = (Vec::from_iter((0..d).map(real)), Vec::from_iter((0..d).map(|j| real(j % 3))));
            let views = [data.slice(s![..n, ..d]), data.slice(s![..;2, ..d]), data.slice(s![n..;-1, ..;3])];
            let picked = Vec::from_iter((0..n as u32 - 1).filter(|i| i % 3 != 1));
            let all = Vec::from_iter(0..n as u32 - 1);
            let kinds = [(None, vec![]), (None, factors.clone()), (Some(&picked[..]), factors)];
            for (view, (which, factor)) in views.iter().flat_map(|view| kinds.iter().map(move |kind| (*view, kind))) {
                for lanes in on_each(Fill(view, *which, offset.clone(), factor.clone())) {
                    let which = which.unwrap_or(&all);
                    assert_eq!((lanes.n, lanes.groups()), (which.len(), which.len().div_ceil(line)));
                    for (i, j) in (0..lanes.groups() * line).flat_map(|i| (0..d).map(move |j| (i, j))) {
                        let x = view[(1 + which[i.min(which.len() - 1)] as usize, j)].real() - offset[j];
                        let x = if factor.is_empty() { x } else { x * factor[j] };
                        assert_eq!(lanes.group(i / line)[j * line + i % line], x);
                    }
                }
            }
        }
    }

    /// Registers as wide as those of AVX-512 and AVX2, on every machine.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn wide_registers_alone_do_not_make_instructions_of_a_set_that_may_be_missing() {
        let data = Array2::from_shape_fn((33, 5), |(i, j)| (i * 5 + j) as f32);
        let fill = || Fill(data.view(), None, vec![0.0; 5], vec![]);
        let plain = fill().with_simd(pulp::Scalar::new());
        assert_eq!(fill().with_simd(pulp::Scalar256b).values(), plain.values());
        assert_eq!(fill().with_simd(pulp::Scalar512b).values(), plain.values());
    }

    #[test]
    fn a_group_holds_the_rows_of_any_type_and_strides_and_then_the_last_one_again() {
        check(|x| x as u8);
        check(|x| x as u16);
        check(|x| x as u32);
        check(|x| x as i16 - 50);
        check(|x| x as i32 - 50);
        check(|x| x as f32 / 8.0);
        check(|x| x as f64 / 8.0);
    }
}
