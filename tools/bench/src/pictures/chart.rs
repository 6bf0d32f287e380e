// SPDX-License-Identifier: GPL-2.0

//! Axes, ticks, lines, and names beside the lines instead of a legend.

use super::svg::{
    Colour,
    Font,
    Pen,
    Point,
    Svg, //
};

pub const TEXT: Colour = "#24292f";
pub const FAINT: Colour = "#656d76";
const GRID: Pen = Pen::new("#e3e6ea", 1.0);
const AXIS: Pen = Pen::new("#8c959f", 1.0);
/// From the middle of a name to that of the next.
const APART: f64 = 14.0;

/// Where on an axis a number is.
#[derive(Clone, Copy)]
pub enum Scale {
    Linear {
        from: f64,
        to: f64,
    },
    Log {
        from: f64,
        to: f64,
    },
    /// Percent: 90, 99 and 99.9 are as far from each other, up to LAST; the longest of all, 100, is
    /// beside it.
    Tail {
        last: f64,
    },
}

impl Scale {
    /// From 0, the beginning, to 1.
    fn share(self, n: f64) -> f64 {
        match self {
            Self::Linear { from, to } => (n - from) / (to - from),
            Self::Log { from, to } => (n / from).ln() / (to / from).ln(),
            Self::Tail { last } => {
                let nines = |percent: f64| -(1.0 - percent / 100.0).log10();
                let end = nines(last) + 0.4;
                if n > last { 1.0 } else { nines(n) / end }
            }
        }
    }
}

/// A rectangle with an axis below and one at its left.
pub struct Chart {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    pub x: Scale,
    pub y: Scale,
}

impl Chart {
    pub fn at(&self, x: f64, y: f64) -> Point {
        (self.across(x), self.down(y))
    }

    pub fn across(&self, x: f64) -> f64 {
        self.left + self.width * self.x.share(x)
    }

    /// What is above the picture is at its edge.
    pub fn down(&self, y: f64) -> f64 {
        self.top + self.height * (1.0 - self.y.share(y).clamp(0.0, 1.0))
    }

    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    pub fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Numbers at the left, and a line across for each.
    pub fn y_ticks(&self, svg: &mut Svg, ticks: &[(f64, String)]) {
        for (n, text) in ticks {
            let y = self.down(*n);
            svg.line((self.left, y), (self.right(), y), GRID);
            svg.text((self.left - 6.0, y), text, Font::new(11.0, FAINT).end());
        }
    }

    /// Numbers below; the axis itself.
    pub fn x_ticks(&self, svg: &mut Svg, ticks: &[(f64, String)]) {
        let y = self.bottom();
        svg.line((self.left, y), (self.right(), y), AXIS);
        for (n, text) in ticks {
            let x = self.across(*n);
            svg.line((x, y), (x, y + 4.0), AXIS);
            svg.text((x, y + 13.0), text, Font::new(11.0, FAINT).middle());
        }
    }

    pub fn x_grid(&self, svg: &mut Svg, ticks: &[(f64, String)]) {
        for (n, _) in ticks {
            let x = self.across(*n);
            svg.line((x, self.top), (x, self.bottom()), GRID);
        }
    }

    pub fn line(&self, svg: &mut Svg, points: &[Point], pen: Pen) {
        let points: Vec<Point> = points.iter().map(|(x, y)| self.at(*x, *y)).collect();
        svg.path(&points, pen);
    }

    /// What is below a line.
    pub fn area(&self, svg: &mut Svg, points: &[Point], colour: Colour) {
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return;
        };
        let mut outline = vec![(self.across(first.0), self.bottom())];
        outline.extend(points.iter().map(|(x, y)| self.at(*x, *y)));
        outline.push((self.across(last.0), self.bottom()));
        svg.area(&outline, colour);
    }

    /// Names at the right, each as near to its line's end as the others let it be.
    pub fn names(&self, svg: &mut Svg, names: &[(f64, String, Colour)]) {
        let wanted: Vec<f64> = names.iter().map(|(y, _, _)| self.down(*y)).collect();
        for ((_, text, colour), y) in names.iter().zip(apart(&wanted, self.top, self.bottom())) {
            svg.text((self.right() + 6.0, y), text, Font::new(12.0, colour).bold());
        }
    }
}

