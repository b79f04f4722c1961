//! Medians, and between what they lie.

/// A median and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Interval {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// How often values are drawn anew.
const DRAWS: usize = 2000;

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let (len, middle) = (values.len(), values.len() / 2);
    match len {
        0 => f64::NAN,
        _ if len % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// The median of all values, which were taken in several groups, and its interval by the bootstrap: whole groups are drawn
/// anew, with repetition, and values within each. What differs from one start of the processes to the next so counts, and
/// not only what differs from block to block.
pub(crate) fn bootstrap(groups: &[Vec<f64>]) -> Option<Interval> {
    let groups: Vec<&Vec<f64>> = groups.iter().filter(|group| !group.is_empty()).collect();
    let mut all: Vec<f64> = groups.iter().copied().flatten().copied().collect();
    if all.is_empty() {
        return None;
    }
    // Always the same draws: the same values give the same interval.
    let mut random = fastrand::Rng::with_seed(7);
    let mut medians: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let mut drawn = Vec::with_capacity(all.len());
            for _ in 0..groups.len() {
                let group = groups[random.usize(..groups.len())];
                drawn.extend((0..group.len()).map(|_| group[random.usize(..group.len())]));
            }
            median(&mut drawn)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let at = |share: f64| medians[(share * (DRAWS - 1) as f64).round() as usize];
    Some(Interval { median: median(&mut all), low: at(0.025), high: at(0.975) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_its_interval() {
        let groups: Vec<Vec<f64>> =
            (0..4).map(|group| (0..5).map(|value| f64::from(group * 5 + value)).collect()).collect();
        let interval = bootstrap(&groups).unwrap();
        assert_eq!(interval.median, 9.5);
        assert!(interval.low < 9.5 && 9.5 < interval.high && interval.low >= 0.0 && interval.high <= 19.0);
        assert_eq!(bootstrap(&groups), Some(interval));
    }

    #[test]
    fn one_value_has_no_width_and_none_no_interval() {
        assert_eq!(bootstrap(&[vec![2.0]]), Some(Interval { median: 2.0, low: 2.0, high: 2.0 }));
        assert_eq!(bootstrap(&[vec![], vec![]]), None);
        assert_eq!(median(&mut [1.0, 2.0]), 1.5);
    }
}
