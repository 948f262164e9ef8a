//! Every position to the nearest centre whose window covers it, reading only positions for which that may have changed.

use super::Options;
use super::centers::{Centers, Window};
use super::measure::{Measure, Position};
use super::products::{ROWS, products};
use super::sums::{Change, NONE, Spare, Sums};
use crate::engine::pass::pass;
use crate::engine::rows::{Block, Rows};
use crate::engine::simd::{Pixel, Real, Simd, WithSimd, dispatch, prefetch};
use crate::methods::kmeans::{Distance, above};
use crate::{Control, Result};

/// Side of a tile, all of whose positions are compared with the same centres: half of that where windows are small.
const TILE: usize = 8;
const SMALL_REACH: f64 = 2.0 * TILE as f64;
/// Lines of a part, and bytes of the data in it.
const PART_LINES: usize = 2 * TILE;
const PART_BYTES: usize = 2 << 20;
/// Most positions of a line in a part.
const PART_WIDTH: usize = 512;

/// What is known of all positions, part by part.
pub struct Parts<'a> {
    parts: Vec<Part>,
    width: usize,
    mask: Option<&'a [bool]>,
    spare: Option<Spare>,
}

/// What is known of a rectangle of positions.
struct Part {
    area: Window,
    /// Side of a tile.
    side: usize,
    /// [`NONE`] where the mask leaves a position out.
    labels: Vec<u32>,
    /// |x − p|².
    squares: Vec<f64>,
    /// The distance to the own centre at most, and by how much every other known centre of the tile is farther at least.
    above: Vec<f32>,
    slack: Vec<f32>,
    /// Of each tile the centres whose windows meet it, in rising order.
    known: Vec<Vec<u32>>,
}

impl Part {
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

impl<'a> Parts<'a> {
    /// Nothing is known.
    pub fn new<T: Pixel>(rows: &Rows<'_, T>, shape: (usize, usize), options: &Options<'a>) -> Self {
        let small = options.reach[0].min(options.reach[1]) < SMALL_REACH;
        let wide = (PART_BYTES / (PART_LINES * rows.row_bytes()).max(1)).clamp(TILE, PART_WIDTH) / TILE * TILE;
        let mut parts = Vec::new();
        for y in (0..shape.0).step_by(PART_LINES) {
            for x in (0..shape.1).step_by(wide) {
                let area = Window { y: (y, (y + PART_LINES).min(shape.0)), x: (x, (x + wide).min(shape.1)) };
                let n = (area.y.1 - area.y.0) * (area.x.1 - area.x.0);
                parts.push(Part {
                    area,
                    side: if small { TILE / 2 } else { TILE },
                    labels: vec![NONE; n],
                    squares: vec![0.0; n],
                    above: vec![f32::INFINITY; n],
                    slack: vec![-1.0; n],
                    known: Vec::new(),
                });
            }
        }
        Self { parts, width: shape.1, mask: options.mask, spare: None }
    }

