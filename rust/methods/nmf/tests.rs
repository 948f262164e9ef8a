use super::*;
use crate::Error;
use least_squares::NonNegative;

/// Repeatable numbers in [0, 1).
fn numbers(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    }
}

fn product(w: &[f64], h: &[f64], k: usize) -> Vec<f64> {
    let d = h.len() / k;
    let entry = |w: &[f64], j| w.iter().enumerate().map(|(t, w)| w * h[t * d + j]).sum();
    w.chunks(k).flat_map(|w| (0..d).map(move |j| (w, j))).map(|(w, j)| entry(w, j)).collect()
}

fn parameters(solver: Solver, loss: Loss) -> Parameters {
    let none = Penalty::default();
    Parameters { solver, loss, inner_sweeps: 1, max_iter: 12, tol: 0.0, on_w: none, on_h: none, fixed: 0 }
}

/// One plain iteration of each method, W then H, on small dense matrices.
fn plain(x: &[f64], w: &mut [f64], h: &mut [f64], k: usize, p: Parameters) {
    let d = h.len() / k;
    let n = w.len() / k;
    for side in (0..2 * p.inner_sweeps).map(|i| i / p.inner_sweeps) {
        let model = product(w, h, k);
        for t in side * p.fixed..k {
            let count = if side == 0 { n } else { d };
            for i in 0..count {
                let live = product(w, h, k);
                let from = if p.solver == Solver::Hals { &live } else { &model };
                let (mut above, mut below, mut own) = (0.0, 0.0, 0.0);
                for j in 0..if side == 0 { d } else { n } {
                    let (at, other) = if side == 0 { (i * d + j, h[t * d + j]) } else { (j * d + i, w[j * k + t]) };
                    match p.loss {
                        Loss::Frobenius => {
                            above += x[at] * other;
                            below += from[at] * other;
                        }
                        Loss::KullbackLeibler => {
                            above += x[at] / from[at] * other;
                            below += other;
                        }
                    }
                    own += other * other;
                }
                let value = if side == 0 { &mut w[i * k + t] } else { &mut h[t * d + i] };
                *value = match p.solver {
                    Solver::Hals => (*value - (below - above) / own).max(0.0),
                    Solver::Mu => *value * above / below,
                };
            }
        }
    }
}

#[test]
fn iterates_equal_those_of_the_textbook() {
    let (n, d, k) = (37, 23, 3);
    let mut number = numbers(1);
    let x = Vec::from_iter((0..n * d).map(|_| (number() * 9.0).floor()));
    for (solver, loss, sweeps, fixed) in [
        (Solver::Hals, Loss::Frobenius, 1, 0),
        (Solver::Hals, Loss::Frobenius, 3, 2),
        (Solver::Mu, Loss::Frobenius, 1, 1),
        (Solver::Mu, Loss::Frobenius, 2, 0),
        (Solver::Mu, Loss::KullbackLeibler, 1, 0),
        (Solver::Mu, Loss::KullbackLeibler, 1, 2),
        (Solver::Hals, Loss::Frobenius, 1, 3),
        (Solver::Mu, Loss::KullbackLeibler, 1, 3),
    ] {
        let p = Parameters { inner_sweeps: sweeps, fixed, ..parameters(solver, loss) };
        let mut w = Vec::from_iter((0..n * k).map(|_| number()));
        let mut h = Vec::from_iter((0..k * d).map(|_| number()));
        let (mut plain_w, mut plain_h) = (w.clone(), h.clone());
        for _ in 0..p.max_iter {
            plain(&x, &mut plain_w, &mut plain_h, k, p);
        }
        let given = h[..fixed * d].to_vec();
        nmf(Rows::from_slice(&x, n, d), &mut w, &mut h, None, p, &Control::new()).unwrap();
        assert_eq!(h[..fixed * d], given);
        let expected = product(&plain_w, &plain_h, k);
        for (a, b) in product(&w, &h, k).iter().zip(&expected) {
            assert!((a - b).abs() < 1e-9, "{solver:?} {loss:?} {sweeps}: {a} {b}");
        }
    }
}

