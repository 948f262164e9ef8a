//! Σ left rightᵀ over rows that lie in lanes: a few registers of each side at a time, whose products stay in registers.

use crate::engine::simd::{Real, Simd};

/// From 0 to `$count` by steps of 4, 2 or 1, each with its own expression.
macro_rules! in_blocks {
    ($from:ident in $count:expr, $four:expr, $two:expr, $one:expr) => {
        let mut $from = 0;
        while $from < $count {
            match $count - $from {
                4.. => {
                    $four;
                    $from += 4;
                }
                2.. => {
                    $two;
                    $from += 2;
                }
                _ => {
                    $one;
                    $from += 1;
                }
            }
        }
    };
}

pub(super) use in_blocks;

/// Registers that stand in every group one after another, `width` of them, taken from `first` on.
#[derive(Clone, Copy)]
pub struct Side<'a, R> {
    /// All groups.
    pub values: &'a [R],
    /// Registers of a group.
    pub width: usize,
    /// The first one taken.
    pub first: usize,
}

impl<'a, R: Real> Side<'a, R> {
    #[inline(always)]
    fn from(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// `count` registers of a group.
    #[inline(always)]
    fn of(self, group: usize, count: usize) -> &'a [R] {
        &self.values[(group * self.width + self.first) * R::LINE..][..count * R::LINE]
    }
}

/// `into` += Σ left rightᵀ over the lanes of all groups, in blocks whose sums leave room in the registers; with weights, of
/// which each group has one register, Σ w left leftᵀ, of which the blocks above the diagonal are left out.
#[inline(always)]
pub fn products<S: Simd, R: Real>(
    simd: S,
    left: Side<'_, R>,
    weights: Option<Side<'_, R>>,
    right: Side<'_, R>,
    into: &mut [f64],
) {
    let b = right.width;
    let end = |i: usize| if weights.is_some() { b.min(i) } else { b };
    in_blocks!(
        i in left.width,
        if S::REGISTER_COUNT >= 32 {
            row_of_blocks::<S, R, 4>(simd, left.from(i), weights, right, end(i + 4), &mut into[i * b..(i + 4) * b]);
        } else {
            for i in [i, i + 2] {
                row_of_blocks::<S, R, 2>(simd, left.from(i), weights, right, end(i + 2), &mut into[i * b..(i + 2) * b]);
            }
        },
        row_of_blocks::<S, R, 2>(simd, left.from(i), weights, right, end(i + 2), &mut into[i * b..(i + 2) * b]),
        row_of_blocks::<S, R, 1>(simd, left.from(i), weights, right, end(i + 1), &mut into[i * b..(i + 1) * b])
    );
}

/// A rows of the products, up to column `end`.
#[inline(always)]
pub fn row_of_blocks<S: Simd, R: Real, const A: usize>(
    simd: S,
    left: Side<'_, R>,
    weights: Option<Side<'_, R>>,
    right: Side<'_, R>,
    end: usize,
    into: &mut [f64],
) {
    in_blocks!(
        j in end,
        block::<S, R, A, 4>(simd, left, weights, right.from(j), into),
        block::<S, R, A, 2>(simd, left, weights, right.from(j), into),
        block::<S, R, A, 1>(simd, left, weights, right.from(j), into)
    );
}

/// A × B sums in registers while the groups pass.
#[inline(always)]
fn block<S: Simd, R: Real, const A: usize, const B: usize>(
    simd: S,
    left: Side<'_, R>,
    weights: Option<Side<'_, R>>,
    right: Side<'_, R>,
    into: &mut [f64],
) {
    let mut sums = [[R::splat(simd, R::ZERO); B]; A];
    // Where there are no weights the left stands in for them.
    let each = weights.unwrap_or(left);
    for group in 0..left.values.len() / (left.width * R::LINE) {
        let (left, right, weights_here) = (left.of(group, A), right.of(group, B), each.of(group, 1));
        for at in (0..R::LINE).step_by(R::lanes::<S>()) {
            let weight = R::load(simd, &weights_here[at..]);
            let mut columns = [weight; B];
            for b in 0..B {
                columns[b] = R::load(simd, &right[b * R::LINE + at..]);
            }
            for a in 0..A {
                let mut row = R::load(simd, &left[a * R::LINE + at..]);
                if weights.is_some() {
                    row = <R as Real>::mul(simd, row, weight);
                }
                for b in 0..B {
                    sums[a][b] = R::mul_add(simd, row, columns[b], sums[a][b]);
                }
            }
        }
    }
    let b = into.len() / A;
    for (sums, into) in sums.iter().zip(into.chunks_exact_mut(b)) {
        for (&sum, into) in sums.iter().zip(&mut into[right.first..]) {
            *into += <R as Real>::sum(simd, sum).f64();
        }
    }
}
