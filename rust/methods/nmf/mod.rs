//! Which few non-negative spectra H (k × d) and maps W (n × k) make up the rows of X: X ≈ W H.
//!
//! Frobenius: ½‖X − W H‖², by hierarchical alternating least squares (Cichocki & Phan 2009; the coordinate descent of
//! scikit-learn) or multiplicative updates (Lee & Seung 2001); Kullback-Leibler: Σ X ln(X / W H) − X + W H, by
//! multiplicative updates. W is updated before H, as in scikit-learn, from which the iterates differ only by rounding.
//!
//! For fixed H the rows of W are independent, so one visit of a block of X does all: `C = X_b Hᵀ`, the update of W_b,
//! and with the new W_b its share of `Wᵀ X` and `Wᵀ W`; H follows after the pass. X is read once per iteration, at about
//! 4 n d k flops; the loss ½‖X‖² − ⟨Wᵀ X, H⟩ + ½⟨Wᵀ W, H Hᵀ⟩ costs nothing more.

mod counts;
mod driver;
mod frobenius;
mod in_memory;
mod kullback;
mod least_squares;
mod likelihood;
mod parameters;
mod pure;
mod spectra;
mod update;

pub use driver::{Source, factor};
pub use in_memory::{loss, visit};
pub use kullback::mean;
pub use least_squares::least_squares;
pub use likelihood::likelihood;
pub use parameters::{Fit, Loss, Parameters, Partial, Penalty, Solver, State};
pub use pure::{Farthest, choose, farthest, pure_rows};

use crate::engine::pass::{block_rows, pass};
use crate::engine::simd::{Pixel, Real};
use crate::{Control, Result, Rows};
use in_memory::InMemory;
use parameters::count_components;
use std::ops::Range;

/// Factors X into `w` (n × k) and `h` (k × d), starting from what they hold.
///
/// `weights`, one positive number per feature, multiply the loss of that feature. The components are put in the
/// order of falling energy ‖w_t‖ ‖h_t‖ and, unless a penalty fixes their scale, each row of H sums to 1; but those that are
/// fixed stay the first ones, as they are.
///
/// ```
/// use emcore::methods::nmf::{Loss, Parameters, Penalty, Solver, nmf};
/// use emcore::{Control, Rows};
///
/// let counts = [2u8, 2, 0, 0, 1, 3, 4, 5, 3];
/// let none = Penalty::default();
/// let parameters = Parameters {
///     solver: Solver::Hals,
///     loss: Loss::Frobenius,
///     inner_sweeps: 1,
///     max_iter: 200,
///     tol: 1e-6,
///     on_w: none,
///     on_h: none,
///     fixed: 0,
/// };
/// let (mut w, mut h) = (vec![2.0, 1.0, 1.0, 3.0, 3.0, 3.0], vec![0.6, 0.4, 0.1, 0.1, 0.4, 0.6]);
/// let x = Rows::from_slice(&counts, 3, 3);
/// let fit = nmf(x, &mut w, &mut h, None, parameters, &Control::new())?;
/// assert!(fit.loss < 1e-3);
/// assert!(h.chunks(3).all(|spectrum| (spectrum.iter().sum::<f64>() - 1.0).abs() < 1e-9));
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn nmf<T: Pixel>(
    x: Rows<'_, T>,
    w: &mut [T::Real],
    h: &mut [f64],
    weights: Option<&[f64]>,
    parameters: Parameters,
    control: &Control,
) -> Result<Fit> {
    let mut source = InMemory::new(x, w, h.len(), weights, parameters)?;
    let fit = factor(&mut source, h, weights, parameters, None, control)?;
    canonical((x.n(), x.d()), w, h, weights, parameters, control)?;
    Ok(fit)
}

/// Sorts the components of `w` (n × k) and `h` (k × d), of n × d data, by falling energy ‖w_t‖ ‖h_t‖. Unless a penalty of
/// `parameters` fixes their scale, each row of H sums to 1 and W carries the rest. Those that are fixed stay as they are.
pub fn canonical<R: Real>(
    shape: (usize, usize),
    w: &mut [R],
    h: &mut [f64],
    weights: Option<&[f64]>,
    parameters: Parameters,
    control: &Control,
) -> Result<()> {
    let (k, (n, d)) = (count_components(shape, w.len(), h.len(), weights)?, shape);
    let rows = block_rows(k * size_of::<R>(), 1 << 18, 1);
    control.expect(2 * n as u64);
    let scale = parameters.free_scale();
    let weight = |j: usize| weights.map_or(1.0, |w| w[j]);
    let mut energy = vec![0.0; k];
    let squares = |range: Range<usize>, _: &mut [()]| {
        let mut squares = vec![0.0; k];
        for row in w[range.start * k..range.end * k].chunks(k) {
            squares.iter_mut().zip(row).for_each(|(square, w)| *square += w.f64() * w.f64());
        }
        squares
    };
    let add = |squares: Vec<f64>| energy.iter_mut().zip(squares).for_each(|(sum, square)| *sum += square);
    pass(n, rows, control, &mut [], squares, add)?;
    let mut sums = Vec::with_capacity(k);
    for (t, (e, row)) in energy.iter_mut().zip(h.chunks(d)).enumerate() {
        *e *= row.iter().enumerate().map(|(j, h)| h * h * weight(j)).sum::<f64>();
        let sum: f64 = row.iter().enumerate().map(|(j, h)| h * weight(j)).sum();
        sums.push(if scale && sum > 0.0 && t >= parameters.fixed { sum } else { 1.0 });
    }
    let mut order = Vec::from_iter(0..k);
    order[parameters.fixed.min(k)..].sort_by(|&a, &b| energy[b].total_cmp(&energy[a]));

    let old = h.to_vec();
    for (row, &t) in h.chunks_mut(d).zip(&order) {
        row.iter_mut().zip(&old[t * d..]).for_each(|(new, old)| *new = old / sums[t]);
    }
    let sorted = |_: Range<usize>, w: &mut [R]| {
        let mut old = vec![R::ZERO; k];
        for row in w.chunks_mut(k) {
            old.copy_from_slice(row);
            row.iter_mut().zip(&order).for_each(|(new, &t)| *new = R::of(old[t].f64() * sums[t]));
        }
    };
    pass(n, rows, control, w, sorted, |()| ())
}

#[cfg(test)]
mod tests;