#[test]
fn the_loss_of_a_fit_is_that_of_its_factors() {
    let mut next = numbers(8);
    for (n, d, k) in [(40, 32, 2), (70, 131, 5), (9, 45, 3)] {
        let x = Vec::from_iter((0..n * d).map(|_| (next() * 200.0) as u8));
        let weights = Vec::from_iter((0..d).map(|_| next() + 0.5));
        for (solver, weights) in [(Solver::Hals, None), (Solver::Mu, None), (Solver::Hals, Some(&weights[..]))] {
            let mut w = Vec::from_iter((0..n * k).map(|_| next() as f32 * 10.0));
            let mut h = Vec::from_iter((0..k * d).map(|_| next() * 10.0));
            let (rows, control) = (Rows::from_slice(&x, n, d), Control::new());
            let fit = nmf(rows, &mut w, &mut h, weights, parameters(solver, Loss::Frobenius), &control).unwrap();
            let direct = loss(rows, &w, &h, weights, Loss::Frobenius, None, &control).unwrap();
            assert!((fit.loss - direct).abs() < 1e-5 * direct, "{n} {d} {k}: {} {direct}", fit.loss);
        }
    }
}

#[test]
fn non_negative_least_squares_meets_its_conditions_even_for_a_singular_matrix() {
    let mut number = numbers(7);
    for k in [1, 2, 5, 9] {
        for dependent in [false, true] {
            let d = 12;
            let mut h = Vec::from_iter((0..k * d).map(|_| number() - 0.3));
            if dependent && k > 2 {
                (0..d).for_each(|j| h[j] = 2.0 * h[d + j] + h[2 * d + j]);
            }
            let gram = update::gram(&h, k);
            let mut solver = NonNegative::new(&gram, k);
            for _ in 0..200 {
                let x = Vec::from_iter((0..d).map(|_| number() - 0.5));
                for t in 0..k {
                    solver.b[t] = h[t * d..][..d].iter().zip(&x).map(|(h, x)| h * x).sum();
                }
                let b = solver.b.clone();
                let w = solver.solve();
                for t in 0..k {
                    let slope = (0..k).map(|s| gram[t * k + s] * w[s]).sum::<f64>() - b[t];
                    assert!(w[t] >= 0.0 && slope > -1e-9 && (w[t] * slope).abs() < 1e-9, "{w:?} {slope}");
                }
            }
        }
    }
}

#[test]
fn maps_of_counts_are_where_plain_updates_end_at_last() {
    let (n, d, k) = (40, 35, 4);
    let mut number = numbers(11);
    let h = Vec::from_iter((0..k * d).map(|_| number() + 0.02));
    let weights = Vec::from_iter((0..d).map(|_| number() + 0.5));
    // From a row without counts to one with thousands.
    let x = Vec::from_iter((0..n * d).map(|i| (number() * number() * (i / d * i / d / 8) as f64).floor()));
    let mut w = vec![0.0; n * k];
    let (rows, none) = (Rows::from_slice(&x, n, d), Penalty::default());
    likelihood(rows, &h, Some(&weights), none, 50, 1e-4, &mut w, &Control::new()).unwrap();
    for (x, w) in x.chunks(d).zip(w.chunks(k)) {
        let mut plain = vec![x.iter().sum::<f64>() / d as f64; k];
        for _ in 0..20_000 {
            let model = product(&plain, &h, k);
            for (t, w) in plain.iter_mut().enumerate() {
                let row = h[t * d..][..d].iter().zip(&weights).map(|(h, weight)| h * weight);
                let above: f64 = row.clone().zip(x).zip(&model).map(|((h, x), wh)| h * x / wh.max(1e-300)).sum();
                *w *= above / row.sum::<f64>();
            }
        }
        let size: f64 = plain.iter().sum();
        assert!(w.iter().zip(&plain).all(|(a, b)| (a - b).abs() <= 1e-6 * size), "{w:?} {plain:?}");
    }
}

#[test]
fn maps_of_counts_of_any_magnitude_end_and_are_multiples_of_each_other() {
    let (d, k) = (12, 3);
    let mut number = numbers(5);
    let h = Vec::from_iter((0..k * d).map(|_| number() + 0.02));
    let counts = Vec::from_iter((0..d).map(|_| (9.0 * number()).floor()));
    let none = Penalty::default();
    let map = |exponent: i32| {
        let x = Vec::from_iter(counts.iter().map(|x| x * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2)));
        let mut w = vec![0.0; k];
        likelihood(Rows::from_slice(&x, 1, d), &h, None, none, 50, 1e-6, &mut w, &Control::new()).unwrap();
        w
    };
    let expected = map(0);
    let size: f64 = expected.iter().sum();
    for exponent in [-1074, -1040, -600, 600, 1000] {
        // Of the smallest numbers there is no part.
        let unit = 2f64.powi(-exponent / 2);
        for (w, expected) in map(exponent).iter().zip(&expected) {
            let scaled = w * unit * 2f64.powi(-exponent - -exponent / 2);
            assert!(
                (scaled - expected).abs() <= 1e-4 * size + 1.0 * f64::from(exponent < -1000),
                "{scaled} {expected}"
            );
        }
    }
}

