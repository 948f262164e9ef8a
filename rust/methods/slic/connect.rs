//! Every label one connected component of the scan.
//!
//! The largest component of each label keeps it, if it has `min_size` positions. Every other component joins, of the labels
//! that touch it along a side, the one whose mean is nearest to the mean of its own rows; a component that touches none, as
//! in a mask of several parts, is a label of its own. Cost: one read of the rows of the components that join another.

use super::labels::{check_labels, neighbors};
use crate::engine::pool;
use crate::engine::room;
use crate::engine::rows::Rows;
use crate::engine::simd::{Pixel, Simd, WithSimd, dispatch};
use crate::methods::kmeans::sum_squares;
use crate::{Control, Error, Result};

/// Rows read between two ticks of the calling thread.
const TICK_ROWS: usize = 256;

/// Positions that hang together and have one label.
struct Component {
    label: i32,
    /// Where its positions start in the list of all.
    start: usize,
    size: usize,
}

/// Make every label of a scan of `shape` connected; `means` (k × d) are the labels' means. Labels are numbered anew in the
/// order in which they are met line by line; returns how many there are. Negative labels stay.
///
/// ```
/// use emcore::methods::slic::connect;
/// use emcore::{Control, Rows};
///
/// // One position of the first label lies apart, between others that its signal is like.
/// let rows = Rows::from_slice(&[1.0f32, 1.0, 5.0, 5.0, 5.0], 5, 1);
/// let mut labels = [0, 0, 1, 0, 1];
/// let count = connect(rows, (1, 5), &mut labels, &[1.0, 5.0], 1, &Control::new())?;
/// assert_eq!((labels, count), ([0, 0, 1, 1, 1], 2));
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn connect<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    shape: (usize, usize),
    labels: &mut [i32],
    means: &[f64],
    min_size: usize,
    control: &Control,
) -> Result<usize> {
    let d = rows.d();
    let k = means.len() / d.max(1);
    check_labels(labels, shape, k)?;
    if d == 0 || labels.len() != rows.n() || means.len() != k * d {
        let message = format!("{} rows and {} means of {k} labels; n and k x d are needed", rows.n(), means.len());
        return Err(Error::invalid("means", message));
    }
    room::check::<[usize; 8]>(labels.len() as u128, "pieces of segments")?;
    let (components, order, component_of) = components(labels, shape);
    // The label that a component has in the end, none yet: as many as there are means, and more for components that touch none.
    let mut settled = vec![None; components.len()];
    for label in largest(&components, k) {
        settled[label] = (components[label].size >= min_size).then_some(components[label].label as usize);
    }
    let mut means = means.to_vec();
    let mut left = Vec::from_iter((0..components.len()).filter(|&component| settled[component].is_none()));
    let mut mean = vec![0.0; d];
    while !left.is_empty() {
        let before = left.len();
        let mut waiting = Vec::new();
        for component in left {
            let places = &order[components[component].start..][..components[component].size];
            let touching = touching(places, shape, &component_of, &settled);
            match touching.as_slice() {
                [] => waiting.push(component),
                [only] => settled[component] = Some(*only),
                _ => {
                    mean_of(&rows, places, &mut mean, control)?;
                    let square = |label: usize| {
                        sum_squares(mean.iter().zip(&means[label * d..][..d]).map(|(mean, center)| mean - center))
                    };
                    let nearest = touching.iter().map(|&label| (square(label), label));
                    settled[component] = nearest.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, label)| label);
                }
            }
        }
        left = waiting;
        if left.len() == before {
            // Nothing that has a label touches any of these: the largest of them is one.
            let first = (0..left.len()).rev().max_by_key(|&i| components[left[i]].size).unwrap_or(0);
            let component = left.remove(first);
            mean_of(&rows, &order[components[component].start..][..components[component].size], &mut mean, control)?;
            settled[component] = Some(means.len() / d);
            means.extend_from_slice(&mean);
        }
    }
    let mut numbers = vec![-1; means.len() / d];
    let mut count = 0;
    for (label, &component) in labels.iter_mut().zip(&component_of) {
        if let Some(own) = settled.get(component).copied().flatten() {
            if numbers[own] < 0 {
                numbers[own] = count;
                count += 1;
            }
            *label = numbers[own];
        }
    }
    Ok(count as usize)
}

