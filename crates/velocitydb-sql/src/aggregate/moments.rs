//! Variance, covariance and regression of floats, by the method of Youngs and Cramer, as PostgreSQL has
//! it: exact where values are large and close together, and the same to the last digit.

use velocitydb_types::Value;

use super::out_of_range;
use crate::error::SqlError;

/// How values lie around their average.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Whether the values are a sample of all there are.
    pub sample: bool,
    /// Whether it is the square root that is asked for.
    pub root: bool,
}

impl Spread {
    pub(super) fn named(name: &str) -> Option<Spread> {
        let (sample, root) = match name {
            "stddev" | "stddev_samp" => (true, true),
            "stddev_pop" => (false, true),
            "variance" | "var_samp" => (true, false),
            "var_pop" => (false, false),
            _ => return None,
        };
        Some(Spread { sample, root })
    }
}

/// What is asked of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pair {
    /// `corr`
    Correlation,
    /// `covar_pop`
    Covariance,
    /// `covar_samp`
    SampleCovariance,
    /// `regr_avgx`
    AverageX,
    /// `regr_avgy`
    AverageY,
    /// `regr_count`
    Count,
    /// `regr_intercept`
    Intercept,
    /// `regr_r2`
    Determination,
    /// `regr_slope`
    Slope,
    /// `regr_sxx`
    SquaresX,
    /// `regr_sxy`
    Products,
    /// `regr_syy`
    SquaresY,
}

impl Pair {
    pub(super) fn named(name: &str) -> Option<Pair> {
        Some(match name {
            "corr" => Pair::Correlation,
            "covar_pop" => Pair::Covariance,
            "covar_samp" => Pair::SampleCovariance,
            "regr_avgx" => Pair::AverageX,
            "regr_avgy" => Pair::AverageY,
            "regr_count" => Pair::Count,
            "regr_intercept" => Pair::Intercept,
            "regr_r2" => Pair::Determination,
            "regr_slope" => Pair::Slope,
            "regr_sxx" => Pair::SquaresX,
            "regr_sxy" => Pair::Products,
            "regr_syy" => Pair::SquaresY,
            _ => return None,
        })
    }
}

fn overflow() -> SqlError {
    out_of_range("value out of range: overflow")
}

/// Of floats: how many, their sum, and the sum of the squares of their distances from the average.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    pub(super) fn add(&mut self, float: f64) -> Result<(), SqlError> {
        let (count, sum) = (self.count + 1.0, self.sum + float);
        if self.count > 0.0 {
            let distance = float * count - sum;
            self.squares += distance * distance / (count * self.count);
            if sum.is_infinite() || self.squares.is_infinite() {
                if !self.sum.is_infinite() && !float.is_infinite() {
                    return Err(overflow());
                }
                self.squares = f64::NAN;
            }
        } else if !float.is_finite() {
            self.squares = f64::NAN;
        }
        (self.count, self.sum) = (count, sum);
        Ok(())
    }

    pub(super) fn finish(self, of: Spread) -> Value {
        let less = if of.sample { 1.0 } else { 0.0 };
        if self.count <= less {
            return Value::Null;
        }
        let variance = self.squares / (self.count - less);
        Value::Float(match of.root {
            true => variance.sqrt(),
            false => variance,
        })
    }
}

/// Of pairs of floats: how many, sums, and sums of the squares and products of distances from the
/// averages.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pairs {
    count: f64,
    x: f64,
    xx: f64,
    y: f64,
    yy: f64,
    xy: f64,
}

impl Pairs {
    pub(super) fn add(&mut self, y: f64, x: f64) -> Result<(), SqlError> {
        let before = *self;
        self.count += 1.0;
        self.x += x;
        self.y += y;
        if before.count > 0.0 {
            let (to_x, to_y) = (x * self.count - self.x, y * self.count - self.y);
            let scale = 1.0 / (self.count * before.count);
            self.xx += to_x * to_x * scale;
            self.yy += to_y * to_y * scale;
            self.xy += to_x * to_y * scale;
            let new = |one: f64, before: f64, new: f64| {
                one.is_infinite() && !before.is_infinite() && !new.is_infinite()
            };
            if new(self.x, before.x, x)
                || new(self.xx, before.x, x)
                || new(self.y, before.y, y)
                || new(self.yy, before.y, y)
                || (new(self.xy, before.x, x) && new(self.xy, before.y, y))
            {
                return Err(overflow());
            }
            for sum in [&mut self.xx, &mut self.yy, &mut self.xy] {
                if sum.is_infinite() {
                    *sum = f64::NAN;
                }
            }
        } else {
            if !x.is_finite() {
                (self.xx, self.xy) = (f64::NAN, f64::NAN);
            }
            if !y.is_finite() {
                (self.yy, self.xy) = (f64::NAN, f64::NAN);
            }
        }
        Ok(())
    }

    pub(super) fn finish(self, of: Pair) -> Value {
        let Pairs {
            count,
            x,
            xx,
            y,
            yy,
            xy,
        } = self;
        if of == Pair::Count {
            return Value::Int(count as i64);
        }
        let has_none = match of {
            Pair::SampleCovariance => count < 2.0,
            Pair::Correlation => count < 1.0 || xx == 0.0 || yy == 0.0,
            Pair::Determination | Pair::Slope | Pair::Intercept => count < 1.0 || xx == 0.0,
            _ => count < 1.0,
        };
        if has_none {
            return Value::Null;
        }
        Value::Float(match of {
            Pair::Correlation => xy / (xx * yy).sqrt(),
            Pair::Covariance => xy / count,
            Pair::SampleCovariance => xy / (count - 1.0),
            Pair::AverageX => x / count,
            Pair::AverageY => y / count,
            Pair::Count => count,
            Pair::Intercept => (y - x * xy / xx) / count,
            Pair::Determination if yy == 0.0 => 1.0,
            Pair::Determination => (xy * xy) / (xx * yy),
            Pair::Slope => xy / xx,
            Pair::SquaresX => xx,
            Pair::Products => xy,
            Pair::SquaresY => yy,
        })
    }
}
