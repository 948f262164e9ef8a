//! The small updates, for fixed products, of 16 rows of W or 16 columns of H side by side.

use super::parameters::{Parameters, Solver};
use crate::engine::panel::Panel;
use crate::engine::simd::{Real, Simd, WithSimd, dispatch};

/// Rows that are updated side by side, one per lane.
pub const LANES: usize = 16;

/// The same component of [`LANES`] rows of W.
pub type Lane<R> = [R; LANES];

/// Returns `H Hᵀ` of k × d values, in f64.
pub fn gram(h: &[f64], k: usize) -> Vec<f64> {
    dispatch(Gram { h, k })
}

struct Gram<'a> {
    h: &'a [f64],
    k: usize,
}

impl WithSimd for Gram<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Vec<f64> {
        let Self { h, k } = self;
        let d = h.len() / k;
        let mut gram = vec![0.0; k * k];
        for s in 0..k {
            for t in 0..=s {
                let mut sums = [0.0; LANES];
                for (a, b) in h[s * d..][..d].chunks(LANES).zip(h[t * d..][..d].chunks(LANES)) {
                    for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                        *sum += a * b;
                    }
                }
                gram[s * k + t] = sums.iter().sum();
            }
        }
        mirror(&mut gram, k);
        gram
    }
}

/// Packs k × d values times `factors` for rows that are sparse or not.
pub fn pack<R: Real>(sparse: bool, h: &[f64], k: usize, factors: Option<&[f64]>) -> Panel<R> {
    let mut panel = Panel::zeros_for(sparse, h.len() / k, k);
    pack_into(h, factors, &mut panel);
    panel
}

/// Packs as [`pack`] does, into a panel that there is already.
pub fn pack_into<R: Real>(h: &[f64], factors: Option<&[f64]>, panel: &mut Panel<R>) {
    let d = panel.d();
    if panel.is_by_feature() {
        let (k, width) = (panel.k(), panel.width());
        for (j, into) in panel.values_mut().chunks_exact_mut(width).enumerate() {
            let factor = factors.map_or(1.0, |factors| factors[j]);
            (0..k).for_each(|t| into[t] = R::of(h[t * d + j] * factor));
        }
        return;
    }
    for (line, j) in (0..d).step_by(R::LINE).enumerate() {
        for (t, into) in panel.line_mut(line).chunks_exact_mut(R::LINE).enumerate() {
            let width = R::LINE.min(d - j);
            let from = &h[t * d + j..][..width];
            match factors {
                None => into.iter_mut().zip(from).for_each(|(x, &h)| *x = R::of(h)),
                Some(by) => into.iter_mut().zip(from).zip(&by[j..]).for_each(|((x, &h), f)| *x = R::of(h * f)),
            }
        }
    }
}

/// Writes the k × d values of a sum that was packed for arithmetic of type `R`.
pub fn unpack<R: Real>(panel: &Panel<f64, R>, h: &mut [f64]) {
    let d = panel.d();
    if panel.is_by_feature() {
        for (t, h) in h.chunks_exact_mut(d).enumerate() {
            h.iter_mut().enumerate().for_each(|(j, h)| *h = panel.get(j, t));
        }
        return;
    }
    for (line, j) in (0..d).step_by(R::LINE).enumerate() {
        for (t, from) in panel.line(line).chunks_exact(R::LINE).enumerate() {
            let width = R::LINE.min(d - j);
            h[t * d + j..][..width].copy_from_slice(&from[..width]);
        }
    }
}

/// Returns √ω of each feature.
pub fn root_of(weights: Option<&[f64]>) -> Option<Vec<f64>> {
    weights.map(|weights| Vec::from_iter(weights.iter().map(|w| w.sqrt())))
}

/// Multiplies (or divides) every row of `values` by the roots of the weights.
pub fn scale(values: &mut [f64], root: Option<&[f64]>, by: impl Fn(f64, f64) -> f64) {
    if let Some(root) = root {
        for row in values.chunks_mut(root.len()) {
            row.iter_mut().zip(root).for_each(|(x, &r)| *x = by(*x, r));
        }
    }
}

