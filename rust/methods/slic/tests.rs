//! What must hold of the iteration, against plain loops in f64.

use super::*;
use crate::engine::pool;

fn noise(seed: u64, len: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..len).map(|_| next()).collect()
}

/// Four quarters with a signal each, under noise.
fn quarters(shape: (usize, usize), d: usize, noisy: f64) -> Vec<f64> {
    let mut values = noise(3, shape.0 * shape.1 * d);
    for (i, row) in values.chunks_mut(d).enumerate() {
        let (y, x) = (i / shape.1, i % shape.1);
        let quarter = 2 * usize::from(2 * y >= shape.0) + usize::from(2 * x >= shape.1);
        row.iter_mut().enumerate().for_each(|(j, v)| *v = noisy * *v + f64::from(u8::from(j % 4 == quarter)));
    }
    values
}

fn grid(shape: (usize, usize), step: usize) -> Vec<[f64; 2]> {
    let along = |size: usize| (step / 2..size).step_by(step);
    along(shape.0).flat_map(|y| along(shape.1).map(move |x| [y as f64, x as f64])).collect()
}

fn options(step: usize) -> Options<'static> {
    let reach = [2.0 * step as f64; 2];
    Options { compactness: 0.5, adaptive: false, n_iter: 10, spacing: step as f64, reach, mask: None }
}

/// The definition, position by position, in f64: labels after `n_iter` assignments.
fn plain(data: &[f64], shape: (usize, usize), seeds: &[[f64; 2]], options: &Options<'_>) -> Vec<i32> {
    let (n, k) = (shape.0 * shape.1, seeds.len());
    let d = data.len() / n;
    let used = |i: usize| options.mask.is_none_or(|mask| mask[i]);
    let count = (0..n).filter(|&i| used(i)).count() as f64;
    let mean = |j: usize| (0..n).filter(|&i| used(i)).map(|i| data[i * d + j]).sum::<f64>() / count;
    let variance: f64 = (0..d)
        .map(|j| {
            let mean = mean(j);
            (0..n).filter(|&i| used(i)).map(|i| (data[i * d + j] - mean).powi(2)).sum::<f64>() / count
        })
        .sum();
    let scale = options.compactness.powi(2) * variance;
    let mut places = seeds.to_vec();
    let mut means: Option<Vec<f64>> = None;
    let mut factors = vec![1.0; k];
    let mut largest = vec![0.0f64; k];
    let mut labels = vec![-1; n];
    for _ in 0..options.n_iter {
        for i in (0..n).filter(|&i| used(i)) {
            let (y, x) = ((i / shape.1) as f64, (i % shape.1) as f64);
            let mut best = (f64::INFINITY, -1, 0.0);
            for c in 0..k {
                let low = |axis: usize| (places[c][axis] - options.reach[axis]).max(0.0).floor();
                let high = |axis: usize| (places[c][axis] + options.reach[axis] + 1.0).floor();
                if y < low(0) || y >= high(0) || x < low(1) || x >= high(1) {
                    continue;
                }
                let place = (y - places[c][0]).powi(2) + (x - places[c][1]).powi(2);
                let channels = means
                    .as_ref()
                    .map_or(0.0, |means| (0..d).map(|j| (data[i * d + j] - means[c * d + j]).powi(2)).sum::<f64>());
                let square = channels * factors[c] + scale / options.spacing.powi(2) * place;
                if square < best.0 {
                    best = (square, c as i32, channels);
                }
            }
            if best.1 >= 0 {
                labels[i] = best.1;
                largest[best.1 as usize] = largest[best.1 as usize].max(best.2);
            }
        }
        let mut sums = vec![0.0; k * d];
        let mut counts = vec![0.0; k];
        let mut sites = vec![[0.0; 2]; k];
        for i in (0..n).filter(|&i| labels[i] >= 0) {
            let c = labels[i] as usize;
            (0..d).for_each(|j| sums[c * d + j] += data[i * d + j]);
            counts[c] += 1.0;
            sites[c][0] += (i / shape.1) as f64;
            sites[c][1] += (i % shape.1) as f64;
        }
        for c in (0..k).filter(|&c| counts[c] > 0.0) {
            (0..d).for_each(|j| sums[c * d + j] /= counts[c]);
            places[c] = sites[c].map(|site| site / counts[c]);
            if options.adaptive && largest[c] > 0.0 {
                factors[c] = scale / largest[c];
            }
        }
        means = Some(sums);
    }
    labels
}

#[test]
fn labels_are_those_of_plain_loops_for_every_type_and_width() {
    let shape = (45, 61);
    let seeds = grid(shape, 9);
    for d in [1, 3, 16, 75] {
        let exact = quarters(shape, d, 2.0);
        for (adaptive, n_iter) in [(false, 2), (false, 6), (true, 4)] {
            let options = Options { adaptive, n_iter, ..options(9) };
            let bytes = Vec::from_iter(exact.iter().map(|x| (x * 80.0) as u8));
            check(&bytes, shape, &seeds, &options);
            check(&Vec::from_iter(exact.iter().map(|x| (x * 20000.0) as u16)), shape, &seeds, &options);
            check(&Vec::from_iter(exact.iter().map(|x| (x * 1e6) as i32 - 500_000)), shape, &seeds, &options);
            check(&Vec::from_iter(exact.iter().map(|&x| x as f32)), shape, &seeds, &options);
            check(&exact, shape, &seeds, &options);
        }
    }
}

