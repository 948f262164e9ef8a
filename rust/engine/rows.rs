//! A typed view of n rows × d features in the type in which the detector wrote them: contiguous, strided or
//! memory-mapped; never copied, except that one block at a time is gathered when its features are not contiguous. Or rows
//! that are [`Computed`] from such, or unpacked from [`Sparse`] ones, one block at a time.

use crate::engine::room;
use crate::engine::simd::Pixel;
use crate::engine::sparse::Sparse;
use ndarray::{ArrayView2, Axis};
use std::ops::Range;

/// Rows that are nowhere stored, but written whenever a block of them is visited.
///
/// ```
/// use emcore::{Computed, Control, Rows, value_range};
/// use std::ops::Range;
///
/// struct Squares;
/// impl Computed<f32> for Squares {
///     fn shape(&self) -> (usize, usize) {
///         (100, 1)
///     }
///     fn fill(&self, rows: Range<usize>, values: &mut [f32]) {
///         rows.zip(values).for_each(|(i, value)| *value = (i * i) as f32);
///     }
/// }
/// assert_eq!(value_range(Rows::computed(&Squares), &Control::new())?.max, 9801.0);
/// # Ok::<(), emcore::Error>(())
/// ```
pub trait Computed<T>: Sync {
    /// Numbers of rows and features.
    fn shape(&self) -> (usize, usize);
    /// Write some rows, one after another.
    fn fill(&self, rows: Range<usize>, values: &mut [T]);
}

/// n rows (positions) of d features (pixels or channels).
///
/// ```
/// use emcore::Rows;
/// use ndarray::{Array2, s};
///
/// let scan = Array2::<u16>::zeros((100, 64));
/// let every_other = Rows::new(scan.slice(s![..;2, ..]));
/// assert_eq!((every_other.n(), every_other.d()), (50, 64));
/// ```
#[derive(Clone, Copy)]
pub struct Rows<'a, T> {
    n: usize,
    d: usize,
    source: Source<'a, T>,
}

