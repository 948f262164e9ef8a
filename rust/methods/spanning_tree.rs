//! The minimum spanning tree of rows under mutual reachability, from which HDBSCAN cuts its groups.
//!
//! The core distance of a row is that to its m-th nearest row, itself the first; how far two rows are apart is the largest
//! of their distance and both core distances (Campello, Moulavi & Sander, PAKDD 2013, 160-172). The tree grows from the
//! first row by the row that is nearest to it (Prim 1957): O(n² d) time and O(n d) memory, nothing of n² is kept.

use crate::engine::pass::pass;
use crate::engine::pool;
use crate::engine::room;
use crate::engine::simd::{Simd, WithSimd, dispatch};
use crate::{Control, Error, Result};
use ndarray::ArrayView2;
use std::ops::Range;

/// Rows whose distances are taken together: they stay in the first cache.
const CHUNK: usize = 256;
/// Rows whose core distances a thread takes at a time.
const BLOCK: usize = 16;
/// Rows that are added to the tree between two looks at whether to go on.
const STEPS: usize = 32;

/// Edges of a tree over n rows.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanningTree {
    /// The two rows of each of the n − 1 edges, in the order in which they were found.
    pub ends: Vec<[u32; 2]>,
    /// How far these are apart.
    pub lengths: Vec<f64>,
}

/// The tree of finite rows whose density `neighbours` rows make, the row itself among them.
///
/// The same on any number of threads and any machine, to the last bit.
///
/// ```
/// use emcore::Control;
/// use emcore::methods::spanning_tree::spanning_tree;
/// use ndarray::array;
///
/// let tree = spanning_tree(array![[0.0], [1.0], [9.0], [3.0]].view(), 1, &Control::new())?;
/// assert_eq!(tree.ends, [[0, 1], [1, 3], [3, 2]]);
/// assert_eq!(tree.lengths, [1.0, 2.0, 6.0]);
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn spanning_tree(rows: ArrayView2<'_, f32>, neighbours: usize, control: &Control) -> Result<SpanningTree> {
    let n = rows.nrows();
    if neighbours == 0 || neighbours > n || u32::try_from(n).is_err() {
        return Err(Error::invalid("neighbours", format!("{neighbours} asked for of {n} rows")));
    }
    if let Some(x) = rows.iter().find(|x| !x.is_finite()) {
        return Err(Error::invalid("data", format!("holds {x}; distances need finite numbers")));
    }
    control.expect(2 * n as u64);
    let columns = Columns::of(rows)?;
    let core = core_squares(&columns, neighbours, control)?;
    grown(columns, core, control)
}

/// Rows feature by feature, so that one row is compared with many in registers.
struct Columns {
    values: Vec<f64>,
    n: usize,
}

impl Columns {
    fn of(rows: ArrayView2<'_, f32>) -> Result<Self> {
        let mut values = Vec::new();
        room::reserve(&mut values, room::product::<f64>(&[rows.nrows(), rows.ncols()], "rows")?, "rows")?;
        values.extend(rows.t().iter().map(|&x| f64::from(x)));
        Ok(Self { values, n: rows.nrows() })
    }

    fn row(&self, i: usize) -> Vec<f64> {
        self.values.iter().skip(i).step_by(self.n).copied().collect()
    }

    /// The row at `i` is that of `other` from now on.
    fn replace(&mut self, i: usize, other: usize) {
        self.values.chunks_exact_mut(self.n).for_each(|column| column[i] = column[other]);
    }

    /// The squared distances of a row to those from `start` on.
    #[inline(always)]
    fn squares(&self, row: &[f64], start: usize, squares: &mut [f64]) {
        squares.fill(0.0);
        for (column, center) in self.values.chunks_exact(self.n).zip(row) {
            for (square, x) in squares.iter_mut().zip(&column[start..]) {
                let step = x - center;
                *square += step * step;
            }
        }
    }
}