/// Pieces in the order of their first positions, their positions one component after another, and the component of each position.
fn components(labels: &[i32], shape: (usize, usize)) -> (Vec<Component>, Vec<usize>, Vec<usize>) {
    let mut component_of = vec![usize::MAX; labels.len()];
    let (mut components, mut order) = (Vec::new(), Vec::new());
    for first in 0..labels.len() {
        if labels[first] < 0 || component_of[first] != usize::MAX {
            continue;
        }
        let (label, start) = (labels[first], order.len());
        component_of[first] = components.len();
        order.push(first);
        let mut next = start;
        while next < order.len() {
            for neighbor in neighbors(order[next], shape) {
                if labels[neighbor] == label && component_of[neighbor] == usize::MAX {
                    component_of[neighbor] = components.len();
                    order.push(neighbor);
                }
            }
            next += 1;
        }
        components.push(Component { label, start, size: order.len() - start });
    }
    (components, order, component_of)
}

/// The largest component of each label, the first of equal ones.
fn largest(components: &[Component], k: usize) -> Vec<usize> {
    let mut best: Vec<Option<usize>> = vec![None; k];
    for (index, component) in components.iter().enumerate() {
        let best = &mut best[component.label as usize];
        if best.is_none_or(|best| components[best].size < component.size) {
            *best = Some(index);
        }
    }
    best.into_iter().flatten().collect()
}

/// The labels that touch these positions along a side, in rising order.
fn touching(places: &[usize], shape: (usize, usize), component_of: &[usize], settled: &[Option<usize>]) -> Vec<usize> {
    let around = places.iter().flat_map(|&place| neighbors(place, shape));
    let mut labels = Vec::from_iter(around.filter_map(|place| settled.get(component_of[place]).copied().flatten()));
    labels.sort_unstable();
    labels.dedup();
    labels
}

fn mean_of<T: Pixel + Into<f64>>(
    rows: &Rows<'_, T>,
    places: &[usize],
    mean: &mut [f64],
    control: &Control,
) -> Result<()> {
    mean.fill(0.0);
    let mut scratch = Vec::new();
    for part in places.chunks(TICK_ROWS) {
        control.check()?;
        for &place in part {
            let row = rows.block(place..place + 1, &mut scratch).row(0);
            dispatch(Add { row, sums: mean });
        }
        if part.len() == TICK_ROWS {
            pool::tick(control);
        }
    }
    mean.iter_mut().for_each(|x| *x /= places.len() as f64);
    Ok(())
}

struct Add<'a, T> {
    row: &'a [T],
    sums: &'a mut [f64],
}

impl<T: Pixel + Into<f64>> WithSimd for Add<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.sums.iter_mut().zip(self.row).for_each(|(sum, &x)| *sum += x.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connected(values: &[f32], labels: &[i32], shape: (usize, usize), k: usize, min_size: usize) -> Vec<i32> {
        let rows = Rows::from_slice(values, labels.len(), 1);
        let mut labels = labels.to_vec();
        let means = crate::methods::slic::sums(rows, &labels, k, &Control::new()).unwrap().means();
        let count = connect(rows, shape, &mut labels, &means, min_size, &Control::new()).unwrap();
        assert_eq!(labels.iter().max(), Some(&(count as i32 - 1)));
        labels
    }

    #[test]
    fn an_orphan_joins_the_neighbour_that_it_resembles() {
        // Label 2 has a component of one position between 0 and 1; its value is that of 1.
        let values = [0.0, 0.0, 1.0, 1.0, 1.0, 9.0, 9.0];
        assert_eq!(connected(&values, &[0, 0, 2, 1, 1, 2, 2], (1, 7), 3, 1), [0, 0, 1, 1, 1, 2, 2]);
        let values = [0.0, 0.0, 0.1, 1.0, 1.0, 9.0, 9.0];
        assert_eq!(connected(&values, &[0, 0, 2, 1, 1, 2, 2], (1, 7), 3, 1), [0, 0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn what_touches_no_other_label_is_one_of_its_own() {
        assert_eq!(connected(&[0.0; 7], &[0, 0, -1, 0, -1, 0, 0], (1, 7), 1, 1), [0, 0, -1, 1, -1, 2, 2]);
        assert_eq!(connected(&[0.0; 4], &[0, 0, 1, 1], (1, 4), 2, 5), [0, 0, 0, 0]);
    }

    #[test]
    fn corners_do_not_connect() {
        // Each label has two positions that meet at a corner: the second ones have to join a neighbour.
        assert_eq!(connected(&[0.0, 5.0, 5.0, 0.0], &[0, 1, 1, 0], (2, 2), 2, 1), [0, 1, 0, 0]);
    }
}