#[derive(Clone, Copy)]
enum Source<'a, T> {
    Memory(ArrayView2<'a, T>),
    Computed(&'a dyn Computed<T>),
    Sparse(Sparse<'a, T>),
}

impl<'a, T: Pixel> Rows<'a, T> {
    /// A view of `data`, of whatever strides.
    pub fn new(data: ArrayView2<'a, T>) -> Self {
        Self { n: data.nrows(), d: data.ncols(), source: Source::Memory(data) }
    }

    /// Rows computed whenever a block of them is visited.
    pub fn computed(rows: &'a dyn Computed<T>) -> Self {
        let (n, d) = rows.shape();
        Self { n, d, source: Source::Computed(rows) }
    }

    /// Rows of which few values are not zero.
    pub fn sparse(rows: Sparse<'a, T>) -> Self {
        Self { n: rows.n(), d: rows.d(), source: Source::Sparse(rows) }
    }

    /// A view of `n` × `d` values in row-major order.
    ///
    /// # Panics
    /// When there are not `n * d` values.
    pub fn from_slice(data: &'a [T], n: usize, d: usize) -> Self {
        Self::new(ArrayView2::from_shape((n, d), data).expect("n * d values"))
    }

    /// Number of rows.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Number of features.
    pub fn d(&self) -> usize {
        self.d
    }

    /// The features as rows; none where rows are computed or sparse.
    pub(crate) fn transposed(&self) -> Option<Self> {
        match self.source {
            Source::Memory(view) => Some(Self::new(view.reversed_axes())),
            Source::Computed(_) | Source::Sparse(_) => None,
        }
    }

    /// The rows as they are stored, where that is without zeros.
    pub(crate) fn as_sparse(&self) -> Option<Sparse<'a, T>> {
        match self.source {
            Source::Sparse(rows) => Some(rows),
            _ => None,
        }
    }

    /// Rows of a block whose sums are d values for each of a few columns: `usual`, or more where the rows hold so little that
    /// these sums would cost more than the rows.
    pub(crate) fn rows_of_sums(&self, usual: usize) -> usize {
        let Source::Sparse(rows) = self.source else { return usual };
        let enough = FULL_SUMS as u128 * self.d as u128 * self.n as u128 / rows.stored().max(1) as u128;
        usual.max(enough.min((self.n / MOST_BLOCKS) as u128) as usize).min(MOST_ROWS.max(usual))
    }

    /// Bytes of one row.
    pub(crate) fn row_bytes(&self) -> usize {
        self.d() * size_of::<T>()
    }

    /// Returns some rows, each as a contiguous slice. `scratch` is used only where features are not contiguous in memory: take few
    /// rows at a time, that it stays in cache.
    pub(crate) fn block<'s>(&'s self, rows: Range<usize>, scratch: &'s mut Vec<T>) -> Block<'s, T> {
        let part = match &self.source {
            Source::Memory(view) => view.slice_axis(Axis(0), rows.into()),
            Source::Computed(source) => {
                let n = rows.len();
                scratch.resize(n * self.d, T::default());
                source.fill(rows, scratch);
                return Block::of(scratch, n, self.d);
            }
            Source::Sparse(source) => {
                let (n, what) = (rows.len(), "rows with their zeros");
                let len = room::product::<T>(&[n, self.d], what).unwrap_or_else(room::unwind);
                if scratch.capacity() < len {
                    *scratch = room::filled(len, T::default(), what).unwrap_or_else(room::unwind);
                }
                scratch.resize(len, T::default());
                source.rows(rows).unpack(scratch);
                return Block::of(scratch, n, self.d);
            }
        };
        let (n, d) = part.dim();
        if part.strides()[1] == 1 || d <= 1 {
            return Block { first: part.as_ptr(), stride: part.strides()[0], n, d, held: std::marker::PhantomData };
        }
        scratch.clear();
        if part.strides()[0].unsigned_abs() < part.strides()[1].unsigned_abs() {
            // Column-major: read along the short stride.
            scratch.resize(n * d, T::default());
            for (j, column) in part.columns().into_iter().enumerate() {
                for (i, &x) in column.iter().enumerate() {
                    scratch[i * d + j] = x;
                }
            }
        } else {
            scratch.extend(part.iter());
        }
        Block::of(scratch, n, d)
    }

    /// Returns some rows for what passes zeros over: sparse ones as they are, others as [`block`](Self::block).
    pub(crate) fn part<'s>(&'s self, rows: Range<usize>, scratch: &'s mut Vec<T>) -> Part<'s, T> {
        match &self.source {
            Source::Sparse(source) => Part::Sparse(source.rows(rows)),
            _ => Part::Dense(self.block(rows, scratch)),
        }
    }
}

/// Values that a block of sparse rows holds for each sum of a feature that it makes.
const FULL_SUMS: usize = 8;
/// Blocks there are for many threads, and rows that are summed in the type of the arithmetic: at most, of sparse rows.
const MOST_BLOCKS: usize = 64;
const MOST_ROWS: usize = 4096;

/// A few rows, as they are stored.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a, T> {
    /// With zeros.
    Dense(Block<'a, T>),
    /// Without.
    Sparse(Sparse<'a, T>),
}

/// A row, as it is stored.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a, T> {
    /// All values.
    Dense(&'a [T]),
    /// The features of those stored, ascending, and these.
    Sparse(&'a [u32], &'a [T]),
}

impl<'a, T> From<Block<'a, T>> for Part<'a, T> {
    fn from(block: Block<'a, T>) -> Self {
        Self::Dense(block)
    }
}

impl<'a, T: Pixel> Part<'a, T> {
    /// Number of rows.
    pub fn n(&self) -> usize {
        match self {
            Self::Dense(block) => block.n(),
            Self::Sparse(rows) => rows.n(),
        }
    }

    /// Number of features.
    pub fn d(&self) -> usize {
        match self {
            Self::Dense(block) => block.d(),
            Self::Sparse(rows) => rows.d(),
        }
    }

    /// Row `i`.
    #[inline(always)]
    pub fn row(&self, i: usize) -> Row<'a, T> {
        match self {
            Self::Dense(block) => Row::Dense(block.row(i)),
            Self::Sparse(rows) => {
                let (features, values) = rows.row(i);
                Row::Sparse(features, values)
            }
        }
    }
}

