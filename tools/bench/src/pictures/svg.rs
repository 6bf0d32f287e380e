// SPDX-License-Identifier: GPL-2.0

//! A picture as SVG text. The same shapes are the same bytes, whatever else is installed, so that
//! pictures can be compared.

use std::fmt::Write as _;

/// As CSS has it.
pub type Colour = &'static str;
/// From the upper left corner, in pixels.
pub type Point = (f64, f64);

/// Where a text is from its point.
#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks; its point is the middle of its height.
#[derive(Clone, Copy)]
pub struct Font {
    pub size: f64,
    pub colour: Colour,
    pub anchor: Anchor,
    pub bold: bool,
}

impl Font {
    pub const fn new(size: f64, colour: Colour) -> Self {
        Self { size, colour, anchor: Anchor::Start, bold: false }
    }

    pub const fn middle(self) -> Self {
        Self { anchor: Anchor::Middle, ..self }
    }

    pub const fn end(self) -> Self {
        Self { anchor: Anchor::End, ..self }
    }

    pub const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }
}

/// How a line looks.
#[derive(Clone, Copy)]
pub struct Pen {
    pub colour: Colour,
    pub width: f64,
}

impl Pen {
    pub const fn new(colour: Colour, width: f64) -> Self {
        Self { colour, width }
    }
}

pub struct Svg {
    text: String,
}

impl Svg {
    /// On white: whoever reads on a dark page sees the same.
    pub fn new(width: f64, height: f64) -> Self {
        let mut svg = Self { text: String::new() };
        svg.put(&format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\">"
        ));
        svg.put("<!-- SPDX-License-Identifier: GPL-2.0 -->");
        svg.put(&format!(
            "<rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"#ffffff\"/>"
        ));
        svg
    }

    fn put(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub fn line(&mut self, from: Point, to: Point, pen: Pen) {
        self.path(&[from, to], pen);
    }

    /// Nothing, of fewer than two points.
    pub fn path(&mut self, points: &[Point], pen: Pen) {
        if points.len() < 2 {
            return;
        }
        self.put(&format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" stroke-linejoin=\"round\"/>",
            list(points),
            pen.colour,
            number(pen.width)
        ));
    }

    pub fn area(&mut self, points: &[Point], colour: Colour) {
        self.put(&format!("<polygon points=\"{}\" fill=\"{colour}\"/>", list(points)));
    }

    pub fn dot(&mut self, (x, y): Point, radius: f64, colour: Colour) {
        self.put(&format!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{colour}\"/>",
            number(x),
            number(y),
            number(radius)
        ));
    }

    /// A dot that does not hide what is below it.
    pub fn ring(&mut self, (x, y): Point, radius: f64, pen: Pen) {
        self.put(&format!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"/>",
            number(x),
            number(y),
            number(radius),
            pen.colour,
            number(pen.width)
        ));
    }

    pub fn text(&mut self, (x, y): Point, text: &str, font: Font) {
        let anchor = match font.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let weight = if font.bold { " font-weight=\"bold\"" } else { "" };
        self.put(&format!(
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\" fill=\"{}\"{anchor}{weight}>{}</text>",
            number(x),
            // Not every viewer knows how to centre a line of text.
            number(y + font.size * 0.35),
            number(font.size),
            font.colour,
            escaped(text)
        ));
    }

    pub fn finish(mut self) -> String {
        self.put("</svg>");
        self.text
    }
}

/// A tenth of a pixel is as good as any.
fn number(n: f64) -> String {
    let text = format!("{n:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_owned(),
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

fn list(points: &[Point]) -> String {
    let mut out = String::new();
    for (x, y) in points {
        let space = if out.is_empty() { "" } else { " " };
        let _ = write!(out, "{space}{},{}", number(*x), number(*y));
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_text() {
        let mut svg = Svg::new(10.0, 20.0);
        svg.path(&[(0.0, 1.25), (3.04, -0.01)], Pen::new("#000", 1.5));
        svg.text((1.0, 10.0), "a < b & c", Font::new(10.0, "#123").end().bold());
        let text = svg.finish();
        assert!(text.contains("points=\"0,1.2 3,0\""), "{text}");
        assert!(text.contains(
            "y=\"13.5\" font-size=\"10\" fill=\"#123\" text-anchor=\"end\" font-weight=\"bold\""
        ));
        assert!(text.contains(">a &lt; b &amp; c</text>"));
        assert!(text.ends_with("</svg>\n"));
    }

    #[test]
    fn a_line_needs_two_points() {
        let mut svg = Svg::new(1.0, 1.0);
        svg.path(&[(0.0, 0.0)], Pen::new("#000", 1.0));
        assert!(!svg.finish().contains("polyline"));
    }
}
