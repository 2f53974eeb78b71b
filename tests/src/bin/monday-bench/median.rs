//! The middle of several samples, which one bad moment of the machine does not move.

/// The median, and 0 for no samples at all.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_one_outlier() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(median(&[3.0, 1000.0, 1.0, 2.0, 4.0]), 3.0));
        assert!(near(median(&[4.0, 1.0, 2.0, 3.0]), 2.5));
        assert!(near(median(&[]), 0.0));
    }
}