fn check<T: Pixel + Into<f64>>(data: &[T], shape: (usize, usize), seeds: &[[f64; 2]], options: &Options<'_>) {
    let n = shape.0 * shape.1;
    let rows = Rows::from_slice(data, n, data.len() / n);
    let observed = slic(rows, shape, seeds, options, &Control::new()).unwrap();
    let wide = Vec::from_iter(data.iter().map(|&x| x.into()));
    let expected = plain(&wide, shape, seeds, &Options { n_iter: observed.n_iter, ..*options });
    let differ = observed.labels.iter().zip(&expected).filter(|(a, b)| a != b).count();
    // SLICO's largest distance comes from f32 products: a position on the very border may fall to the other side.
    let allowed = if options.adaptive { n / 500 } else { 0 };
    assert!(differ <= allowed, "{differ} of {n} differ, {options:?}");
    let direct = sums(rows, &observed.labels, seeds.len(), &Control::new()).unwrap();
    assert_eq!(direct.counts, observed.sums.counts);
    for (a, b) in direct.values.iter().zip(&observed.sums.values) {
        assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0));
    }
}

#[test]
fn a_boundless_compactness_gives_the_voronoi_cells_of_the_seeds() {
    let shape = (40, 50);
    let seeds = grid(shape, 10);
    let data = quarters(shape, 20, 1.0);
    let rows = Rows::from_slice(&data, 2000, 20);
    let observed = slic(rows, shape, &seeds, &Options { compactness: 1e9, ..options(10) }, &Control::new()).unwrap();
    for (i, &label) in observed.labels.iter().enumerate() {
        let square = |seed: &[f64; 2]| ((i / 50) as f64 - seed[0]).powi(2) + ((i % 50) as f64 - seed[1]).powi(2);
        let least = seeds.iter().map(square).fold(f64::INFINITY, f64::min);
        assert_eq!(square(&seeds[label as usize]), least);
    }
}

#[test]
fn equal_signals_leave_the_place_to_decide() {
    let shape = (20, 20);
    let observed =
        slic(Rows::from_slice(&[7u16; 4000], 400, 10), shape, &grid(shape, 10), &options(10), &Control::new());
    let labels = observed.unwrap().labels;
    assert_eq!([labels[0], labels[19], labels[399]], [0, 1, 3]);
}

#[test]
fn masked_positions_have_no_label_and_no_influence() {
    let shape = (30, 40);
    let mut data = quarters(shape, 8, 0.5);
    let mask = Vec::from_iter((0..1200).map(|i| (i % 40) != 17 && i / 40 > 2));
    let options = Options { mask: Some(&mask), ..options(10) };
    let first = slic(Rows::from_slice(&data, 1200, 8), shape, &grid(shape, 10), &options, &Control::new()).unwrap();
    for (i, row) in data.chunks_mut(8).enumerate().filter(|(i, _)| !mask[*i]) {
        row.fill(1e3 + i as f64);
    }
    let second = slic(Rows::from_slice(&data, 1200, 8), shape, &grid(shape, 10), &options, &Control::new()).unwrap();
    assert_eq!(first.labels, second.labels);
    assert!(first.labels.iter().zip(&mask).all(|(&label, &used)| (label >= 0) == used));
}

#[test]
fn labels_and_sums_are_the_same_on_one_two_and_three_threads() {
    let shape = (64, 200);
    let data = Vec::from_iter(quarters(shape, 40, 3.0).into_iter().map(|x| x as f32));
    let rows = Rows::from_slice(&data, shape.0 * shape.1, 40);
    let observed = [1, 2, 3].map(|threads| {
        let former = pool::set_num_threads_here(threads);
        let observed = slic(rows, shape, &grid(shape, 8), &options(8), &Control::new()).unwrap();
        let direct = sums(rows, &observed.labels, grid(shape, 8).len(), &Control::new()).unwrap();
        pool::set_num_threads_here(former);
        (observed.labels, observed.sums.values, direct.values)
    });
    assert!(observed[0] == observed[1] && observed[1] == observed[2]);
}

#[test]
fn values_too_large_to_square_are_refused_and_large_ones_are_not() {
    let shape = (10, 10);
    let data = Vec::from_iter(quarters(shape, 4, 1.0).into_iter().map(|x| x * 1e200));
    let call =
        |data: &[f64]| slic(Rows::from_slice(data, 100, 4), shape, &grid(shape, 5), &options(5), &Control::new());
    assert!(call(&data).is_err());
    let large = Vec::from_iter(data.iter().map(|x| (x / 1e170) as f32));
    let small = Vec::from_iter(data.iter().map(|x| x / 1e200));
    let observed =
        slic(Rows::from_slice(&large, 100, 4), shape, &grid(shape, 5), &options(5), &Control::new()).unwrap();
    let differ = observed.labels.iter().zip(call(&small).unwrap().labels).filter(|(a, b)| **a != *b).count();
    assert!(differ <= 2, "{differ}");
}
