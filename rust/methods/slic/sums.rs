//! Sums over the positions of every label: changed by what moved, or formed in one read of the data.

use super::labels::check_labels;
use crate::engine::pass::pass;
use crate::engine::room;
use crate::engine::rows::Rows;
use crate::engine::simd::{Pixel, Simd, WithSimd, dispatch};
use crate::{Control, Error, Result};
use std::sync::Mutex;

/// Of no label.
pub const NONE: u32 = u32::MAX;
/// Bytes of the data within which rows are taken label by label.
const BAND_BYTES: usize = 64 << 20;
/// Bytes of the data that a thread takes at a time.
const UNIT_BYTES: usize = 4 << 20;
/// Rows that are added while their sums are in registers, and features of which these are.
const ROWS: usize = 16;
const FEATURES: usize = 64;

/// Sums over the positions of k labels.
#[derive(Debug, Clone)]
pub struct SegmentSums {
    /// Of the rows, k × d.
    pub values: Vec<f64>,
    /// Positions.
    pub counts: Vec<i64>,
    /// Of their y and x.
    pub places: Vec<[i64; 2]>,
    /// The largest squared distance in channels that a position of the label had when it was last assigned.
    pub largest: Vec<f64>,
}

impl SegmentSums {
    pub(super) fn new(k: usize, d: usize) -> Result<Self> {
        let what = "sums of segments";
        Ok(Self {
            values: room::zeros(room::product::<f64>(&[k, d], what)?, what)?,
            counts: room::zeros(k, what)?,
            places: room::zeros(k, what)?,
            largest: room::zeros(k, what)?,
        })
    }

    pub(super) fn add(&mut self, change: &Change, d: usize) {
        for (slot, &label) in change.touched.iter().enumerate() {
            let label = label as usize;
            let own = self.values[label * d..][..d].iter_mut();
            own.zip(&change.values[slot * d..]).for_each(|(sum, x)| *sum += x);
            self.counts[label] += change.counts[slot];
            for axis in [0, 1] {
                self.places[label][axis] += change.places[slot][axis];
            }
            if self.counts[label] == 0 {
                self.values[label * d..][..d].fill(0.0);
            }
            self.largest[label] = self.largest[label].max(change.largest[slot]);
        }
    }

    /// Means, k × d; zeros where a label has no positions.
    pub fn means(&self) -> Vec<f64> {
        let d = self.values.len() / self.counts.len();
        let mut means = self.values.clone();
        for (mean, &count) in means.chunks_mut(d).zip(&self.counts) {
            mean.iter_mut().for_each(|x| *x /= count.max(1) as f64);
        }
        means
    }
}

/// What some positions change, of the labels that they touch.
pub struct Change {
    d: usize,
    touched: Vec<u32>,
    /// Label to its place in `touched`.
    slots: Vec<u32>,
    values: Vec<f64>,
    counts: Vec<i64>,
    places: Vec<[i64; 2]>,
    largest: Vec<f64>,
    pub moved: usize,
    pub squares: f64,
}

impl Change {
    fn new(k: usize, d: usize) -> Self {
        Self {
            d,
            touched: Vec::new(),
            slots: vec![NONE; k],
            values: Vec::new(),
            counts: Vec::new(),
            places: Vec::new(),
            largest: Vec::new(),
            moved: 0,
            squares: 0.0,
        }
    }

    fn clear(&mut self) {
        self.touched.iter().for_each(|&label| self.slots[label as usize] = NONE);
        self.touched.clear();
        self.values.clear();
        self.counts.clear();
        self.places.clear();
        self.largest.clear();
        (self.moved, self.squares) = (0, 0.0);
    }

    #[inline(always)]
    fn slot(&mut self, label: u32) -> usize {
        let slot = self.slots[label as usize];
        if slot != NONE {
            return slot as usize;
        }
        self.slots[label as usize] = self.touched.len() as u32;
        self.touched.push(label);
        self.values.resize(self.touched.len() * self.d, 0.0);
        self.counts.push(0);
        self.places.push([0; 2]);
        self.largest.push(0.0);
        self.touched.len() - 1
    }

    /// The row of a position goes from one label to another.
    #[inline(always)]
    pub fn step<T: Pixel + Into<f64>>(&mut self, row: &[T], place: [usize; 2], from: u32, to: u32) {
        self.moved += 1;
        for (label, sign) in [(from, -1), (to, 1)] {
            if label != NONE {
                let slot = self.slot(label);
                let factor = f64::from(sign);
                let sums = &mut self.values[slot * self.d..][..self.d];
                sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += factor * x.into());
                self.counts[slot] += i64::from(sign);
                for axis in [0, 1] {
                    self.places[slot][axis] += i64::from(sign) * place[axis] as i64;
                }
            }
        }
    }

    /// A position of a label is so far from its centre.
    #[inline(always)]
    pub fn reach(&mut self, label: u32, square: f64) {
        let slot = self.slot(label);
        self.largest[slot] = self.largest[slot].max(square);
    }
}

