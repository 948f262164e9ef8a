//! Adjacent segments whose mean signals are alike become one, the best pair first.
//!
//! With v the mean of a segment less the mean of all, the likeness of two that touch along a side is the correlation
//! v·v' / (|v| |v'|): without the common mean, the background that all share would make everything alike. After each
//! merging the mean is formed anew, weighted by positions (Selby et al. 2024). Cost: k d for the means, and d for every
//! pair that ever touches.

use super::labels::{check_labels, neighbors};
use super::sums::SegmentSums;
use crate::engine::pool;
use crate::engine::room;
use crate::{Control, Error, Result};
use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};

/// Part of the overall mean's length below which what is left of a segment's mean is rounding.
const NOTHING: f64 = 1e-12;

/// One merging: the first label goes on, the second is no more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The label that both have from now on, the lower one.
    pub label: u32,
    /// The label that is no more.
    pub merged: u32,
    /// Correlation of the two means when they were merged.
    pub correlation: f64,
}

/// Merge, of segments with these sums, pairs that touch and correlate by at least `least`; the steps in their order, labels
/// as `labels` has them, which is changed.
///
/// ```
/// use emcore::methods::slic::{merge, sums};
/// use emcore::{Control, Rows};
///
/// // Three segments of one position each in a line; the first two have the same signal.
/// let control = Control::new();
/// let rows = Rows::from_slice(&[1.0f32, 0.0, 1.0, 0.0, 0.0, 1.0], 3, 2);
/// let mut labels = [0, 1, 2];
/// let sums = sums(rows, &labels, 3, &control)?;
/// let steps = merge(&mut labels, (1, 3), &sums, 0.9, &control)?;
/// assert_eq!((labels, steps[0].label, steps[0].merged), ([0, 0, 2], 0, 1));
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn merge(
    labels: &mut [i32],
    shape: (usize, usize),
    sums: &SegmentSums,
    least: f64,
    control: &Control,
) -> Result<Vec<Step>> {
    let k = sums.counts.len();
    check_labels(labels, shape, k)?;
    if k == 0 || sums.values.is_empty() || !sums.values.len().is_multiple_of(k) {
        let message = format!("{} sums of {k} labels; k x d are needed", sums.values.len());
        return Err(Error::invalid("sums", message));
    }
    if least.is_nan() {
        return Err(Error::invalid("min_correlation", "NaN compares with nothing; give a number"));
    }
    room::check::<f64>(sums.values.len() as u128 + 16 * k as u128, "means of segments")?;
    let mut graph = Graph::new(labels, shape, sums);
    let mut heap = BinaryHeap::new();
    for a in 0..k {
        control.check()?;
        pool::tick(control);
        heap.extend(graph.touching[a].range(a as u32 + 1..).map(|&b| graph.pair(a as u32, b)));
    }
    let mut steps = Vec::new();
    while let Some(pair) = heap.pop() {
        if pair.correlation < least {
            break;
        }
        if pair.versions != [graph.versions[pair.a as usize], graph.versions[pair.b as usize]] {
            continue;
        }
        graph.join(pair.a, pair.b);
        steps.push(Step { label: pair.a, merged: pair.b, correlation: pair.correlation });
        let around = Vec::from_iter(graph.touching[pair.a as usize].iter().copied());
        heap.extend(around.into_iter().map(|other| graph.pair(pair.a.min(other), pair.a.max(other))));
        control.check()?;
        pool::tick(control);
    }
    let mut into = Vec::from_iter(0..k as i32);
    for step in steps.iter().rev() {
        into[step.merged as usize] = into[step.label as usize];
    }
    labels.iter_mut().filter(|label| **label >= 0).for_each(|label| *label = into[*label as usize]);
    Ok(steps)
}

/// Segments and which of them touch.
struct Graph {
    d: usize,
    counts: Vec<f64>,
    /// Mean less the mean of all, k × d; zeros where nothing is left but rounding.
    means: Vec<f64>,
    lengths: Vec<f64>,
    touching: Vec<BTreeSet<u32>>,
    /// Mergings that a segment went through; what is gone has the largest number.
    versions: Vec<u32>,
    smallest: f64,
}

impl Graph {
    fn new(labels: &[i32], shape: (usize, usize), sums: &SegmentSums) -> Self {
        let (k, d) = (sums.counts.len(), sums.values.len() / sums.counts.len());
        let total = sums.counts.iter().sum::<i64>().max(1) as f64;
        let mut overall = vec![0.0; d];
        for row in sums.values.chunks(d) {
            overall.iter_mut().zip(row).for_each(|(all, value)| *all += value);
        }
        overall.iter_mut().for_each(|all| *all /= total);
        let mut means = sums.means();
        means.chunks_mut(d).for_each(|mean| mean.iter_mut().zip(&overall).for_each(|(x, all)| *x -= all));
        let mut touching = vec![BTreeSet::new(); k];
        for place in 0..labels.len() {
            for other in neighbors(place, shape) {
                let (a, b) = (labels[place], labels[other]);
                if a >= 0 && b >= 0 && a != b {
                    touching[a as usize].insert(b as u32);
                }
            }
        }
        let smallest = NOTHING * dot(&overall, &overall).sqrt();
        let counts = sums.counts.iter().map(|&count| count as f64).collect();
        let mut graph = Self { d, counts, means, lengths: vec![0.0; k], touching, versions: vec![0; k], smallest };
        (0..k).for_each(|a| graph.measure(a));
        graph
    }

