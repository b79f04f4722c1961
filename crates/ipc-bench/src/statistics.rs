//! Medians, and between what a second run's will lie.

use serde::{Deserialize, Serialize};

/// A median, and the interval in which that of a second run is expected, 95 times of 100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// The upper end of what this run says of its own median, 95 times of 100: parity is held against it.
    pub(crate) upper: f64,
}

/// As it is written down. Where the interval reaches further than is allowed the median would mean nothing: it is left out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) median: Option<f64>,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Figure {
    /// Of what has no median only an interval wholly on one side says something.
    pub(crate) fn is_at_most(self, bound: f64) -> Option<bool> {
        let by_ends = if self.high <= bound { Some(true) } else { (self.low > bound).then_some(false) };
        self.median.map(|median| median <= bound).or(by_ends)
    }

    /// The same from the other side.
    pub(crate) fn is_at_least(self, bound: f64) -> Option<bool> {
        let by_ends = if self.low >= bound { Some(true) } else { (self.high < bound).then_some(false) };
        self.median.map(|median| median >= bound).or(by_ends)
    }
}

/// How far an interval may reach from its median.
pub(crate) const WIDEST: f64 = 1.15;
/// How far it reaches at least: what a program differs by from itself between two days, whatever one run says.
const NARROWEST: f64 = 1.02;
/// What changes from run to run and not from pass to pass: a host's drift takes longer than a run. Found by repeating runs.
const DRIFT: f64 = 1.25;
/// How far an interval may reach before it is worth another pass,
const WIDE: f64 = 1.08;
/// and how many passes there are where one was as far from the others as no median may be: it may have a second face.
const ENOUGH: usize = 12;
/// Of fewer passes nothing is said.
pub(crate) const FEWEST: usize = 3;
/// How often passes are drawn anew.
const DRAWS: usize = 2000;

impl Interval {
    /// How far it reaches from the median, as a factor.
    pub(crate) fn reach(self) -> f64 {
        let reach = (self.high / self.median).max(self.median / self.low);
        if self.low > 0.0 && reach.is_finite() { reach } else { f64::INFINITY }
    }

    pub(crate) fn figure(self, widest: f64) -> Figure {
        let [median, low, high] = [self.median, self.low, self.high].map(round);
        Figure { median: (self.reach() <= widest).then_some(median), low, high }
    }
}