/// The squared core distance of every row.
fn core_squares(columns: &Columns, neighbours: usize, control: &Control) -> Result<Vec<f64>> {
    let mut core = room::zeros(columns.n, "core distances")?;
    let block = |rows: Range<usize>, core: &mut [f64]| dispatch(Cores { columns, neighbours, rows, core });
    pass(columns.n, BLOCK, control, &mut core, block, |()| ())?;
    Ok(core)
}

struct Cores<'a> {
    columns: &'a Columns,
    neighbours: usize,
    rows: Range<usize>,
    core: &'a mut [f64],
}

impl WithSimd for Cores<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (n, m) = (self.columns.n, self.neighbours);
        let mut rows = Vec::from_iter(self.rows.map(|i| (self.columns.row(i), Vec::new())));
        for (_, nearest) in &mut rows {
            room::reserve(nearest, 2 * m + CHUNK, "neighbours").unwrap_or_else(room::unwind);
        }
        self.core.fill(f64::INFINITY);
        let mut buffer = [0.0; CHUNK];
        for start in (0..n).step_by(CHUNK) {
            let squares = &mut buffer[..CHUNK.min(n - start)];
            for ((row, nearest), core) in rows.iter_mut().zip(&mut *self.core) {
                self.columns.squares(row, start, squares);
                nearest.extend(squares.iter().filter(|&square| square < core));
                // Those further than so many are none of the nearest; of equals one is as good as another.
                if nearest.len() >= 2 * m || start + CHUNK >= n && nearest.len() >= m {
                    *core = *nearest.select_nth_unstable_by(m - 1, f64::total_cmp).1;
                    nearest.truncate(m);
                }
            }
        }
    }
}

/// The rows that the tree has not reached, each at a place that another takes when it goes.
struct Outside {
    columns: Columns,
    core: Vec<f64>,
    row: Vec<u32>,
    /// How near the tree has come, squared, and by which of its rows.
    nearest: Vec<f64>,
    from: Vec<u32>,
}

impl Outside {
    /// Takes out the row at a place.
    fn remove(&mut self, place: usize) {
        let last = self.row.len() - 1;
        self.columns.replace(place, last);
        for values in [&mut self.core, &mut self.nearest] {
            values.swap_remove(place);
        }
        for rows in [&mut self.row, &mut self.from] {
            rows.swap_remove(place);
        }
    }
}

fn grown(columns: Columns, core: Vec<f64>, control: &Control) -> Result<SpanningTree> {
    let n = columns.n;
    let (mut ends, mut lengths, mut row) = (Vec::new(), Vec::new(), Vec::new());
    room::reserve(&mut ends, n, "edges")?;
    room::reserve(&mut lengths, n, "edges")?;
    room::reserve(&mut row, n, "rows")?;
    row.extend(0..n as u32);
    let nearest = room::filled(n, f64::INFINITY, "distances")?;
    let mut outside = Outside { columns, core, row, nearest, from: room::zeros(n, "edges")? };
    let mut place = 0;
    for step in 1..n {
        let reached = (outside.row[place], outside.core[place], outside.columns.row(place));
        outside.remove(place);
        place = dispatch(Reach { outside: &mut outside, row: reached.0, core: reached.1, values: &reached.2 });
        ends.push([outside.from[place], outside.row[place]]);
        lengths.push(outside.nearest[place].sqrt());
        if step % STEPS == 0 {
            control.advance(STEPS as u64);
            pool::tick_if_due(control);
            control.check()?;
        }
    }
    Ok(SpanningTree { ends, lengths })
}

/// The tree has reached a row: how near it is now to those outside, and where the nearest of them is.
struct Reach<'a> {
    outside: &'a mut Outside,
    row: u32,
    core: f64,
    values: &'a [f64],
}