/// Fills the upper half of a symmetric k × k matrix from the lower.
pub fn mirror(matrix: &mut [f64], k: usize) {
    for s in 0..k {
        for t in 0..s {
            matrix[t * k + s] = matrix[s * k + t];
        }
    }
}

/// Puts rows `w` of W (r × k) into lanes.
#[inline(always)]
pub fn to_lanes<R: Real>(w: &[R], k: usize, lanes: &mut [Lane<R>]) {
    if w.len() < LANES * k {
        lanes.fill([R::ZERO; LANES]);
    }
    for (at, rows) in w.chunks(4 * k).enumerate() {
        let transposed = if rows.len() == 4 * k { k / 4 * 4 } else { 0 };
        for t in (0..transposed).step_by(4) {
            let four = |r: usize| rows[r * k + t..][..4].try_into().expect("four values");
            for (lane, x) in lanes[t..].iter_mut().zip(R::transpose([four(0), four(1), four(2), four(3)])) {
                lane[4 * at..4 * at + 4].copy_from_slice(&x);
            }
        }
        for (i, row) in rows.chunks(k).enumerate() {
            for (lane, &x) in lanes[transposed..].iter_mut().zip(&row[transposed..]) {
                lane[4 * at + i] = x;
            }
        }
    }
}

/// Puts lanes back into rows of W.
#[inline(always)]
pub fn from_lanes<R: Real>(lanes: &[Lane<R>], k: usize, w: &mut [R]) {
    for (at, rows) in w.chunks_mut(4 * k).enumerate() {
        let transposed = if rows.len() == 4 * k { k / 4 * 4 } else { 0 };
        for t in (0..transposed).step_by(4) {
            let four = |j: usize| lanes[t + j][4 * at..4 * at + 4].try_into().expect("four values");
            for (row, x) in rows.chunks_exact_mut(k).zip(R::transpose([four(0), four(1), four(2), four(3)])) {
                row[t..t + 4].copy_from_slice(&x);
            }
        }
        for (i, row) in rows.chunks_mut(k).enumerate() {
            for (x, lane) in row[transposed..].iter_mut().zip(&lanes[transposed..]) {
                *x = lane[4 * at + i];
            }
        }
    }
}

/// Updates the components of w from `first` on for fixed products `c` by the inner sweeps; returns the violation of HALS in the
/// first sweep. `new`: as large as w.
#[inline(always)]
pub fn sweeps<R: Real>(
    w: &mut [Lane<R>],
    first: usize,
    c: &[Lane<R>],
    new: &mut [Lane<R>],
    gram: &[R],
    l1: R,
    p: Parameters,
) -> R {
    let mut violation = R::ZERO;
    for sweep in 0..p.inner_sweeps {
        match p.solver {
            Solver::Hals if sweep == 0 => violation = hals(w, first, c, gram, l1),
            Solver::Hals => _ = hals(w, first, c, gram, l1),
            Solver::Mu => mu(w, first, c, new, gram, l1),
        }
    }
    violation
}

/// Makes one HALS sweep over the components of some rows, from `first` on: `w_t ← max(0, w_t − (Σ_s g_ts w_s − c_t + l1) / g_tt)`, where
/// `gram` holds l2 already. Returns the violation Σ|projected gradient| before each step.
#[inline(always)]
fn hals<R: Real>(w: &mut [Lane<R>], first: usize, c: &[Lane<R>], gram: &[R], l1: R) -> R {
    let k = w.len();
    let mut violation = [R::ZERO; LANES];
    for t in first..k {
        let mut gradient = [l1; LANES];
        for (s, w) in w.iter().enumerate() {
            let g = gram[t * k + s];
            for l in 0..LANES {
                gradient[l] += g * w[l];
            }
        }
        let g = gram[t * k + t];
        let inverse = if g > R::ZERO { R::ONE / g } else { R::ZERO };
        for l in 0..LANES {
            let (old, slope) = (w[t][l], gradient[l] - c[t][l]);
            let size = if slope < R::ZERO { R::ZERO - slope } else { slope };
            let bound = old == R::ZERO && slope > R::ZERO;
            violation[l] += if bound { R::ZERO } else { size };
            let new = old - slope * inverse;
            w[t][l] = if new > R::ZERO { new } else { R::ZERO };
        }
    }
    violation.into_iter().sum()
}

