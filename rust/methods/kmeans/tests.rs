//! Against brute force, from every type of pixel.

use super::*;
use crate::engine::pool;

/// Numbers without a pattern, the same in every run (xorshift).
fn noise(count: usize) -> Vec<u32> {
    let mut state = 0x9E37_79B9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    (0..count).map(|_| next()).collect()
}

fn parameters(max_iter: usize, metric: Metric) -> Parameters {
    Parameters { max_iter, tol: 0.0, metric }
}

/// Lloyd's iteration as it is written in textbooks.
fn naive(x: &[f64], d: usize, mut centers: Vec<f64>, n_iter: usize) -> (Vec<f64>, Vec<u32>) {
    let nearest = |row: &[f64], centers: &[f64]| {
        let square = |c: &[f64]| row.iter().zip(c).map(|(x, c)| (x - c) * (x - c)).sum::<f64>();
        let squares = Vec::from_iter(centers.chunks(d).map(square));
        (0..squares.len()).fold(0, |best, c| if squares[c] < squares[best] { c } else { best })
    };
    let labels = |centers: &[f64]| Vec::from_iter(x.chunks(d).map(|row| nearest(row, centers)));
    for _ in 0..n_iter {
        let (labels, k) = (labels(&centers), centers.len() / d);
        for c in 0..k {
            let members =
                Vec::from_iter(x.chunks(d).zip(&labels).filter(|(_, label)| **label == c).map(|(row, _)| row));
            assert!(!members.is_empty());
            for j in 0..d {
                centers[c * d + j] = members.iter().map(|row| row[j]).sum::<f64>() / members.len() as f64;
            }
        }
    }
    let labels = labels(&centers).into_iter().map(|c| c as u32).collect();
    (centers, labels)
}

fn check<T: Pixel + Into<f64>>(of: impl Fn(u32) -> T) {
    for (n, d, k) in [(200, 3, 4), (301, 33, 2), (150, 500, 3), (400, 9, 37)] {
        let x = Vec::from_iter(
            noise(n * d).into_iter().enumerate().map(|(i, x)| of(x % 60 + (i / d % k * 25) as u32 % 90)),
        );
        let exact = Vec::from_iter(x.iter().map(|&x| x.into()));
        let start = Vec::from_iter(exact[..k * d].iter().zip(noise(k * d)).map(|(x, e)| x + f64::from(e) * 1e-10));
        for n_iter in [1, 2, 5, 13] {
            let (centers, labels) = naive(&exact, d, start.clone(), n_iter);
            let rows = Rows::from_slice(&x, n, d);
            let fit = kmeans(rows, &start, None, &parameters(n_iter, Metric::Euclidean), &Control::new()).unwrap();
            if fit.n_iter == n_iter {
                assert_eq!(fit.labels, labels);
                assert!(fit.centers.iter().zip(&centers).all(|(a, b)| (a - b).abs() < 1e-10 * (1.0 + b.abs())));
            }
        }
    }
}

#[test]
fn every_iteration_is_that_of_brute_force() {
    check(|x| x as u8);
    check(|x| x as u16);
    check(|x| x + 3_000_000_000);
    check(|x| x as i16 - 80);
    check(|x| x as i32 - 80);
    check(|x| x as f32 / 7.0);
    check(|x| f64::from(x) / 7.0);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let (n, d, k) = (30_000, 40, 5);
    let x = Vec::from_iter(noise(n * d).into_iter().map(|x| (x >> 8) as f32));
    let start = Vec::from_iter(x[..k * d].iter().map(|&x| f64::from(x)));
    let mut observed = Vec::new();
    for threads in [1, 2, 3] {
        let former = pool::set_num_threads_here(threads);
        let rows = Rows::from_slice(&x, n, d);
        let fit = kmeans(rows, &start, None, &parameters(12, Metric::Cosine), &Control::new()).unwrap();
        pool::set_num_threads_here(former);
        observed.push((fit.centers, fit.labels, fit.inertia.to_bits()));
    }
    assert!(observed[0] == observed[1] && observed[1] == observed[2]);
}