impl WithSimd for Reach<'_> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        let Outside { columns, core, nearest, from, .. } = self.outside;
        let mut buffer = [0.0; CHUNK];
        let (mut least, mut among) = (f64::INFINITY, 0);
        let chunks = core.chunks(CHUNK).zip(nearest.chunks_mut(CHUNK)).zip(from.chunks_mut(CHUNK));
        for (chunk, ((core, nearest), from)) in chunks.enumerate() {
            let squares = &mut buffer[..core.len()];
            columns.squares(self.values, chunk * CHUNK, squares);
            for (((square, &core), nearest), from) in squares.iter_mut().zip(core).zip(nearest.iter_mut()).zip(from) {
                let apart = square.max(core).max(self.core);
                if apart < *nearest {
                    (*nearest, *from) = (apart, self.row);
                }
            }
            let here = nearest.iter().copied().fold(f64::INFINITY, f64::min);
            if here < least {
                (least, among) = (here, chunk * CHUNK);
            }
        }
        among + nearest[among..].iter().position(|&x| x == least).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn rows(n: usize, d: usize, values: usize) -> Array2<f32> {
        Array2::from_shape_fn((n, d), |(i, j)| ((i * 7919 + j * 104_729 + i * i * 31) % values) as f32)
    }

    /// The core distances by sorting, and the lengths of the tree by joining the shortest edges first (Kruskal 1956).
    fn plainly(rows: &Array2<f32>, neighbours: usize) -> Vec<f64> {
        let n = rows.nrows();
        let apart = |i: usize, j: usize| {
            let columns = 0..rows.ncols();
            columns.map(|c| (f64::from(rows[[i, c]]) - f64::from(rows[[j, c]])).powi(2)).sum::<f64>().sqrt()
        };
        let core = Vec::from_iter((0..n).map(|i| {
            let mut distances = Vec::from_iter((0..n).map(|j| apart(i, j)));
            distances.sort_by(f64::total_cmp);
            distances[neighbours - 1]
        }));
        let pairs = (0..n).flat_map(|i| (0..i).map(move |j| (i, j)));
        let mut edges = Vec::from_iter(pairs.map(|(i, j)| (apart(i, j).max(core[i]).max(core[j]), i, j)));
        edges.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut part = Vec::from_iter(0..n);
        let mut lengths = Vec::new();
        for (length, i, j) in edges {
            let (one, other) = (part[i], part[j]);
            if one != other {
                part.iter_mut().filter(|part| **part == one).for_each(|part| *part = other);
                lengths.push(length);
            }
        }
        lengths
    }

    #[test]
    fn it_is_as_short_as_the_shortest_edges_joined_one_by_one() {
        for (n, d, values) in [(1, 1, 5), (2, 3, 50), (40, 2, 5), (70, 5, 1000), (300, 1, 10_000), (300, 17, 97)] {
            for neighbours in [1, 2, 10, n].into_iter().filter(|&m| m <= n) {
                let rows = rows(n, d, values);
                let mut tree = spanning_tree(rows.view(), neighbours, &Control::new()).unwrap();
                assert!(tree.ends.iter().enumerate().all(|(i, [from, _])| {
                    *from == tree.ends[0][0] || tree.ends[..i].iter().any(|[_, before]| before == from)
                }));
                tree.lengths.sort_by(f64::total_cmp);
                let expected = plainly(&rows, neighbours);
                assert_eq!(tree.lengths.len(), expected.len());
                for (length, expected) in tree.lengths.iter().zip(expected) {
                    assert!((length - expected).abs() <= 1e-12 * expected, "{n} {d} {neighbours}");
                }
            }
        }
    }

    #[test]
    fn neighbours_that_are_not_there_and_what_is_not_finite_are_refused() {
        let mut rows = rows(9, 2, 50);
        for neighbours in [0, 10] {
            assert!(spanning_tree(rows.view(), neighbours, &Control::new()).is_err());
        }
        rows[[3, 1]] = f32::NAN;
        assert!(spanning_tree(rows.view(), 2, &Control::new()).is_err());
    }

    #[test]
    fn it_ends_when_it_is_told_to() {
        let control = Control::new();
        control.cancel();
        assert_eq!(spanning_tree(rows(99, 2, 50).view(), 2, &control), Err(Error::Cancelled));
    }
}
