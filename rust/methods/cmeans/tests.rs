//! Against the textbook in f64, on every instruction set.

use super::*;
use ndarray::{Array2, ArrayView2};

/// Two overlapping groups of different shapes.
fn rows(n: usize, d: usize) -> Array2<f64> {
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 24) - 0.5
    };
    Array2::from_shape_fn((n, d), |(i, j)| {
        let group = (i % 2) as f64;
        2.0 * group + (next() + next()) * (1.0 + group * j as f64)
    })
}

fn textbook(x: ArrayView2<'_, f64>, centers: &[f64], m: f64) -> (Vec<f64>, Vec<f64>, f64) {
    let (d, k) = (x.ncols(), centers.len() / x.ncols());
    let (mut u, mut sums, mut mass, mut objective) = (Vec::new(), vec![0.0; k * d], vec![0.0; k], 0.0);
    for row in x.rows() {
        let square = |c: usize| (0..d).map(|j| (row[j] - centers[c * d + j]).powi(2)).sum::<f64>();
        let parts = Vec::from_iter((0..k).map(|c| square(c).powf(-1.0 / (m - 1.0))));
        for c in 0..k {
            let share = parts[c] / parts.iter().sum::<f64>();
            let weight = share.powf(m);
            u.push(share);
            mass[c] += weight;
            objective += weight * square(c);
            (0..d).for_each(|j| sums[c * d + j] += weight * row[j]);
        }
    }
    (u, (0..k * d).map(|at| sums[at] / mass[at / d]).collect(), objective)
}

#[test]
fn iterations_are_those_of_the_textbook() {
    for (n, d, m) in [(70, 3, 2.0), (1100, 10, 2.0), (1100, 2, 1.4), (333, 17, 3.0)] {
        let x = rows(n, d);
        let start = Vec::from_iter(x.iter().take(3 * d).map(|x| x + 0.1));
        let (first, centers, objective) = textbook(x.view(), &start, m);
        let (second, _, next) = textbook(x.view(), &centers, m);
        let narrow = x.mapv(|x| x as f32);
        let options = |max_iter| Options { m, max_iter, tol: 0.0, covariances: None };
        for (max_iter, expected, last) in [(1, first, objective), (2, second, next)] {
            let options = options(max_iter);
            let wide = cmeans(Rows::new(x.view()), 3, Start::Centers(&start), None, &options, &Control::new()).unwrap();
            let observed =
                cmeans(Rows::new(narrow.view()), 3, Start::Centers(&start), None, &options, &Control::new()).unwrap();
            assert!((wide.objective[max_iter - 1] / last - 1.0).abs() < 1e-12);
            assert!((observed.objective[max_iter - 1] / last - 1.0).abs() < 1e-5);
            let (mut exact, mut near) = (vec![0.0; 3 * n], vec![0.0; 3 * n]);
            memberships(Rows::new(x.view()), &wide.centers, None, m, &mut exact, &Control::new()).unwrap();
            memberships(Rows::new(narrow.view()), &observed.centers, None, m, &mut near, &Control::new()).unwrap();
            for (at, &u) in expected.iter().enumerate() {
                assert!((exact[at] - u).abs() < 1e-11);
                assert!((f64::from(near[at]) - u).abs() < 1e-4);
            }
        }
    }
}

#[test]
fn a_weight_is_how_often_a_row_is_there() {
    for (n, d, m, gamma) in
        [(70, 3, 2.0, None), (1100, 5, 1.4, None), (333, 4, 2.0, Some(0.0)), (333, 2, 3.0, Some(0.1))]
    {
        let x = rows(n, d);
        let weights = Vec::from_iter((0..n).map(|i| [2.0, 0.0, 1.0, 3.0, 1.0][i % 5]));
        let often = Vec::from_iter((0..n).flat_map(|i| vec![i; weights[i] as usize]));
        let long = x.select(ndarray::Axis(0), &often);
        let covariances = gamma.map(|gamma| Covariances { rho: vec![1.0; 2], gamma, beta: 1e15 });
        let options = Options { m, max_iter: 6, tol: 0.0, covariances };
        let start = Vec::from_iter(x.iter().take(2 * d).map(|x| x + 0.1));
        let start = Start::Centers(&start);
        let fit = |x: ArrayView2<'_, f64>, weights| {
            cmeans(Rows::new(x), 2, start, weights, &options, &Control::new()).unwrap()
        };
        let (short, long) = (fit(x.view(), Some(&weights)), fit(long.view(), None));
        let pairs = |a: &[f64], b: &[f64]| Vec::from_iter(a.iter().copied().zip(b.iter().copied()));
        for (a, b) in [
            pairs(&short.centers, &long.centers),
            pairs(&short.covariances, &long.covariances),
            pairs(&short.objective, &long.objective),
        ]
        .concat()
        {
            assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{n} {d}: {a} {b}");
        }
    }
}