#[test]
fn seeds_are_different_rows_while_there_are_any() {
    let x = Vec::from_iter((0..200).map(|i| (i / 10) as u8)); // 20 different rows of 1 feature
    let draws = Vec::from_iter(noise(1 + 19 * 4).into_iter().map(|x| f64::from(x) / 2f64.powi(32)));
    let rows = Rows::from_slice(&x, 200, 1);
    let mut values = Vec::from_iter(
        seeds(rows, 20, Metric::Euclidean, None, &draws, &Control::new()).unwrap().into_iter().map(|i| x[i]),
    );
    values.sort_unstable();
    assert_eq!(values, Vec::from_iter(0..20));
}

#[test]
fn rows_that_are_not_read_are_where_brute_force_puts_them() {
    // Enough rows for bases, which are used up and used again.
    let (n, d, k) = (1300, 200, 3);
    let x = Vec::from_iter(noise(n * d).into_iter().map(|x| (x >> 8) as f32 / 1e6));
    let start = Vec::from_iter(x[..k * d].iter().map(|&x| f64::from(x)));
    assert!(bases::Bases::<f32>::new(n, 4 * d, k, d).is_some());
    for n_iter in [2, 9, 17, 30] {
        let rows = Rows::from_slice(&x, n, d);
        let fit = kmeans(rows, &start, None, &parameters(n_iter, Metric::Euclidean), &Control::new()).unwrap();
        let exact = exact::distances(rows, &fit.centers, Metric::Euclidean, &Control::new()).unwrap();
        let mut inertia = 0.0;
        for (label, row) in fit.labels.iter().zip(exact.chunks(k)) {
            let best = (0..k).fold(0, |best, c| if row[c] < row[best] { c } else { best });
            assert_eq!(*label as usize, best);
            inertia += row[best] * row[best];
        }
        assert!((fit.inertia / inertia - 1.0).abs() < 1e-12, "{} and {inertia}", fit.inertia);
    }
}

#[test]
fn labels_are_right_whatever_the_centres_do_and_for_however_long() {
    // Longer than bases last, so that the rows of each are read again when another takes its place.
    let (n, d, k) = (1300, 200, 3);
    let random = Vec::from_iter(noise(n * d + 40 * k * d).into_iter().map(|x| f64::from(x) / f64::from(u32::MAX)));
    let x = Vec::from_iter((0..n * d).map(|at| (random[at] + 0.4 * f64::from((at / d % k == at % k) as u8)) as f32));
    let rows = Rows::from_slice(&x, n, d);
    let x = WeightedRows::new(rows, Metric::Euclidean, None, &Control::new()).unwrap();
    let (origin, mut assignment) = (vec![0.5; d], Assignment::new(&x, k).unwrap());
    for step in 0..40 {
        let place =
            |at: usize| 0.5 + 0.4 * f64::from((at / d == at % k) as u8) + 0.2 * random[n * d + step * k * d + at];
        let centers = Centers::around(&x, &origin, (0..k * d).map(place).collect());
        assignment.assign(&x, &centers, None, &Control::new()).unwrap();
        let exact = exact::distances(rows, &centers.values, Metric::Euclidean, &Control::new()).unwrap();
        for (i, row) in exact.chunks(k).enumerate() {
            let best = (0..k).fold(0, |best, c| if row[c] < row[best] { c } else { best });
            assert_eq!(assignment.label(i) as usize, best, "row {i} in step {step}");
        }
    }
}

#[test]
fn rows_without_features_are_refused_by_every_function() {
    let (rows, control) = (Rows::from_slice(&[] as &[u8], 3, 0), Control::new());
    let refused = |error: Error| assert!(error.to_string().contains("without features"), "{error}");
    for metric in [Metric::Euclidean, Metric::Cosine] {
        refused(seeds(rows, 2, metric, None, &vec![0.5; draws(2)], &control).unwrap_err());
    }
}
