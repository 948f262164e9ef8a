//! `X_b Q` and `+= X_bᵀ Y_b` for sparse rows, as [`crate::engine::tiles`] has them for others.
//!
//! Thin matrices lie feature by feature ([`Panel::by_feature`]): a value of X meets all columns of its feature side by side,
//! and costs one or two registers of them.

use crate::engine::panel::{Panel, SIDE};
use crate::engine::simd::{Pixel, Real, Simd, WithSimd};
use crate::engine::sparse::Sparse;

/// Columns side by side.
type Columns<R> = [R; SIDE];

/// The columns of feature `j` from the group `first` on: G groups.
#[inline(always)]
fn of_feature<R, const G: usize>(values: &[R], width: usize, j: u32, first: usize) -> &[Columns<R>; G] {
    let start = j as usize * width + first * SIDE;
    values[start..start + G * SIDE].as_chunks::<SIDE>().0.try_into().expect("G groups")
}

/// `out = X Q` for some rows.
pub struct Project<'a, T: Pixel> {
    pub rows: Sparse<'a, T>,
    pub q: &'a Panel<T::Real>,
    pub out: &'a mut [T::Real],
}

impl<T: Pixel> WithSimd for Project<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { rows, q, out } = self;
        let (k, values) = (q.k(), q.values());
        for (i, out) in out.chunks_exact_mut(k.max(1)).enumerate() {
            let row = rows.row(i);
            let mut first = 0;
            while first * SIDE < k {
                let out = &mut out[first * SIDE..];
                first += match (k - first * SIDE).div_ceil(SIDE) {
                    1 => sums::<T, 1>(row, values, q.width(), first, out),
                    2 | 3 => sums::<T, 2>(row, values, q.width(), first, out),
                    _ => sums::<T, 4>(row, values, q.width(), first, out),
                }
            }
        }
    }
}

/// The sums of a row for G groups of columns, of values in turn two each, which do not wait for each other; returns G.
#[inline(always)]
fn sums<T: Pixel, const G: usize>(
    (features, values): (&[u32], &[T]),
    q: &[T::Real],
    width: usize,
    first: usize,
    out: &mut [T::Real],
) -> usize {
    let mut sums = [[[T::Real::ZERO; SIDE]; G]; 2];
    let mut add = |to: usize, j: u32, x: T| {
        let (x, q) = (x.real(), of_feature::<_, G>(q, width, j, first));
        for (sums, q) in sums[to].iter_mut().zip(q) {
            for (sum, &q) in sums.iter_mut().zip(q) {
                *sum += x * q;
            }
        }
    };
    let (pairs, last) = features.as_chunks::<2>();
    let (pairs_of_values, last_value) = values.as_chunks::<2>();
    for (j, x) in pairs.iter().zip(pairs_of_values) {
        add(0, j[0], x[0]);
        add(1, j[1], x[1]);
    }
    for (&j, &x) in last.iter().zip(last_value) {
        add(0, j, x);
    }
    let [even, odd] = sums;
    let both = even.as_flattened().iter().zip(odd.as_flattened());
    out.iter_mut().zip(both).for_each(|(out, (&a, &b))| *out = a + b);
    G
}

/// `into += Xᵀ Y` for some rows.
pub struct Accumulate<'a, T: Pixel> {
    pub rows: Sparse<'a, T>,
    pub y: &'a [T::Real],
    pub into: &'a mut Panel<T::Real>,
}

impl<T: Pixel> WithSimd for Accumulate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { rows, y, into } = self;
        let (k, width) = (into.k(), into.width());
        for (i, y) in y.chunks_exact(k.max(1)).enumerate() {
            let (features, values) = rows.row(i);
            for (first, y) in y.chunks(SIDE).enumerate() {
                let mut group = [T::Real::ZERO; SIDE];
                group[..y.len()].copy_from_slice(y);
                let into = into.values_mut();
                for (&j, &x) in features.iter().zip(values) {
                    let start = j as usize * width + first * SIDE;
                    let (x, into) = (x.real(), &mut into[start..start + SIDE]);
                    for (into, &y) in into.iter_mut().zip(&group) {
                        *into += x * y;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Rows;
    use crate::engine::panel::Panel;
    use crate::engine::rows::Part;
    use crate::engine::simd::{Pixel, Real};
    use crate::engine::sparse::{
        Sparse,
        samples::{SHAPE, rows},
    };
    use crate::engine::tiles::{accumulate, project};

    #[test]
    fn products_of_sparse_rows_are_those_of_full_ones() {
        fn check<T: Pixel>(value: impl Fn(usize) -> T) {
            let (n, d) = SHAPE;
            let (full, starts, features, values) = rows(value);
            let sparse = Sparse::new(d, &starts, &features, &values).unwrap();
            let mut scratch = Vec::new();
            let dense = Rows::from_slice(&full, n, d);
            let block = dense.block(0..n, &mut scratch);
            let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-5 * b.abs().max(1e3), "{a} {b}");
            for k in 1..=41 {
                // Whole numbers: sums of small ones are exact in whatever order.
                let q = Panel::<T::Real>::from_fn(d, k, |j, c| T::Real::of(((j * 7 + c * 3) % 11) as f64 - 5.0));
                let [mut there, mut here] = [(); 2].map(|()| vec![T::Real::ONE; n * k]);
                project(block, &[], &q, &mut there);
                project(Part::Sparse(sparse), &[], &q.to_features(), &mut here);
                here.iter().zip(&there).for_each(|(a, b)| close(a.f64(), b.f64()));
                let mut of_full = Panel::<T::Real>::zeros(d, k);
                let mut of_sparse = Panel::<T::Real>::by_feature(d, k);
                accumulate(block, &[], &there, &mut of_full);
                accumulate(Part::Sparse(sparse), &[], &there, &mut of_sparse);
                for (j, c) in (0..d).flat_map(|j| (0..k).map(move |c| (j, c))) {
                    let (a, b) = (of_sparse.get(j, c).f64(), of_full.get(j, c).f64());
                    assert!((a - b).abs() <= 1e-5 * b.abs().max(1e5), "{a} {b}");
                }
            }
        }
        check(|at| (at % 251) as u8 + 1);
        check(|at| at as u16 % 300 + 1);
        check(|at| (at % 300) as f32 - 100.0);
        check(|at| at as f64 - 100.0);
    }
}