    /// Labels line by line, -1 where the mask leaves a position out.
    pub fn labels(&self) -> Vec<i32> {
        let mut labels = vec![-1; self.parts.iter().map(|part| part.labels.len()).sum()];
        for part in &self.parts {
            let (y, x) = (part.area.y, part.area.x);
            for (line, of_line) in (y.0..y.1).zip(part.labels.chunks(x.1 - x.0)) {
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
        sums: &mut Sums,
        control: &Control,
    ) -> Result<f64> {
        self.spare = Some(Spare::new(centers.k(), centers.d));
        let (width, mask) = (self.width, self.mask);
        let mut squares = 0.0;
        self.visit(
            control,
            |part, change| dispatch(Start { rows, width, mask, centers, part, change, control }),
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
        sums: &mut Sums,
        adaptive: bool,
        control: &Control,
    ) -> Result<usize> {
        let width = self.width;
        let mut moved = 0;
        self.visit(
            control,
            |part, change| dispatch(Assign { rows, width, centers, part, change, adaptive, control }),
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
        work: impl Fn(&mut Part, &mut Change) + Sync,
        mut merge: impl FnMut(&Change) + Send,
    ) -> Result<()> {
        let spare = self.spare.as_ref().expect("made by the first assignment");
        control.expect(self.parts.len() as u64);
        pass(
            self.parts.len(),
            1,
            control,
            &mut self.parts,
            |_, part| {
                let mut change = spare.take();
                work(&mut part[0], &mut change);
                change
            },
            |change| {
                merge(&change);
                spare.put(change);
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
    part: &'a mut Part,
    change: &'a mut Change,
    control: &'a Control,
}

impl<T: Pixel + Into<f64>> WithSimd for Start<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (part, centers) = (self.part, self.centers);
        let area = part.area;
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
                let (i, row) = (part.index(y, x), block.row(x - area.x.0));
                let covering = near.iter().copied().filter(|&c| centers.windows[c as usize].covers(y, x));
                // Where no window reaches, the nearest of all.
                let label = closest(centers, covering, y, x).or_else(|| closest(centers, 0..centers.k() as u32, y, x));
                let label = label.expect("there is a centre");
                part.labels[i] = label;
                part.squares[i] = Distance { x: row, factor: 1.0, center: &centers.origin }.with_simd(simd);
                self.change.squares += part.squares[i];
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
    part: &'a mut Part,
    change: &'a mut Change,
    adaptive: bool,
    control: &'a Control,
}

/// What a thread uses again and again.
struct Room<T: Pixel> {
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
        let near = meeting(self.centers, &self.part.area);
        let mut room = Room::<T> {
            scratch: Default::default(),
            x: vec![T::Real::ZERO; ROWS * self.centers.stride],
            dots: Vec::new(),
            measure: Measure::default(),
            need: Vec::new(),
            chosen: Vec::new(),
        };
        let tiles = Vec::from_iter(self.part.tiles());
        self.part.known.resize(tiles.len(), Vec::new());
        for (t, tile) in tiles.iter().enumerate() {
            room.chosen.clear();
            room.chosen.extend(near.iter().filter(|&&c| self.centers.windows[c as usize].meets(tile)));
            let farthest = self.age(t, tile, &mut room);
            if !room.need.is_empty() {
                let left_out = self.leave_out(tile, farthest, &mut room.chosen);
                room.measure.choose(self.centers, &room.chosen);
                self.read(simd, tile, left_out, &mut room);
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
    fn age(&mut self, t: usize, tile: &Window, room: &mut Room<T>) -> f64 {
        let (part, centers) = (&mut *self.part, self.centers);
        let (mut step, mut new) = (0.0f64, f64::INFINITY);
        for &c in &room.chosen {
            if part.known[t].binary_search(&c).is_ok() {
                step = step.max(f64::from(centers.drift[c as usize]));
            } else {
                new = new.min(centers.weight * tile.square_to(centers.places[c as usize]));
            }
        }
        part.known[t].clone_from(&room.chosen);
        let new = new.sqrt() * (1.0 - 1e-6);
        let mut farthest = 0.0f64;
        room.need.clear();
        for y in tile.y.0..tile.y.1 {
            for x in tile.x.0..tile.x.1 {
                let i = part.index(y, x);
                let own = part.labels[i] as usize;
                if part.labels[i] == NONE {
                    continue;
                }
                let drift = f64::from(centers.drift[own]);
                part.above[i] = above(f64::from(part.above[i]) + drift);
                let slack = (f64::from(part.slack[i]) - drift - step).min(new - f64::from(part.above[i]));
                part.slack[i] = (slack * (1.0 - 1e-6)) as f32;
                let covered = centers.windows[own].covers(y, x);
                if self.adaptive || slack <= 0.0 || !covered {
                    room.need.push((y, x));
                    let reach = if covered && !self.adaptive { f64::from(part.above[i]) } else { f64::INFINITY };
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
    fn read<S: Simd>(&mut self, simd: S, tile: &Window, left_out: f64, room: &mut Room<T>) {
        let (part, centers) = (&mut *self.part, self.centers);
        let stride = centers.stride;
        let Room { scratch, x: values, dots, measure, need, chosen } = room;
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
                let i = part.index(y, x);
                let position = Position { row: row((y, x)), y, x, square: part.squares[i] };
                let found = measure.nearest(simd, centers, &position, dots);
                let Some(found) = found else {
                    (part.above[i], part.slack[i]) = (f32::INFINITY, -1.0);
                    continue; // no window reaches it: the label stays
                };
                part.above[i] = above(found.above.sqrt());
                let farther = found.below.min(left_out).max(0.0).sqrt() * (1.0 - 1e-6) - f64::from(part.above[i]);
                part.slack[i] = farther as f32;
                if self.adaptive {
                    self.change.reach(found.label, found.channels);
                }
                if found.label != part.labels[i] {
                    self.change.step(position.row, [y, x], part.labels[i], found.label);
                    part.labels[i] = found.label;
                }
            }
        }
    }
}
