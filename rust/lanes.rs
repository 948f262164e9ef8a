//! A few rows turned on their side, so that a register holds one feature of many rows.
//!
//! With about ten features a row does not fill a register, and the sum over its lanes costs more than the products. Turned,
//! a distance is d steps in each of which all lanes work, and its result lies in lanes too, ready for whatever each row
//! needs next (a smallest value, a quotient). Rows come in groups of [`Real::LINE`], two of the widest registers: group g
//! holds feature j of its rows at `group(g)[j * LINE..(j + 1) * LINE]`, whatever the instruction set. What is turned is
//! (x - offset) factor: of centred and scaled data 32-bit floats lose no digits to a mean or a unit.
//!
//! Cost: a load, a store and two shuffles for four values, 2 d / LINE registers of arithmetic; of f32 with AVX-512 a load for
//! four values, a store and two shuffles for sixteen.

use crate::rows::Block;
use crate::simd::{Pixel, Real, Simd};
#[cfg(target_arch = "x86_64")]
use std::any::TypeId;

/// Rows in groups of `LINE`, turned; filled again and again by one thread.
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

    /// Number of rows; the lanes of the last group beyond them hold the last row again.
    pub fn n(&self) -> usize {
        self.n
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

    /// Turn the rows of `block`, of which there is at least one; `offset` and `factor` hold a value for each feature.
    ///
    /// To be called within a [`WithSimd`](crate::simd::WithSimd).
    #[inline(always)]
    pub fn fill<S: Simd, T: Pixel<Real = R>>(&mut self, simd: S, block: Block<'_, T>, offset: &[R], factor: &[R]) {
        self.fill_from(simd, block.n(), |i| block.row(i), offset, factor);
    }

    /// Turn n rows, at least one, of which `row` gives each.
    ///
    /// To be called within a [`WithSimd`](crate::simd::WithSimd).
    #[inline(always)]
    pub fn fill_from<'r, S: Simd, T: Pixel<Real = R>>(
        &mut self,
        simd: S,
        n: usize,
        row: impl Fn(usize) -> &'r [T],
        offset: &[R],
        factor: &[R],
    ) {
        let d = self.d;
        assert!(n > 0 && row(0).len() == d && offset.len() == d && factor.len() == d, "rows of d features");
        self.n = n;
        if self.values.len() < self.groups() * d * R::LINE {
            self.values.resize(self.groups() * d * R::LINE, R::ZERO);
        }
        #[cfg(target_arch = "x86_64")]
        let sixteen = R::lanes::<S>() == 16 && d >= 4 && TypeId::of::<T>() == TypeId::of::<f32>();
        for (g, group) in self.values.chunks_exact_mut(d * R::LINE).take(n.div_ceil(R::LINE)).enumerate() {
            #[cfg(target_arch = "x86_64")]
            if sixteen {
                for l in (0..R::LINE).step_by(16) {
                    let mut rows: [&[f32]; 16] = [&[]; 16];
                    for (i, at) in rows.iter_mut().enumerate() {
                        *at = same(&row((g * R::LINE + l + i).min(n - 1))[..d]);
                    }
                    // SAFETY: registers of 16 f32 are those of AVX-512, with which this is compiled; T, and so R, is f32.
                    unsafe { turn_sixteen(&rows, same(offset), same(factor), same_mut(&mut group[l..])) };
                }
                continue;
            }
            for l in (0..R::LINE).step_by(4) {
                let mut rows: [&[T]; 4] = [&[]; 4];
                for (i, at) in rows.iter_mut().enumerate() {
                    *at = &row((g * R::LINE + l + i).min(n - 1))[..d];
                }
                for j in if d < 4 { 0..d } else { 0..0 } {
                    (0..4).for_each(|i| group[j * R::LINE + l + i] = rows[i][j].real());
                }
                let mut j = if d < 4 { d } else { 0 };
                while j < d {
                    let square = [four(rows[0], j), four(rows[1], j), four(rows[2], j), four(rows[3], j)];
                    for (c, column) in R::turn(square).iter().enumerate() {
                        group[(j + c) * R::LINE + l..][..4].copy_from_slice(column);
                    }
                    // Where d is no multiple of four the last four overlap those before.
                    j += if d - j > 4 { (d - j - 4).min(4) } else { 4 };
                }
            }
            for (j, line) in group.chunks_exact_mut(R::LINE).enumerate() {
                let (offset, factor) = (R::splat(simd, offset[j]), R::splat(simd, factor[j]));
                for part in line.chunks_exact_mut(R::lanes::<S>()) {
                    let x = <R as Real>::sub(simd, R::load(simd, part), offset);
                    R::store(simd, part, <R as Real>::mul(simd, x, factor));
                }
            }
        }
    }
}