/// Changes that were added up and may be used again.
pub struct Changes {
    k: usize,
    d: usize,
    idle: Mutex<Vec<Change>>,
}

impl Changes {
    pub fn new(k: usize, d: usize) -> Self {
        Self { k, d, idle: Mutex::new(Vec::new()) }
    }

    pub fn take(&self) -> Change {
        let idle = self.idle.lock().unwrap().pop();
        idle.unwrap_or_else(|| Change::new(self.k, self.d))
    }

    pub fn put(&self, mut change: Change) {
        change.clear();
        self.idle.lock().unwrap().push(change);
    }
}

/// Sums of the rows of each of k labels in one read of the data, exact for integers up to 2⁵³; negative labels are left out.
///
/// Within bands of the data rows are taken label by label, so that few partial sums are merged.
///
/// ```
/// use emcore::methods::slic::sums;
/// use emcore::{Control, Rows};
///
/// let rows = Rows::from_slice(&[1u16, 2, 3, 4, 50, 60], 3, 2);
/// let sums = sums(rows, &[0, 0, -1], 1, &Control::new())?;
/// assert_eq!((sums.values, sums.counts), (vec![4.0, 6.0], vec![2]));
/// # Ok::<(), emcore::Error>(())
/// ```
pub fn sums<T: Pixel + Into<f64>>(
    rows: Rows<'_, T>,
    labels: &[i32],
    k: usize,
    control: &Control,
) -> Result<SegmentSums> {
    let (n, d) = (rows.n(), rows.d());
    check_labels(labels, (n, 1), k)?;
    if d == 0 || k > i32::MAX as usize || k.checked_mul(d).is_none_or(|size| size > isize::MAX as usize / 8) {
        return Err(Error::invalid("k", format!("{k} sums of {d} features cannot be; labels are 32-bit numbers")));
    }
    let band = (BAND_BYTES / rows.row_bytes().max(1)).max(1);
    // Numbers of rows, room to sort them, and runs of them.
    room::check::<[usize; 5]>(n as u128, "numbers of rows")?;
    let mut order = Vec::from_iter((0..n).filter(|&i| labels[i] >= 0));
    order.sort_by_key(|&i| (i / band, labels[i])); // stable: rows of one label stay in order
    let most = (UNIT_BYTES / rows.row_bytes().max(1)).max(ROWS);
    let runs = order.chunk_by(|&a, &b| a / band == b / band && labels[a] == labels[b]);
    let units = Vec::from_iter(runs.flat_map(|run| run.chunks(most)));
    let mut total = SegmentSums::new(k, d)?;
    for unit in &units {
        total.counts[labels[unit[0]] as usize] += unit.len() as i64;
    }
    let idle: Mutex<Vec<Vec<f64>>> = Mutex::new(Vec::new());
    control.expect(units.len() as u64);
    pass(
        units.len(),
        1,
        control,
        &mut [] as &mut [u8],
        |range, _| {
            let unit = units[range.start];
            let used = idle.lock().unwrap().pop();
            let mut sums = used.unwrap_or_else(|| vec![0.0; d]);
            for run in unit.chunk_by(|a, b| a + 1 == *b) {
                for part in run.chunks(ROWS) {
                    if control.check().is_err() {
                        break;
                    }
                    dispatch(Add { rows: &rows, first: part[0], count: part.len(), sums: &mut sums });
                }
            }
            (labels[unit[0]] as usize, sums)
        },
        |(label, mut sums)| {
            total.values[label * d..][..d].iter_mut().zip(&sums).for_each(|(total, x)| *total += x);
            sums.fill(0.0);
            idle.lock().unwrap().push(sums);
        },
    )?;
    Ok(total)
}

/// `sums +=` a few neighbouring rows.
struct Add<'a, 'b, T> {
    rows: &'a Rows<'b, T>,
    first: usize,
    count: usize,
    sums: &'a mut [f64],
}

impl<T: Pixel + Into<f64>> WithSimd for Add<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut scratch = Vec::new();
        let block = self.rows.block(self.first..self.first + self.count, &mut scratch);
        let whole = self.sums.len() / FEATURES * FEATURES;
        for start in (0..whole).step_by(FEATURES) {
            let sums = &mut self.sums[start..start + FEATURES];
            let mut held = <[f64; FEATURES]>::try_from(&*sums).expect("as many");
            for i in 0..block.n() {
                let row = <&[T; FEATURES]>::try_from(&block.row(i)[start..start + FEATURES]).expect("as many");
                for l in 0..FEATURES {
                    held[l] += row[l].into();
                }
            }
            sums.copy_from_slice(&held);
        }
        for i in 0..block.n() {
            for (sum, &x) in self.sums[whole..].iter_mut().zip(&block.row(i)[whole..]) {
                *sum += x.into();
            }
        }
    }
}
