//! x^p, and without branches, so that a loop over lanes becomes one over registers: 2^(p log₂ x).
//!
//! log₂ as in [`logarithm`](crate::engine::logarithm): x = 2^k z with z between √½ and √2; 2^t = 2^i 2^r with i the nearest whole
//! number. The error grows with |p log₂ x|, as that of any such product does: it is small where the power is not.

use crate::engine::logarithm::polynomial;
use crate::engine::simd::Real;

/// A number that can be raised to a power.
pub trait Power: Real {
    /// x^p for x >= 0: within (4 + |p log₂ x|) units in the last place while above the smallest normal number, at
    /// which smaller results end.
    fn power(self, p: Self) -> Self;
}

impl Power for f32 {
    #[inline(always)]
    fn power(self, p: f32) -> f32 {
        const HALF_ROOT: u32 = 0x3f35_04f3; // √½
        const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³: adding it rounds to a whole number in the low bits
        let bits = self.max(f32::MIN_POSITIVE).to_bits() + (1.0f32.to_bits() - HALF_ROOT);
        let k = (bits >> 23) as i32 - 127;
        let f = f32::from_bits((bits & 0x007f_ffff) + HALF_ROOT) - 1.0;
        let ln = f - f * f * (0.5 - polynomial(f) * f);
        let t = (p * (k as f32 + ln * std::f32::consts::LOG2_E)).clamp(-126.0, 127.0);
        let shifted = t + ROUND;
        let r = t - (shifted - ROUND);
        // 2^r, that of `exp2f` in Cephes.
        let mut e = 1.535_336_2e-4;
        for c in [1.339_887_5e-3, 9.618_437e-3, 5.550_332_5e-2, 2.402_264_8e-1, std::f32::consts::LN_2, 1.0] {
            e = e * r + c;
        }
        e * f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()))
    }
}

const INVERSE_FACTORIALS: [f64; 15] = {
    let mut inverse = [1.0; 15];
    let mut n = 1;
    while n < 15 {
        inverse[n] = inverse[n - 1] / n as f64;
        n += 1;
    }
    inverse
};

impl Power for f64 {
    #[inline(always)]
    fn power(self, p: f64) -> f64 {
        const HALF_ROOT: u64 = 0x3fe6_a09e_667f_3bcd; // √½
        const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5 · 2⁵²
        let bits = self.max(f64::MIN_POSITIVE).to_bits() + (1.0f64.to_bits() - HALF_ROOT);
        // Whole numbers below 2⁵² as floats without a conversion, which AVX2 does not have.
        let k = f64::from_bits((bits >> 52) | ROUND.to_bits()) - ROUND - 1023.0;
        let f = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + HALF_ROOT) - 1.0;
        // ln(1 + f) = 2 artanh s.
        let s = f / (2.0 + f);
        let square = s * s;
        let mut q = 1.0 / 23.0;
        for odd in [21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
            q = q * square + 1.0 / odd;
        }
        let ln = 2.0 * s + 2.0 * s * square * q;
        let t = (p * (k + ln * std::f64::consts::LOG2_E)).clamp(-1022.0, 1023.0);
        let shifted = t + ROUND;
        let r = (t - (shifted - ROUND)) * std::f64::consts::LN_2;
        let mut e = INVERSE_FACTORIALS[14];
        for c in INVERSE_FACTORIALS[..14].iter().rev() {
            e = e * r + c;
        }
        e * f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0f64.to_bits()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_right_to_a_few_units_in_the_last_place() {
        for p in [0.02, 0.5, 1.0, 2.0, 3.7, 50.0] {
            for i in 0..40_000 {
                let x = (-20.0 + f64::from(i) * 5.4e-4f64).exp2();
                let exact = x.powf(p);
                let digits = 4.0 + (p * x.log2()).abs();
                let wide = x.power(p);
                assert!((wide - exact).abs() <= digits * 2.3e-16 * exact + 3e-308, "{x}^{p}: {wide} and {exact}");
                let narrow = (x as f32).power(p as f32);
                let exact = f64::from(x as f32).powf(f64::from(p as f32));
                assert!((f64::from(narrow) - exact).abs() <= digits * 1.2e-7 * exact + 2e-38, "{x}^{p}: {narrow}");
            }
        }
        assert!(0.0f32.power(3.0) < 1e-30 && 0.0f64.power(3.0) < 1e-300);
    }
}