/// Sixteen rows of f32: four features of all at a time, in four lanes of 128 bits of each register. `group` starts at the
/// first of the rows.
///
/// # Safety
/// Rows, offset and factor must have the same length, of 4 or more.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
unsafe fn turn_sixteen(rows: &[&[f32]; 16], offset: &[f32], factor: &[f32], group: &mut [f32]) {
    use std::arch::x86_64::*;
    let d = offset.len();
    let mut j = 0;
    loop {
        let mut x = [_mm512_setzero_ps(); 4];
        for (i, x) in x.iter_mut().enumerate() {
            // SAFETY: j + 4 is at most d.
            unsafe {
                *x = _mm512_castps128_ps512(_mm_loadu_ps(rows[i].as_ptr().add(j)));
                *x = _mm512_insertf32x4::<1>(*x, _mm_loadu_ps(rows[4 + i].as_ptr().add(j)));
                *x = _mm512_insertf32x4::<2>(*x, _mm_loadu_ps(rows[8 + i].as_ptr().add(j)));
                *x = _mm512_insertf32x4::<3>(*x, _mm_loadu_ps(rows[12 + i].as_ptr().add(j)));
            }
        }
        let [a, b, c, e] = x;
        let (low, high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
        let (low_next, high_next) = (_mm512_unpacklo_ps(c, e), _mm512_unpackhi_ps(c, e));
        let turned = [
            _mm512_shuffle_ps::<0x44>(low, low_next),
            _mm512_shuffle_ps::<0xEE>(low, low_next),
            _mm512_shuffle_ps::<0x44>(high, high_next),
            _mm512_shuffle_ps::<0xEE>(high, high_next),
        ];
        for (c, &x) in turned.iter().enumerate() {
            let x = _mm512_sub_ps(x, _mm512_set1_ps(offset[j + c]));
            let to = &mut group[(j + c) * f32::LINE..][..16];
            // SAFETY: to 16 values.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), _mm512_mul_ps(x, _mm512_set1_ps(factor[j + c]))) };
        }
        if j + 4 == d {
            return;
        }
        j = (j + 4).min(d - 4); // where d is no multiple of four the last four overlap those before
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
    use crate::simd::{WithSimd, on_each};
    use ndarray::{Array2, ArrayView2, s};

    #[derive(Clone)]
    struct Fill<'a, T: Pixel>(ArrayView2<'a, T>, Vec<T::Real>, Vec<T::Real>);
    impl<T: Pixel> WithSimd for Fill<'_, T> {
        type Output = Lanes<T::Real>;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let mut lanes = Lanes::new(self.0.ncols());
            let (rows, mut scratch) = (Rows::new(self.0), Vec::new());
            // Filled twice, the first time with more rows.
            lanes.fill(simd, rows.block(0..rows.n(), &mut scratch), &self.1, &self.2);
            lanes.fill(simd, rows.block(1..rows.n(), &mut scratch), &self.1, &self.2);
            lanes
        }
    }

    fn check<T: Pixel>(of: impl Fn(usize) -> T) {
        let (line, real) = (T::Real::LINE, |x: usize| T::Real::of(x as f64));
        for (n, d) in [(2, 1), (33, 10), (34, 3), (35, 4), (40, 5), (9, 8), (71, 71)] {
            let data = Array2::from_shape_fn((2 * n, 3 * d), |(i, j)| of((i * 31 + j * 7) % 120));
            let (offset, factor) = (Vec::from_iter((0..d).map(real)), Vec::from_iter((0..d).map(|j| real(j % 3))));
            for view in [data.slice(s![..n, ..d]), data.slice(s![..;2, ..d]), data.slice(s![n..;-1, ..;3])] {
                for lanes in on_each(Fill(view, offset.clone(), factor.clone())) {
                    assert_eq!((lanes.n(), lanes.groups()), (view.nrows() - 1, (view.nrows() - 1).div_ceil(line)));
                    for (i, j) in (0..lanes.groups() * line).flat_map(|i| (0..d).map(move |j| (i, j))) {
                        let x = view[((i + 1).min(view.nrows() - 1), j)].real();
                        assert_eq!(lanes.group(i / line)[j * line + i % line], (x - offset[j]) * factor[j]);
                    }
                }
            }
        }
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