/// Moved so that none is nearer than APART to the next; in the same order, and inside if they fit.
fn apart(wanted: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    // The last one is drawn above the others, so its name is above theirs.
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]).then(b.cmp(&a)));
    let mut places: Vec<f64> = order.iter().map(|&i| wanted[i]).collect();
    let mut least = top;
    for place in &mut places {
        *place = place.max(least);
        least = *place + APART;
    }
    let mut most = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - APART;
    }
    let mut out = vec![0.0; wanted.len()];
    for (i, place) in order.into_iter().zip(places) {
        out[i] = place;
    }
    out
}

/// About COUNT round numbers from 0 to MOST.
pub fn round_numbers(most: f64, count: usize) -> Vec<f64> {
    let rough = most / count as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough * 0.999);
    let step = step.unwrap_or(rough);
    (0..).map(|n| f64::from(n) * step).take_while(|n| *n <= most * 1.0001).collect()
}

/// In digits by threes.
pub fn grouped(n: f64) -> String {
    let digits = format!("{n:.0}");
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// As people say it: 244 KiB, 2.3 MiB, 100 MiB.
pub fn size(kb: f64) -> String {
    match kb / 1024.0 {
        mib if mib < 1.0 => format!("{kb:.0} KiB"),
        mib if mib < 9.95 => format!("{mib:.1} MiB"),
        mib => format!("{mib:.0} MiB"),
    }
}

/// Round sizes from 0 to MOST kB.
pub fn round_sizes(most: f64, count: usize) -> Vec<(f64, String)> {
    let (unit, name) = if most < 2048.0 { (1.0, "KiB") } else { (1024.0, "MiB") };
    let number = |n: f64| match n {
        0.0 => "0".to_owned(),
        n => format!("{n} {name}"),
    };
    round_numbers(most / unit, count).into_iter().map(|n| (n * unit, number(n))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales() {
        let log = Scale::Log { from: 10.0, to: 1000.0 };
        assert!((log.share(100.0) - 0.5).abs() < 1e-9);
        let tail = Scale::Tail { last: 99.9 };
        assert!((tail.share(99.0) - 2.0 * tail.share(90.0)).abs() < 1e-9);
        assert!(tail.share(99.9) < 0.9);
        assert_eq!(tail.share(100.0), 1.0);
    }

    #[test]
    fn names_do_not_overlap_and_stay_inside() {
        let places = apart(&[50.0, 52.0, 51.0, 99.0, 98.0], 0.0, 100.0);
        let mut sorted = places.clone();
        sorted.sort_by(f64::total_cmp);
        assert!(sorted.windows(2).all(|w| w[1] - w[0] >= APART - 1e-9), "{places:?}");
        assert!(sorted[0] >= 0.0 && sorted[4] <= 100.0);
        assert!(places[0] < places[2] && places[2] < places[1], "in their order");
    }

    #[test]
    fn who_is_alone_stays_where_it_is() {
        assert_eq!(apart(&[30.0, 60.0], 0.0, 100.0), [30.0, 60.0]);
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(round_numbers(10.0, 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(round_numbers(7.0, 4), [0.0, 2.0, 4.0, 6.0]);
        let names: Vec<String> = round_sizes(102_400.0, 4).into_iter().map(|t| t.1).collect();
        assert_eq!(names, ["0", "50 MiB", "100 MiB"]);
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(1_234_567.0), "1,234,567");
        assert_eq!(grouped(123.0), "123");
        assert_eq!(size(244.0), "244 KiB");
        assert_eq!(size(2355.0), "2.3 MiB");
        assert_eq!(size(102_644.0), "100 MiB");
    }
}