    fn mean(&self, a: usize) -> &[f64] {
        &self.means[a * self.d..][..self.d]
    }

    fn measure(&mut self, a: usize) {
        let length = dot(self.mean(a), self.mean(a)).sqrt();
        self.lengths[a] = if length > self.smallest { length } else { 0.0 };
    }

    fn pair(&self, a: u32, b: u32) -> Pair {
        let (i, j) = (a as usize, b as usize);
        let correlation = match (self.lengths[i], self.lengths[j]) {
            (0.0, 0.0) => 1.0, // both are the mean of all
            (0.0, _) | (_, 0.0) => 0.0,
            (p, q) => (dot(self.mean(i), self.mean(j)) / p / q).clamp(-1.0, 1.0),
        };
        Pair { correlation, a, b, versions: [self.versions[i], self.versions[j]] }
    }

    fn join(&mut self, a: u32, b: u32) {
        let (i, j) = (a as usize, b as usize);
        let share = self.counts[j] / (self.counts[i] + self.counts[j]);
        let (before, after) = self.means.split_at_mut(j * self.d);
        for (x, y) in before[i * self.d..][..self.d].iter_mut().zip(after) {
            *x += share * (*y - *x);
        }
        self.counts[i] += self.counts[j];
        self.measure(i);
        self.versions[i] += 1;
        self.versions[j] = u32::MAX;
        for other in std::mem::take(&mut self.touching[j]) {
            self.touching[other as usize].remove(&b);
            if other != a {
                self.touching[other as usize].insert(a);
                self.touching[i].insert(other);
            }
        }
    }
}

/// A pair that touches, with the versions of its segments when it was looked at.
pub struct Pair {
    pub correlation: f64,
    pub a: u32,
    pub b: u32,
    pub versions: [u32; 2],
}

impl Ord for Pair {
    /// The best is the greatest; of equal ones that of the lowest labels.
    fn cmp(&self, other: &Self) -> Ordering {
        self.correlation.total_cmp(&other.correlation).then((other.a, other.b).cmp(&(self.a, self.b)))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

/// In a fixed order, so that every instruction set gives the same.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 16];
    for (a, b) in a.chunks(16).zip(b.chunks(16)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rows;

    #[test]
    fn the_best_pair_goes_first_and_means_are_formed_anew() {
        // Four segments in a line; b is like a, c like neither, d like the two together. Two channels.
        let values: [f64; 12] = [9.0, 1.0, 9.0, 1.0, 8.0, 2.0, 1.0, 9.0, 1.0, 9.0, 2.0, 7.0];
        let rows = Rows::from_slice(&values, 6, 2);
        let initial = [0, 0, 1, 2, 2, 3];
        let sums = crate::methods::slic::sums(rows, &initial, 4, &Control::new()).unwrap();
        let mut labels = initial;
        let steps = merge(&mut labels, (1, 6), &sums, 0.5, &Control::new()).unwrap();
        assert_eq!(labels, [0, 0, 0, 2, 2, 2]);
        assert_eq!(steps.len(), 2);
        assert!(steps[0].correlation >= steps[1].correlation);
        let mut labels = initial;
        assert!(merge(&mut labels, (1, 6), &sums, 1.1, &Control::new()).unwrap().is_empty());
        assert_eq!(labels, initial);
        let mut labels = initial;
        assert_eq!(merge(&mut labels, (1, 6), &sums, -1.0, &Control::new()).unwrap().len(), 3);
        assert_eq!(labels, [0; 6]);
    }

    #[test]
    fn the_likeness_of_a_merged_pair_is_that_of_the_mean_of_both() {
        // The second is not like the first, but together with the third, three positions, it is. The mean of all is zero.
        let values = [0.0, 1.0, 1.0, 0.0, 0.6, 0.8, 0.6, 0.8, 0.6, 0.8, -2.8, -3.4];
        let initial = [0, 1, 2, 2, 2, 3];
        let sums = crate::methods::slic::sums(Rows::from_slice(&values, 6, 2), &initial, 4, &Control::new()).unwrap();
        let mut labels = initial;
        let steps = merge(&mut labels, (1, 6), &sums, 0.5, &Control::new()).unwrap();
        assert_eq!(labels, [0, 0, 0, 0, 0, 3]);
        assert_eq!(steps.iter().map(|step| (step.label, step.merged)).collect::<Vec<_>>(), [(1, 2), (0, 1)]);
        assert!((steps[1].correlation - 0.6 / (0.7f64 * 0.7 + 0.6 * 0.6).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn segments_that_do_not_touch_are_not_merged() {
        let values = [1.0f32, 5.0, 1.0];
        let sums = crate::methods::slic::sums(Rows::from_slice(&values, 3, 1), &[0, 1, 2], 3, &Control::new()).unwrap();
        let mut labels = [0, 1, 2];
        merge(&mut labels, (1, 3), &sums, 0.5, &Control::new()).unwrap();
        assert_eq!(labels, [0, 1, 2]);
    }
}
