//! Rows to start from: greedy k-means++ (Arthur & Vassilvitskii 2007), once for rows wherever they are.
//!
//! Each further row is drawn with a chance that grows as its squared distance to the rows chosen before; of a few draws
//! the one is kept that leaves the smallest sum of these. Costs one read of X per row chosen.

use super::candidates::{Chosen, attempts, center, draw};
use super::parameters::{Metric, check_weights, too_large};
use super::rows::WeightedRows;
use crate::engine::room;
use crate::engine::simd::Pixel;
use crate::{Control, Error, Result, Rows};

/// X as k-means++ visits it: its passes, with the squared distance of every row to the nearest row chosen.
pub trait Source {
    /// The rows at these fractions of the sum of all weights, each times the squared distance if a row was chosen.
    fn draw(&self, fractions: &[f64]) -> Result<Vec<usize>>;
    /// What the weighted sum of the squared distances would be if each of some rows were chosen; the first comes alone.
    fn attempt(&mut self, rows: &[usize], control: &Control) -> Result<Vec<f64>>;
    /// Takes in that one of the rows that were attempted last was chosen, and is the last of all `chosen`.
    fn choose(&mut self, chosen: &[usize], which: usize) -> Result<()>;
}

/// How many random numbers [`seeds`] needs for k rows: one for the first, and 2 + ⌊ln k⌋ for each further one.
///
/// ```
/// assert_eq!(emcore::methods::kmeans::draws(8), 1 + 7 * 4);
/// ```
pub fn draws(k: usize) -> usize {
    k.saturating_sub(1).saturating_mul(trials(k)).saturating_add(1)
}

fn trials(k: usize) -> usize {
    2 + (k as f64).ln().max(0.0) as usize
}

/// Indices of k rows that lie far from each other; `random` are [`draws`]`(k)` numbers in [0, 1).
///
/// ```
/// use emcore::methods::kmeans::{Metric, draws, seeds};
/// use emcore::{Control, Rows};
///
/// let rows = Rows::from_slice(&[1_u8, 2, 91, 92], 4, 1);
/// let chosen = seeds(rows, 2, Metric::Euclidean, None, &vec![0.5; draws(2)], &Control::new())?;
/// assert_eq!(chosen.iter().filter(|&&row| row < 2).count(), 1);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn seeds<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    k: usize,
    metric: Metric,
    weights: Option<&[f64]>,
    random: &[f64],
    control: &Control,
) -> Result<Vec<usize>> {
    check_weights(rows.n(), weights)?;
    check(rows.n(), k, random)?;
    let x = WeightedRows::new(rows, metric, weights, control)?;
    let [origin, first, nearest, closer] = [const { Vec::new() }; 4];
    plus_plus(&mut InMemory { x: &x, origin, first, nearest, closer }, k, random, Vec::new(), control)
}

/// Errors where n rows cannot give k, or for these there are not as many random numbers as are needed.
pub fn check(n: usize, k: usize, random: &[f64]) -> Result<()> {
    if k == 0 || k > n {
        return Err(Error::invalid("n_clusters", format!("{k} asked for; {n} rows can have 1 to {n}")));
    }
    if random.len() != draws(k) {
        let message = format!("{} random numbers; {k} rows are chosen by {}", random.len(), draws(k));
        return Err(Error::invalid("draws", message));
    }
    Ok(())
}

/// Goes on from the rows that are chosen already, if any.
pub fn plus_plus(
    source: &mut impl Source,
    k: usize,
    random: &[f64],
    mut chosen: Vec<usize>,
    control: &Control,
) -> Result<Vec<usize>> {
    let trials = trials(k);
    while chosen.len() < k {
        let fractions = match chosen.len() {
            0 => &random[..1],
            count => &random[1 + (count - 1) * trials..][..trials],
        };
        let rows = source.draw(fractions)?;
        let sums = source.attempt(&rows, control)?;
        let best = (0..rows.len()).min_by(|&a, &b| sums[a].total_cmp(&sums[b])).unwrap_or(0);
        if !sums[best].is_finite() {
            return Err(too_large());
        }
        chosen.push(rows[best]);
        source.choose(&chosen, best)?;
    }
    Ok(chosen)
}

/// Rows in memory, with their squared distances to the rows chosen.
struct InMemory<'x, 'a, 'w, T: Pixel> {
    x: &'x WeightedRows<'a, 'w, T>,
    /// The first row chosen, and squared distances from it; empty before.
    origin: Vec<f64>,
    first: Vec<f64>,
    nearest: Vec<f64>,
    /// Those to the nearest row if each of the rows attempted were chosen: n × rows.
    closer: Vec<f64>,
}

impl<T: Pixel + Into<f64>> Source for InMemory<'_, '_, '_, T> {
    fn draw(&self, fractions: &[f64]) -> Result<Vec<usize>> {
        let value = |i: usize| self.x.weight(i) * self.nearest.get(i).copied().unwrap_or(1.0);
        Ok(fractions.iter().map(|&u| draw(value, self.x.rows.n(), u)).collect())
    }

    fn attempt(&mut self, rows: &[usize], control: &Control) -> Result<Vec<f64>> {
        let candidates = Vec::from_iter(rows.iter().flat_map(|&i| center(self.x, i)));
        let chosen = Chosen { origin: &self.origin, first: &self.first, nearest: &self.nearest };
        let chosen = (!self.origin.is_empty()).then_some(chosen);
        let (closer, sums) = attempts(self.x, chosen, candidates, control)?;
        self.closer = closer;
        Ok(sums)
    }

    fn choose(&mut self, chosen: &[usize], which: usize) -> Result<()> {
        let rows = self.closer.len() / self.x.rows.n();
        self.nearest.clear();
        room::reserve(&mut self.nearest, self.x.rows.n(), "squared distances")?;
        self.nearest.extend(self.closer.iter().skip(which).step_by(rows));
        if let [only] = chosen {
            (self.origin, self.first) = (center(self.x, *only), room::copied(&self.nearest, "squared distances")?);
        }
        Ok(())
    }
}
