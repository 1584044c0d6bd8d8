//! Package decimal 1.4: exact sums and products, quotients to 16 places.

use num_bigint::{BigInt, Sign};

/// A number of `digits * 10^exponent`.
#[derive(Debug, Clone)]
pub(super) struct Decimal {
    digits: BigInt,
    exponent: i64,
}

/// Places after the point of a quotient.
const PRECISION: i64 = 16;

impl Decimal {
    /// `NewFromFloat`: the shortest decimal that reads back as the same float.
    ///
    /// # Errors
    /// What Go panics with for infinity and not-a-number.
    pub(super) fn from_float(float: f64) -> Result<Self, String> {
        if !float.is_finite() {
            let name = match (float.is_nan(), float > 0.0) {
                (true, _) => "NaN",
                (_, true) => "+Inf",
                _ => "-Inf",
            };
            return Err(format!("Cannot create a Decimal from {name}"));
        }
        let text = format!("{float:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let places = i64::try_from(fraction.len()).unwrap_or(0);
        Ok(Self {
            digits: digits.parse().unwrap_or_default(),
            exponent: exponent.parse::<i64>().unwrap_or(0) - places,
        })
    }

    /// `Float64`: the nearest float.
    pub(super) fn to_float(&self) -> f64 {
        format!("{}e{}", self.digits, self.exponent)
            .parse()
            .unwrap_or(0.0)
    }

    pub(super) fn add(&self, other: &Self) -> Self {
        let (a, b, exponent) = self.with_common_exponent(other);
        Self {
            digits: a + b,
            exponent,
        }
    }

    pub(super) fn sub(&self, other: &Self) -> Self {
        let (a, b, exponent) = self.with_common_exponent(other);
        Self {
            digits: a - b,
            exponent,
        }
    }

    pub(super) fn mul(&self, other: &Self) -> Self {
        Self {
            digits: &self.digits * &other.digits,
            exponent: self.exponent + other.exponent,
        }
    }

    /// Rounds half away from zero. None for a division by zero.
    pub(super) fn div(&self, other: &Self) -> Option<Self> {
        if other.digits.sign() == Sign::NoSign {
            return None;
        }
        let shift = self.exponent - other.exponent + PRECISION;
        let (mut dividend, mut divisor) = (self.digits.clone(), other.digits.clone());
        if shift >= 0 {
            dividend *= power_of_ten(shift);
        } else {
            divisor *= power_of_ten(-shift);
        }
        let mut quotient = &dividend / &divisor;
        let remainder = dividend.magnitude() - (quotient.magnitude() * divisor.magnitude());
        if remainder * 2_u32 >= *divisor.magnitude() {
            let negative = (dividend.sign() == Sign::Minus) != (divisor.sign() == Sign::Minus);
            quotient += if negative { -1 } else { 1 };
        }
        Some(Self {
            digits: quotient,
            exponent: -PRECISION,
        })
    }

    /// How many digits it has, about.
    pub(super) fn size(&self) -> usize {
        usize::try_from(self.digits.bits() / 3).unwrap_or(usize::MAX)
    }

    fn with_common_exponent(&self, other: &Self) -> (BigInt, BigInt, i64) {
        let exponent = self.exponent.min(other.exponent);
        (
            &self.digits * power_of_ten(self.exponent - exponent),
            &other.digits * power_of_ten(other.exponent - exponent),
            exponent,
        )
    }
}

/// Exponents of floats are between -350 and 310, and those of products of a few of them are not much
/// larger, so that this stays small.
fn power_of_ten(exponent: i64) -> BigInt {
    BigInt::from(10).pow(u32::try_from(exponent).unwrap_or(0))
}
