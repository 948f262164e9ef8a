//! Every position to the nearest centre whose window covers it, reading only positions for which that may have changed.

use super::centers::{Centers, Window};
use super::measure::{Measure, Position};
use super::products::{ROWS, products};
use super::sums::{Change, Changes, NONE, SegmentSums};
use crate::engine::pass::pass;
use crate::engine::rows::{Block, Rows};
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch, prefetch};
use crate::methods::kmeans::{Distance, above};
use crate::{Control, Result};

/// Side of a tile, all of whose positions are compared with the same centres: half of that where windows are small.
const TILE: usize = 8;
const SMALL_REACH: f64 = 2.0 * TILE as f64;
/// Lines of a region, and bytes of the data in it.
const REGION_LINES: usize = 2 * TILE;
const REGION_BYTES: usize = 2 << 20;
/// Most positions of a line in a region.
const REGION_WIDTH: usize = 512;

/// Labels of all positions and bounds of their distances, region by region.
pub struct Assignment<'a> {
    regions: Vec<Region>,
    width: usize,
    mask: Option<&'a [bool]>,
    changes: Option<Changes>,
}

/// Labels of a rectangle of positions, and bounds of their distances.
struct Region {
    area: Window,
    /// Side of a tile.
    side: usize,
    /// [`NONE`] where the mask leaves a position out.
    labels: Vec<u32>,
    /// |x − p|².
    squares: Vec<f64>,
    /// The distance to the own centre at most, and by how much every other candidate of the tile is farther at least.
    above: Vec<f32>,
    slack: Vec<f32>,
    /// Of each tile the centres whose windows meet it, in rising order.
    candidates: Vec<Vec<u32>>,
}

impl Region {
    fn tiles(&self) -> impl Iterator<Item = Window> + use<> {
        let (area, side) = (self.area, self.side);
        (area.y.0..area.y.1).step_by(side).flat_map(move |y| {
            (area.x.0..area.x.1)
                .step_by(side)
                .map(move |x| Window { y: (y, (y + side).min(area.y.1)), x: (x, (x + side).min(area.x.1)) })
        })
    }

    #[inline(always)]
    fn index(&self, y: usize, x: usize) -> usize {
        (y - self.area.y.0) * (self.area.x.1 - self.area.x.0) + x - self.area.x.0
    }
}

impl<'a> Assignment<'a> {
    /// No position has a label yet; windows have this reach.
    pub fn new<T: Pixel>(rows: &Rows<'_, T>, shape: (usize, usize), reach: [f64; 2], mask: Option<&'a [bool]>) -> Self {
        let small = reach[0].min(reach[1]) < SMALL_REACH;
        let wide = (REGION_BYTES / (REGION_LINES * rows.row_bytes()).max(1)).clamp(TILE, REGION_WIDTH) / TILE * TILE;
        let mut regions = Vec::new();
        for y in (0..shape.0).step_by(REGION_LINES) {
            for x in (0..shape.1).step_by(wide) {
                let area = Window { y: (y, (y + REGION_LINES).min(shape.0)), x: (x, (x + wide).min(shape.1)) };
                let n = (area.y.1 - area.y.0) * (area.x.1 - area.x.0);
                regions.push(Region {
                    area,
                    side: if small { TILE / 2 } else { TILE },
                    labels: vec![NONE; n],
                    squares: vec![0.0; n],
                    above: vec![f32::INFINITY; n],
                    slack: vec![-1.0; n],
                    candidates: Vec::new(),
                });
            }
        }
        Self { regions, width: shape.1, mask, changes: None }
    }

    /// Labels line by line, -1 where the mask leaves a position out.
    pub fn labels(&self) -> Vec<i32> {
        let mut labels = vec![-1; self.regions.iter().map(|region| region.labels.len()).sum()];
        for region in &self.regions {
            let (y, x) = (region.area.y, region.area.x);
            for (line, of_line) in (y.0..y.1).zip(region.labels.chunks(x.1 - x.0)) {
                let to = &mut labels[line * self.width + x.0..][..of_line.len()];
                to.iter_mut().zip(of_line).for_each(|(to, &label)| *to = label as i32);
            }
        }
        labels
    }

    /// The first assignment, by place alone; returns Σ |x − p|².
    pub fn start<T: Pixel + Into<f64>>(
        &mut self,
        rows: &Rows<'_, T>,
        centers: &Centers<T::Real>,
        sums: &mut SegmentSums,
        control: &Control,
    ) -> Result<f64> {
        self.changes = Some(Changes::new(centers.k(), centers.d));
        let (width, mask) = (self.width, self.mask);
        let mut squares = 0.0;
        self.visit(
            control,
            |region, change| dispatch(Start { rows, width, mask, centers, region, change, control }),
            |change| {
                squares += change.squares;
                sums.add(change, centers.d);
            },
        )?;
        Ok(squares)
    }