#[test]
fn pure_rows_are_found_among_mixtures() {
    let (n, d, k) = (50, 20, 4);
    let mut number = numbers(3);
    let h = Vec::from_iter((0..k * d).map(|_| number()));
    let mut w = Vec::from_iter((0..n * k).map(|_| 0.1 + number()));
    let pure = [8, 21, 30, 44];
    for (t, &i) in pure.iter().enumerate() {
        (0..k).for_each(|s| w[i * k + s] = if s == t { 3.0 } else { 0.0 });
    }
    let x = product(&w, &h, k);
    let mut observed = pure_rows(Rows::from_slice(&x, n, d), k + 2, None, true, &Control::new()).unwrap();
    observed.sort();
    assert_eq!(observed, pure);
}

#[test]
fn rows_that_are_not_scaled_are_chosen_as_they_are() {
    let x = [2.0f64, 0.0, 1.0, 3.0, -5.0, 4.0, 0.0, 1.0];
    let rows = || Rows::from_slice(&x, 4, 2);
    assert_eq!(pure_rows(rows(), 1, None, false, &Control::new()).unwrap(), [2]);
    let nearest = pure_rows(rows(), 2, None, false, &Control::new()).unwrap();
    // Of the others, row 1 is farthest from the line through (-5, 4).
    assert_eq!(nearest, [2, 1]);
}

#[test]
fn canonical_factors_have_the_same_product() {
    let (n, d, k) = (9, 7, 3);
    let mut number = numbers(5);
    let mut w = Vec::from_iter((0..n * k).map(|_| number()));
    let mut h = Vec::from_iter((0..k * d).map(|_| number()));
    let before = product(&w, &h, k);
    canonical((n, d), &mut w, &mut h, None, parameters(Solver::Hals, Loss::Frobenius), &Control::new()).unwrap();
    assert!(product(&w, &h, k).iter().zip(&before).all(|(a, b)| (a - b).abs() < 1e-12));
    assert!(h.chunks(d).all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-12));
}

/// What is given to a factorisation goes wrong one at a time, and is named.
#[test]
fn lengths_that_do_not_fit_are_named() {
    let (x, p, control) = ([1.0; 12], parameters(Solver::Hals, Loss::Frobenius), Control::new());
    let (rows, penalty) = (Rows::from_slice(&x, 3, 4), Penalty::default());
    let [w, h, long] = [vec![1.0; 6], vec![1.0; 8], vec![1.0; 9]];
    let named = |result: Result<()>| match result {
        Err(Error::Invalid { argument, .. }) => argument,
        other => panic!("{other:?}"),
    };
    for (w, h, weights, argument) in [
        (&w, &long, None, "H"),
        (&w, &vec![], None, "H"),
        (&long, &h, None, "W and H"),
        (&w, &h, Some(&long[..]), "weights"),
        (&w, &h, Some(&[1.0, 1.0, 0.0, 1.0][..]), "weights"),
    ] {
        for p in [p, parameters(Solver::Mu, Loss::KullbackLeibler)] {
            let (mut w, mut h) = (w.clone(), h.clone());
            assert_eq!(named(visit(rows, &mut w, &h, weights, p, true, 1.0, &control).map(drop)), argument);
            assert_eq!(named(loss(rows, &w, &h, weights, p.loss, None, &control).map(drop)), argument);
            assert_eq!(named(likelihood(rows, &h, weights, penalty, 9, 0.0, &mut w, &control)), argument);
            assert_eq!(named(least_squares(rows, &h, weights, penalty, &mut w, &control)), argument);
            assert_eq!(named(canonical((3, 4), &mut w, &mut h, weights, p, &control)), argument);
            assert_eq!(named(nmf(rows, &mut w, &mut h, weights, p, &control).map(drop)), argument);
        }
    }
    let mut state = vec![0.0; 6];
    assert_eq!(named(farthest(rows, &mut state[..5], None, None, true, &control).map(drop)), "state and newest");
    assert_eq!(named(farthest(rows, &mut state, Some(&[0.0]), None, true, &control).map(drop)), "state and newest");
    assert_eq!(named(pure_rows(rows, 2, Some(&long), true, &control).map(drop)), "weights");
}
