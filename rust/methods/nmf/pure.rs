//! Rows that are purest: successive projection (Araujo et al. 2001; Gillis & Vavasis 2014).

use super::parameters::{block_rows, check_weights};
use crate::engine::pass::pass;
use crate::engine::room;
use crate::engine::rows::Row;
use crate::engine::simd::{Pixel, Real};
use crate::{Control, Error, Result, Rows};

/// Gives the indices of up to k rows such that all others are nearly mixtures of them: each is, of the rows scaled to sum 1,
/// the one farthest from the span of those before; of rows that are not `scaled`, as scores of either sign are, as they are.
/// Fewer than k when the rows span less. k passes over X.
///
/// ```
/// use emcore::methods::nmf::pure_rows;
/// use emcore::{Control, Rows};
///
/// let x = [1u8, 1, 0, 1, 2, 1, 0, 3, 3];
/// assert_eq!(pure_rows(Rows::from_slice(&x, 3, 3), 2, None, true, &Control::new()), Ok(vec![0, 2]));
/// ```
pub fn pure_rows<T: Pixel>(
    x: Rows<'_, T>,
    k: usize,
    weights: Option<&[f64]>,
    scaled: bool,
    control: &Control,
) -> Result<Vec<usize>> {
    let mut state = room::zeros(2 * x.n(), "distances of rows")?;
    choose(
        x.d(),
        k,
        weights,
        |newest| farthest(x, &mut state, newest, weights, scaled, control),
        |index| {
            let mut scratch = Vec::new();
            Ok(x.block(index..index + 1, &mut scratch).row(0).iter().map(|x| x.real().f64()).collect())
        },
    )
}

/// A squared distance from the span, and the row that has it.
pub type Farthest = (f64, Option<usize>);

/// Chooses [`pure_rows`], wherever the rows are: `farthest(newest direction)` is one pass over all, `row(index)` gives one.
pub fn choose(
    d: usize,
    k: usize,
    weights: Option<&[f64]>,
    mut farthest: impl FnMut(Option<&[f64]>) -> Result<Farthest>,
    mut row: impl FnMut(usize) -> Result<Vec<f64>>,
) -> Result<Vec<usize>> {
    check_weights(d, weights)?;
    let weights = Vec::from_iter((0..d).map(|j| weights.map_or(1.0, |w| w[j])));
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut chosen = Vec::new();
    let mut largest = 0.0;
    while chosen.len() < k {
        let (far, best) = farthest(basis.last().map(|q| &q[..]))?;
        largest = f64::max(largest, far);
        let Some(index) = best else { break };
        if far <= 1e-12 * largest || chosen.contains(&index) {
            break;
        }
        chosen.push(index);
        // The direction of this row that is orthogonal to the others, as it multiplies raw rows: times ω.
        let values = row(index)?;
        if values.len() != d {
            return Err(Error::invalid("row", format!("{} values for {d} features", values.len())));
        }
        let mut q = Vec::from_iter(values.iter().zip(&weights).map(|(x, w)| x * w));
        for _ in 0..2 {
            for b in &basis {
                let along: f64 = q.iter().zip(b).zip(&weights).map(|((q, b), w)| q * b / w).sum();
                q.iter_mut().zip(b).for_each(|(q, b)| *q -= along * b);
            }
        }
        let norm = q.iter().zip(&weights).map(|(q, w)| q * q / w).sum::<f64>().sqrt();
        q.iter_mut().for_each(|q| *q /= norm);
        basis.push(q);
    }
    Ok(chosen)
}

/// Finds, in one pass, the row farthest from the span, of which `newest` is the last direction (none yet: it is empty).
/// `state` holds two numbers of each row: 1 / sum, or 1 where rows are not `scaled`, and its squared distance from the span so far.
pub fn farthest<T: Pixel>(
    x: Rows<'_, T>,
    state: &mut [f64],
    newest: Option<&[f64]>,
    weights: Option<&[f64]>,
    scaled: bool,
    control: &Control,
) -> Result<Farthest> {
    let (n, d) = (x.n(), x.d());
    check_weights(d, weights)?;
    if state.len() != 2 * n || newest.is_some_and(|newest| newest.len() != d) {
        let lengths = (state.len(), newest.map(<[f64]>::len));
        let message = format!("2 n and d values are needed, got {lengths:?} for {n} x {d}");
        return Err(Error::invalid("state and newest", message));
    }
    let weights = Vec::from_iter((0..d).map(|j| weights.map_or(1.0, |w| w[j])));
    let mut best = (0.0, None);
    control.expect(n as u64);
    pass(
        n,
        block_rows(&x),
        control,
        state,
        |range, state| {
            let mut scratch = Vec::new();
            let part = x.part(range.clone(), &mut scratch);
            let mut best = (0.0, None);
            for (i, state) in state.chunks_exact_mut(2).enumerate() {
                let row = part.row(i);
                match newest {
                    None => {
                        let total = sum(row, |j, x| x * weights[j]);
                        state[0] = match (scaled, total > 0.0) {
                            (false, _) => 1.0,
                            (true, true) => 1.0 / total,
                            (true, false) => 0.0,
                        };
                        state[1] = sum(row, |j, x| weights[j] * x * x) * state[0] * state[0];
                    }
                    Some(q) => {
                        let along = sum(row, |j, x| x * q[j]) * state[0];
                        state[1] = (state[1] - along * along).max(0.0);
                    }
                }
                if state[1] > best.0 {
                    best = (state[1], Some(range.start + i));
                }
            }
            best
        },
        |part: Farthest| {
            if part.0 > best.0 {
                best = part;
            }
        },
    )?;
    Ok(best)
}

/// The sum of what is made of every feature and its value, nothing of zero.
#[inline(always)]
fn sum<T: Pixel>(row: Row<'_, T>, of: impl Fn(usize, f64) -> f64) -> f64 {
    let mut sum = 0.0;
    row.each(|j, x| sum += of(j, x.real().f64()));
    sum
}