#[test]
fn known_covariances_are_enough_to_find_the_memberships_again() {
    let x = rows(900, 6);
    let rho = [1.0, 2.0, 0.5];
    let covariances = Some(Covariances { rho: rho.to_vec(), gamma: 0.0, beta: 1e15 });
    let options = Options { m: 2.0, max_iter: 5, tol: 0.0, covariances };
    let start = Vec::from_iter(x.iter().copied().take(18));
    let observed = cmeans(Rows::new(x.view()), 3, Start::Centers(&start), None, &options, &Control::new()).unwrap();
    assert!(observed.objective.windows(2).all(|pair| pair[1] <= pair[0] * (1.0 + 1e-13)));
    let mut u = vec![0.0; 900 * 3];
    let covariances = Some((&observed.covariances[..], &rho[..]));
    memberships(Rows::new(x.view()), &observed.centers, covariances, 2.0, &mut u, &Control::new()).unwrap();
    // An iteration from these is the sixth.
    let fit = |start, max_iter| {
        cmeans(Rows::new(x.view()), 3, start, None, &Options { max_iter, ..options.clone() }, &Control::new()).unwrap()
    };
    let (again, longer) = (fit(Start::Memberships(&u), 1), fit(Start::Centers(&start), 6));
    assert!((again.objective[0] / longer.objective[5] - 1.0).abs() < 1e-12);
    assert!(u.chunks(3).all(|u| (u.iter().sum::<f64>() - 1.0).abs() < 1e-12));
}

#[test]
fn what_cannot_be_clustered_is_refused_by_name() {
    let x = rows(600, 513);
    let start = vec![0.0; 2 * 513];
    let covariances = Some(Covariances { rho: vec![1.0; 2], gamma: 0.0, beta: 1e15 });
    for (m, covariances, named) in [(1.0, None, "m"), (f64::NAN, None, "m"), (2.0, covariances, "X")] {
        let options = Options { m, max_iter: 5, tol: 0.0, covariances };
        let refused = cmeans(Rows::new(x.view()), 2, Start::Centers(&start), None, &options, &Control::new());
        assert!(matches!(refused.unwrap_err(), Error::Invalid { argument, .. } if argument == named));
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused_by_name() {
    let (x, control) = (rows(50, 4), Control::new());
    let data = Rows::new(x.view());
    let options = |rho: Option<usize>| Options {
        m: 2.0,
        max_iter: 2,
        tol: 0.0,
        covariances: rho.map(|k| Covariances { rho: vec![1.0; k], gamma: 0.0, beta: 1e15 }),
    };
    let refused = |start: Start<'_, f64>, rho| cmeans(data, 3, start, None, &options(rho), &control).unwrap_err();
    for (error, named) in [
        (refused(Start::Centers(&[0.0; 9]), None), "centers"),
        (refused(Start::Memberships(&[0.3; 60]), None), "memberships"),
        (refused(Start::Memberships(&[0.3; 210]), None), "memberships"),
        (refused(Start::Centers(&[0.0; 12]), Some(1)), "rho"),
        (refused(Start::Centers(&[0.0; 12]), Some(4)), "rho"),
    ] {
        assert!(matches!(error, Error::Invalid { argument, .. } if argument == named), "{error}");
    }
    for weights in [&[1.0; 49][..], &[-1.0; 50], &[f64::NAN; 50]] {
        let refused = cmeans(data, 3, Start::Centers(&[0.0; 12]), Some(weights), &options(None), &control);
        assert!(matches!(refused.unwrap_err(), Error::Invalid { argument: "weights", .. }));
    }
    let empty = Array2::<f64>::zeros((0, 4));
    cmeans(Rows::new(empty.view()), 1, Start::Centers(&[0.0; 4]), None, &options(None), &control).unwrap_err();
    let matrices = |k: usize, rho: usize| (vec![1.0; k * 16], vec![1.0; rho]);
    for (centers, shapes, u) in [
        (0, None, 150),
        (7, None, 150),
        (12, None, 100),
        (12, Some(matrices(2, 3)), 150),
        (12, Some(matrices(3, 1)), 150),
    ] {
        let shapes = shapes.as_ref().map(|(covariances, rho)| (&covariances[..], &rho[..]));
        memberships(data, &vec![0.0; centers], shapes, 2.0, &mut vec![0.0; u], &control).unwrap_err();
    }
    labels(&[0.5f32; 4], 0, &control).unwrap_err();
    labels(&[0.5f32; 4], 3, &control).unwrap_err();
}