impl<T: Pixel> Row<'_, T> {
    /// Calls with every feature, ascending, and its value, perhaps without those that are zero.
    #[inline(always)]
    pub fn each(&self, mut call: impl FnMut(usize, T)) {
        match self {
            Self::Dense(values) => values.iter().enumerate().for_each(|(j, &x)| call(j, x)),
            Self::Sparse(features, values) => features.iter().zip(*values).for_each(|(&j, &x)| call(j as usize, x)),
        }
    }
}

/// A few rows, each contiguous.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a, T> {
    first: *const T,
    stride: isize,
    n: usize,
    d: usize,
    held: std::marker::PhantomData<&'a [T]>,
}

// SAFETY: a block is a shared view of plain numbers.
unsafe impl<T: Sync> Send for Block<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Block<'_, T> {}

impl<'a, T> Block<'a, T> {
    fn of(values: &'a [T], n: usize, d: usize) -> Self {
        assert_eq!(values.len(), n * d);
        Self { first: values.as_ptr(), stride: d as isize, n, d, held: std::marker::PhantomData }
    }

    /// Number of rows.
    #[inline(always)]
    pub fn n(&self) -> usize {
        self.n
    }

    /// Number of features.
    #[inline(always)]
    pub fn d(&self) -> usize {
        self.d
    }

    /// Bytes from the start of a row to that of the next.
    #[inline(always)]
    pub fn row_step(&self) -> isize {
        self.stride * size_of::<T>() as isize
    }

    /// Row `i`.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &'a [T] {
        assert!(i < self.n);
        // SAFETY: row i of the view that this block was cut from starts there and holds d contiguous values.
        unsafe { std::slice::from_raw_parts(self.first.offset(i as isize * self.stride), self.d) }
    }

    /// All values of some rows, at least one, if these follow each other without a gap.
    #[inline(always)]
    pub fn contiguous(&self, rows: Range<usize>) -> Option<&'a [T]> {
        assert!(rows.start < rows.end && rows.end <= self.n);
        // SAFETY: the rows, one after another; `first` was derived from all of the data, not from a row.
        (self.stride == self.d as isize).then(|| unsafe {
            std::slice::from_raw_parts(self.first.offset(rows.start as isize * self.stride), rows.len() * self.d)
        })
    }

    /// Where rows `start..start + N` start: each pointer may be read as far as d values.
    #[inline(always)]
    pub fn pointers<const N: usize>(&self, start: usize) -> [*const T; N] {
        assert!(start + N <= self.n);
        let mut pointers = [self.first; N];
        for (i, at) in pointers.iter_mut().enumerate() {
            *at = self.first.wrapping_offset((start + i) as isize * self.stride);
        }
        pointers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, s};

    #[test]
    fn a_block_holds_the_rows_of_the_view_whatever_its_strides() {
        let data = Array2::from_shape_fn((7, 10), |(i, j)| (i * 10 + j) as u16);
        for view in [
            data.view(),
            data.slice(s![..;-1, ..]),
            data.slice(s![..;2, 1..9]),
            data.slice(s![.., ..;3]),
            data.slice(s![.., ..;-1]),
            data.t(),
        ] {
            let rows = Rows::new(view);
            let mut scratch = Vec::new();
            let block = rows.block(1..rows.n(), &mut scratch);
            for i in 1..rows.n() {
                assert_eq!(block.row(i - 1), view.row(i).to_vec());
            }
            if let Some(values) = block.contiguous(0..2) {
                assert_eq!(values, [view.row(1).to_vec(), view.row(2).to_vec()].concat());
            }
            // Of the first view the rows follow each other; gathered ones do too.
            let apart = view.strides()[1] == 1 && view.strides()[0] != view.ncols() as isize;
            assert_eq!(block.contiguous(0..2).is_none(), apart);
        }
    }
}