    /// Find the nearest centre of each position and bring `sums` up to date; returns how many changed label.
    pub fn assign<T: Pixel + Into<f64>>(
        &mut self,
        rows: &Rows<'_, T>,
        centers: &Centers<T::Real>,
        sums: &mut SegmentSums,
        adaptive: bool,
        control: &Control,
    ) -> Result<usize> {
        let width = self.width;
        let mut moved = 0;
        self.visit(
            control,
            |region, change| dispatch(Assign { rows, width, centers, region, change, adaptive, control }),
            |change| {
                moved += change.moved;
                sums.add(change, centers.d);
            },
        )?;
        Ok(moved)
    }

    fn visit(
        &mut self,
        control: &Control,
        work: impl Fn(&mut Region, &mut Change) + Sync,
        mut merge: impl FnMut(&Change) + Send,
    ) -> Result<()> {
        let changes = self.changes.as_ref().expect("made by the first assignment");
        control.expect(self.regions.len() as u64);
        pass(
            self.regions.len(),
            1,
            control,
            &mut self.regions,
            |_, region| {
                let mut change = changes.take();
                work(&mut region[0], &mut change);
                change
            },
            |change| {
                merge(&change);
                changes.put(change);
            },
        )
    }
}

/// Centres whose windows meet an area.
#[inline(always)]
fn meeting<R: Real>(centers: &Centers<R>, area: &Window) -> Vec<u32> {
    (0..centers.k() as u32).filter(|&c| centers.windows[c as usize].meets(area)).collect()
}

struct Start<'a, 'b, T: Pixel> {
    rows: &'a Rows<'b, T>,
    width: usize,
    mask: Option<&'a [bool]>,
    centers: &'a Centers<T::Real>,
    region: &'a mut Region,
    change: &'a mut Change,
    control: &'a Control,
}

impl<T: Pixel + Into<f64>> WithSimd for Start<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (region, centers) = (self.region, self.centers);
        let area = region.area;
        let near = meeting(centers, &area);
        let mut scratch = Vec::new();
        for y in area.y.0..area.y.1 {
            if self.control.check().is_err() {
                return;
            }
            let start = y * self.width;
            let block = self.rows.block(start + area.x.0..start + area.x.1, &mut scratch);
            for x in area.x.0..area.x.1 {
                if self.mask.is_some_and(|mask| !mask[start + x]) {
                    continue;
                }
                let (i, row) = (region.index(y, x), block.row(x - area.x.0));
                let covering = near.iter().copied().filter(|&c| centers.windows[c as usize].covers(y, x));
                // Where no window reaches, the nearest of all.
                let label = closest(centers, covering, y, x).or_else(|| closest(centers, 0..centers.k() as u32, y, x));
                let label = label.expect("there is a centre");
                region.labels[i] = label;
                region.squares[i] = Distance { x: row, factor: 1.0, center: &centers.origin }.with_simd(simd);
                self.change.squares += region.squares[i];
                self.change.step(row, [y, x], NONE, label);
            }
        }
    }
}

/// The first of the centres nearest by place.
#[inline(always)]
fn closest<R: Real>(centers: &Centers<R>, among: impl Iterator<Item = u32>, y: usize, x: usize) -> Option<u32> {
    let mut best = None;
    let mut least = f64::INFINITY;
    for c in among {
        let [cy, cx] = centers.places[c as usize];
        let square = (y as f64 - cy).powi(2) + (x as f64 - cx).powi(2);
        if square < least {
            (best, least) = (Some(c), square);
        }
    }
    best
}

struct Assign<'a, 'b, T: Pixel> {
    rows: &'a Rows<'b, T>,
    width: usize,
    centers: &'a Centers<T::Real>,
    region: &'a mut Region,
    change: &'a mut Change,
    adaptive: bool,
    control: &'a Control,
}

/// Memory that a thread uses for one tile after another.
struct Workspace<T: Pixel> {
    scratch: [Vec<T>; TILE],
    x: Vec<T::Real>,
    dots: Vec<T::Real>,
    measure: Measure,
    /// Positions (y, x) to be read.
    need: Vec<(usize, usize)>,
    chosen: Vec<u32>,
}

impl<T: Pixel + Into<f64>> WithSimd for Assign<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let near = meeting(self.centers, &self.region.area);
        let mut workspace = Workspace::<T> {
            scratch: Default::default(),
            x: vec![T::Real::ZERO; ROWS * self.centers.stride],
            dots: Vec::new(),
            measure: Measure::default(),
            need: Vec::new(),
            chosen: Vec::new(),
        };
        let tiles = Vec::from_iter(self.region.tiles());
        self.region.candidates.resize(tiles.len(), Vec::new());
        for (t, tile) in tiles.iter().enumerate() {
            workspace.chosen.clear();
            workspace.chosen.extend(near.iter().filter(|&&c| self.centers.windows[c as usize].meets(tile)));
            let farthest = self.age(t, tile, &mut workspace);
            if !workspace.need.is_empty() {
                let left_out = self.leave_out(tile, farthest, &mut workspace.chosen);
                workspace.measure.choose(self.centers, &workspace.chosen);
                self.read(simd, tile, left_out, &mut workspace);
            }
            if self.control.check().is_err() {
                return;
            }
        }
    }
}

