//! Transforms of 2, 3, 4, 5, 7 and 8 complex values in registers: the factors of [`crate::methods::fft`].

use crate::engine::simd::Simd;
use rustfft::num_complex::Complex;
use std::f32::consts::FRAC_1_SQRT_2;

/// Real and imaginary parts of some columns.
pub type Z<S> = [<S as Simd>::f32s; 2];

/// `z` in every lane.
#[inline(always)]
pub fn splat<S: Simd>(simd: S, z: Complex<f32>) -> Z<S> {
    [simd.splat_f32s(z.re), simd.splat_f32s(z.im)]
}

#[inline(always)]
fn add<S: Simd>(simd: S, a: Z<S>, b: Z<S>) -> Z<S> {
    [simd.add_f32s(a[0], b[0]), simd.add_f32s(a[1], b[1])]
}

#[inline(always)]
fn sub<S: Simd>(simd: S, a: Z<S>, b: Z<S>) -> Z<S> {
    [simd.sub_f32s(a[0], b[0]), simd.sub_f32s(a[1], b[1])]
}

/// a + i b
#[inline(always)]
fn add_i<S: Simd>(simd: S, a: Z<S>, b: Z<S>) -> Z<S> {
    [simd.sub_f32s(a[0], b[1]), simd.add_f32s(a[1], b[0])]
}

/// a - i b
#[inline(always)]
fn sub_i<S: Simd>(simd: S, a: Z<S>, b: Z<S>) -> Z<S> {
    [simd.add_f32s(a[0], b[1]), simd.sub_f32s(a[1], b[0])]
}

/// a w
#[inline(always)]
pub fn rotate<S: Simd>(simd: S, a: Z<S>, w: Z<S>) -> Z<S> {
    [
        simd.mul_add_e_f32s(a[0], w[0], simd.neg_f32s(simd.mul_f32s(a[1], w[1]))),
        simd.mul_add_e_f32s(a[0], w[1], simd.mul_f32s(a[1], w[0])),
    ]
}

/// The transform of R values in place, `roots` being exp(-2πi k / R).
#[inline(always)]
pub fn butterfly<S: Simd, const R: usize>(simd: S, x: &mut [Z<S>; R], roots: &[Complex<f32>]) {
    match R {
        2 => (x[0], x[1]) = (add(simd, x[0], x[1]), sub(simd, x[0], x[1])),
        4 => {
            let y = butterfly4(simd, [x[0], x[1], x[2], x[3]]);
            x[..4].copy_from_slice(&y);
        }
        8 => {
            let even = butterfly4(simd, [x[0], x[2], x[4], x[6]]);
            let odd = butterfly4(simd, [x[1], x[3], x[5], x[7]]);
            let c = simd.splat_f32s(FRAC_1_SQRT_2);
            let scale = |z: Z<S>| [simd.mul_f32s(z[0], c), simd.mul_f32s(z[1], c)];
            // exp(-2πi/8) = (1 - i)/√2 and exp(-6πi/8) = -i (1 - i)/√2.
            let one = scale(sub_i(simd, odd[1], odd[1]));
            let three = scale(sub_i(simd, odd[3], odd[3]));
            (x[0], x[4]) = (add(simd, even[0], odd[0]), sub(simd, even[0], odd[0]));
            (x[1], x[5]) = (add(simd, even[1], one), sub(simd, even[1], one));
            (x[2], x[6]) = (sub_i(simd, even[2], odd[2]), add_i(simd, even[2], odd[2]));
            (x[3], x[7]) = (sub_i(simd, even[3], three), add_i(simd, even[3], three));
        }
        _ => {
            // x(k) and x(R - k) share their sums over pairs j, R - j.
            let from = *x;
            for j in 1..=R / 2 {
                x[0] = add(simd, x[0], add(simd, from[j], from[R - j]));
            }
            for k in 1..=R / 2 {
                let mut sum = from[0];
                let mut difference = [simd.splat_f32s(0.0); 2];
                for j in 1..=R / 2 {
                    let [cos, sin] = splat(simd, roots[j * k % R]);
                    let (a, b) = (add(simd, from[j], from[R - j]), sub(simd, from[j], from[R - j]));
                    sum = [simd.mul_add_e_f32s(a[0], cos, sum[0]), simd.mul_add_e_f32s(a[1], cos, sum[1])];
                    difference =
                        [simd.mul_add_e_f32s(b[0], sin, difference[0]), simd.mul_add_e_f32s(b[1], sin, difference[1])];
                }
                (x[k], x[R - k]) = (add_i(simd, sum, difference), sub_i(simd, sum, difference));
            }
        }
    }
}

#[inline(always)]
fn butterfly4<S: Simd>(simd: S, x: [Z<S>; 4]) -> [Z<S>; 4] {
    let (a, b) = (add(simd, x[0], x[2]), sub(simd, x[0], x[2]));
    let (c, d) = (add(simd, x[1], x[3]), sub(simd, x[1], x[3]));
    [add(simd, a, c), sub_i(simd, b, d), sub(simd, a, c), add_i(simd, b, d)]
}