/// Makes one multiplicative update of some rows, of the components from `first` on: `w_t ← w_t c_t / (Σ_s g_ts w_s + l1)`, where `gram` holds l2 already.
#[inline(always)]
fn mu<R: Real>(w: &mut [Lane<R>], first: usize, c: &[Lane<R>], new: &mut [Lane<R>], gram: &[R], l1: R) {
    let k = w.len();
    for t in first..k {
        let mut below = [l1; LANES];
        for (s, w) in w.iter().enumerate() {
            let g = gram[t * k + s];
            for l in 0..LANES {
                below[l] += g * w[l];
            }
        }
        for l in 0..LANES {
            // Nothing below means that w_t or h_t is zero: the product is zero whatever it is divided by.
            let value = w[t][l] * c[t][l] / below[l];
            new[t][l] = if below[l] > R::ZERO && value > R::of(f64::from(f32::MIN_POSITIVE)) { value } else { R::ZERO };
        }
    }
    w[first..].copy_from_slice(&new[first..]);
}

/// Updates H, but for what is fixed of it, from `Wᵀ W` and `Wᵀ X` (k × d) by the same steps, a column per lane; returns the
/// violation of HALS.
pub fn columns(h: &mut [f64], wtw: &[f64], wtx: &[f64], p: Parameters) -> f64 {
    dispatch(Columns { h, wtw, wtx, p })
}

struct Columns<'a> {
    h: &'a mut [f64],
    wtw: &'a [f64],
    wtx: &'a [f64],
    p: Parameters,
}

impl WithSimd for Columns<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let Self { h, wtw, wtx, p } = self;
        let k = wtw.len().isqrt();
        let d = h.len() / k;
        let mut gram = wtw.to_vec();
        (0..k).for_each(|t| gram[t * k + t] += p.on_h.l2);
        let [mut lanes, mut above, mut workspace] = [(); 3].map(|()| vec![[0.0; LANES]; k]);
        let mut violation = 0.0;
        for j in (0..d).step_by(LANES) {
            let width = LANES.min(d - j);
            for t in 0..k {
                let from = t * d + j..t * d + j + width;
                lanes[t][..width].copy_from_slice(&h[from.clone()]);
                above[t][..width].copy_from_slice(&wtx[from]);
                lanes[t][width..].fill(0.0);
                above[t][width..].fill(0.0);
            }
            violation += sweeps(&mut lanes, p.fixed, &above, &mut workspace, &gram, p.on_h.l1, p);
            for t in p.fixed..k {
                h[t * d + j..t * d + j + width].copy_from_slice(&lanes[t][..width]);
            }
        }
        violation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_holds_the_component_of_its_row_and_rows_come_back() {
        fn check<R: Real>() {
            for (k, rows) in (1..=9).flat_map(|k| (1..=LANES).map(move |rows| (k, rows))) {
                let w = Vec::from_iter((0..rows * k).map(|i| R::of(i as f64 + 1.0)));
                let mut lanes = vec![[R::of(-1.0); LANES]; k];
                to_lanes(&w, k, &mut lanes);
                for (t, lane) in lanes.iter().enumerate() {
                    for (i, &x) in lane.iter().enumerate() {
                        assert_eq!(x, if i < rows { w[i * k + t] } else { R::ZERO });
                    }
                }
                let mut back = vec![R::ZERO; rows * k];
                from_lanes(&lanes, k, &mut back);
                assert_eq!(back, w);
            }
        }
        check::<f32>();
        check::<f64>();
    }
}