/// Four digits say all that there is to say.
pub(crate) fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10_f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let (len, middle) = (values.len(), values.len() / 2);
    match len {
        0 => f64::NAN,
        _ if len % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// The median of each pass that has a good block.
fn values(passes: &[Vec<f64>]) -> Vec<f64> {
    let good = passes.iter().filter(|blocks| !blocks.is_empty());
    good.map(|blocks| median(&mut blocks.clone())).collect()
}

/// Whether more passes would say little more.
pub(crate) fn is_settled(passes: &[Vec<f64>]) -> bool {
    let Some(interval) = expected(passes) else { return false };
    let values = values(passes);
    let is_far = |value: &f64| Interval { low: *value, high: *value, ..interval }.reach() > WIDEST;
    interval.reach() <= WIDE && (values.len() >= ENOUGH || !values.iter().any(is_far))
}

/// Each pass counts as one value, the median of its blocks: processes, addresses and the host's mood are the same within a
/// pass, so that its blocks agree with one another more than with the next pass. The interval is the bootstrap's for the
/// median of the passes, widened by what two medians differ more than one from the truth (√2), by how little few passes
/// know of their own spread (Student), and by the drift between runs. None of fewer than three passes.
pub(crate) fn expected(passes: &[Vec<f64>]) -> Option<Interval> {
    let mut values = values(passes);
    let count = values.len();
    if count < FEWEST {
        return None;
    }
    // Always the same draws: the same values give the same interval.
    let mut random = fastrand::Rng::with_seed(7);
    let mut drawn = vec![0.0; count];
    let mut medians: Vec<f64> = (0..DRAWS)
        .map(|_| {
            drawn.fill_with(|| values[random.usize(..count)]);
            median(&mut drawn)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let at = |share: f64| medians[(share * (DRAWS - 1) as f64).round() as usize];
    let (low, middle, high) = (at(0.025), median(&mut values), at(0.975));
    let unsure = student(count - 1) / student(usize::MAX);
    let wider = |end: f64, by: f64| {
        if low > 0.0 { middle * (end / middle).powf(by) } else { middle + (end - middle) * by }
    };
    let again = unsure * std::f64::consts::SQRT_2 * DRIFT;
    let least = middle.abs() * (NARROWEST - 1.0);
    Some(Interval {
        median: middle,
        low: wider(low, again).min(middle - least),
        high: wider(high, again).max(middle + least),
        upper: wider(high, unsure),
    })
}

/// Between what Student's t lies 95 times of 100, to a hundredth, from two degrees of freedom on.
fn student(freedom: usize) -> f64 {
    let few = 1.0 / freedom as f64;
    1.96 + few * (2.4 + few * (2.8 + few * 3.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(values: &[f64]) -> Vec<Vec<f64>> {
        values.iter().map(|value| vec![value * 0.99, value * 1.01]).collect()
    }

    #[test]
    fn a_median_lies_in_its_interval() {
        let passes = passes(&[1.0, 1.1, 1.2, 1.3, 1.4, 1.5]);
        let interval = expected(&passes).unwrap();
        assert!((interval.median - 1.25).abs() < 1e-9);
        assert!(interval.median < interval.upper && interval.upper < interval.high);
        assert!(interval.low < 1.1 && interval.high > 1.4 && interval.figure(WIDEST).median.is_none());
        assert_eq!(expected(&passes), Some(interval));
    }

    #[test]
    fn without_a_median_the_ends_decide() {
        let figure = |median, low, high| Figure { median, low, high };
        assert_eq!(figure(Some(1.1), 0.9, 1.3).is_at_most(1.15), Some(true));
        assert_eq!(figure(None, 0.9, 1.3).is_at_most(1.15), None);
        assert_eq!(figure(None, 1.2, 1.9).is_at_most(1.15), Some(false));
        assert_eq!(figure(None, 1.2, 1.9).is_at_least(1.15), Some(true));
    }

    #[test]
    fn no_interval_is_narrower_than_two_hundredths() {
        let figure = expected(&passes(&[2.0; 6])).unwrap().figure(WIDEST);
        assert_eq!(figure, Figure { median: Some(2.0), low: 1.96, high: 2.04 });
    }

    #[test]
    fn a_second_face_asks_for_more_passes() {
        assert!(is_settled(&passes(&[1.0; 6])));
        assert!(!is_settled(&passes(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.3])));
        assert!(!is_settled(&passes(&[0.9, 1.0, 1.1, 1.0, 0.9, 1.1])));
        assert!(is_settled(&passes(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.3, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])));
    }

    #[test]
    fn two_passes_say_nothing() {
        assert_eq!(expected(&[vec![1.0], vec![], vec![1.0]]), None);
        assert_eq!(median(&mut [1.0, 2.0]), 1.5);
    }

    #[test]
    fn a_second_run_lies_within_the_first_ones_interval() {
        // Passes that differ by some hundredths, as a run's do.
        let mut random = fastrand::Rng::with_seed(3);
        let mut run = |count: usize| -> Vec<Vec<f64>> {
            let mut pass = || 1.0 + 0.1 * (0..6).map(|_| random.f64() - 0.5).sum::<f64>();
            (0..count).map(|_| vec![pass()]).collect()
        };
        for count in [4, 6, 12] {
            let mut agree = || {
                let (first, second) = (expected(&run(count)).unwrap(), expected(&run(count)).unwrap());
                first.low <= second.median && second.median <= first.high
            };
            let agreeing = (0..300).filter(|_| agree()).count();
            assert!(agreeing >= 270, "{agreeing} of 300 with {count} passes");
        }
    }

    #[test]
    fn few_passes_know_little() {
        assert!((student(2) - 4.30).abs() < 0.1 && (student(5) - 2.57).abs() < 0.02);
        assert!((student(10) - 2.23).abs() < 0.02);
    }
}