impl<T: Pixel + Into<f64>> Assign<'_, '_, T> {
    /// Take off what the centres moved; which positions of a tile may have another nearest centre now, and how far the
    /// own centre of any of them may be.
    #[inline(always)]
    fn age(&mut self, t: usize, tile: &Window, workspace: &mut Workspace<T>) -> f64 {
        let (region, centers) = (&mut *self.region, self.centers);
        let (mut step, mut new) = (0.0f64, f64::INFINITY);
        for &c in &workspace.chosen {
            if region.candidates[t].binary_search(&c).is_ok() {
                step = step.max(f64::from(centers.drift[c as usize]));
            } else {
                new = new.min(centers.weight * tile.square_to(centers.places[c as usize]));
            }
        }
        region.candidates[t].clone_from(&workspace.chosen);
        let new = new.sqrt() * (1.0 - 1e-6);
        let mut farthest = 0.0f64;
        workspace.need.clear();
        for y in tile.y.0..tile.y.1 {
            for x in tile.x.0..tile.x.1 {
                let i = region.index(y, x);
                let own = region.labels[i] as usize;
                if region.labels[i] == NONE {
                    continue;
                }
                let drift = f64::from(centers.drift[own]);
                region.above[i] = above(f64::from(region.above[i]) + drift);
                let slack = (f64::from(region.slack[i]) - drift - step).min(new - f64::from(region.above[i]));
                region.slack[i] = (slack * (1.0 - 1e-6)) as f32;
                let covered = centers.windows[own].covers(y, x);
                if self.adaptive || slack <= 0.0 || !covered {
                    workspace.need.push((y, x));
                    let reach = if covered && !self.adaptive { f64::from(region.above[i]) } else { f64::INFINITY };
                    farthest = farthest.max(reach);
                }
            }
        }
        farthest
    }

    /// Leave out the centres that are farther by place alone; returns how far they are, squared, at least.
    #[inline(always)]
    fn leave_out(&self, tile: &Window, farthest: f64, chosen: &mut Vec<u32>) -> f64 {
        let (limit, mut least) = (farthest * farthest * (1.0 + 1e-6), f64::INFINITY);
        chosen.retain(|&c| {
            let square = self.centers.weight * tile.square_to(self.centers.places[c as usize]);
            if square > limit {
                least = least.min(square);
            }
            square <= limit
        });
        least
    }

    /// Read the positions of a tile that need it.
    #[inline(always)]
    fn read<S: Simd>(&mut self, simd: S, tile: &Window, left_out: f64, workspace: &mut Workspace<T>) {
        let (region, centers) = (&mut *self.region, self.centers);
        let stride = centers.stride;
        let Workspace { scratch, x: values, dots, measure, need, chosen } = workspace;
        let mut scratch = scratch.iter_mut();
        let blocks: [Option<Block<'_, T>>; TILE] = std::array::from_fn(|line| {
            let (y, scratch) = (tile.y.0 + line, scratch.next().expect("one for each line"));
            let needed = need.iter().any(|position| position.0 == y);
            needed.then(|| {
                let start = y * self.width;
                self.rows.block(start + tile.x.0..start + tile.x.1, scratch)
            })
        });
        let row = |(y, x): (usize, usize)| blocks[y - tile.y.0].expect("needed").row(x - tile.x.0);
        dots.resize(ROWS * chosen.len(), T::Real::ZERO);
        for (group, positions) in need.chunks(ROWS).enumerate() {
            if self.control.check().is_err() {
                return;
            }
            for &next in need.iter().skip((group + 1) * ROWS).take(ROWS) {
                prefetch(row(next), 0);
            }
            for (&position, values) in positions.iter().zip(values.chunks_mut(stride)) {
                let filled = values.iter_mut().zip(row(position)).zip(&centers.offset);
                filled.for_each(|((to, x), &offset)| *to = x.real() - offset);
            }
            products(simd, values, &centers.packed, stride, chosen, dots);
            for (&(y, x), dots) in positions.iter().zip(dots.chunks(chosen.len().max(1))) {
                let i = region.index(y, x);
                let position = Position { row: row((y, x)), y, x, square: region.squares[i] };
                let Some(nearest) = measure.nearest(simd, centers, &position, dots) else {
                    (region.above[i], region.slack[i]) = (f32::INFINITY, -1.0);
                    continue; // no window reaches it: the label stays
                };
                region.above[i] = above(nearest.above.sqrt());
                let farther = nearest.below.min(left_out).max(0.0).sqrt() * (1.0 - 1e-6) - f64::from(region.above[i]);
                region.slack[i] = farther as f32;
                if self.adaptive {
                    self.change.reach(nearest.label, nearest.channels);
                }
                if nearest.label != region.labels[i] {
                    self.change.step(position.row, [y, x], region.labels[i], nearest.label);
                    region.labels[i] = nearest.label;
                }
            }
        }
    }
}
