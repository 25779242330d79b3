//! A pixel buffer, and its encoding as a small PNG.
//!
//! The PNG has a palette: text and points use few colours, so a chart of a hundred thousand points stays below 150 kB. True
//! colour would take three times as much space.

use super::audit;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::prelude::{BitMapBackend, RGBColor};
use rustc_hash::FxHashMap;

/// Width in pixels.
pub const WIDTH: u32 = 1280;
/// Height in pixels.
pub const HEIGHT: u32 = 720;
/// Left edge of a plot.
pub(super) const LEFT: i32 = 92;
/// Right edge of a plot.
pub(super) const RIGHT: i32 = WIDTH as i32 - 28;
/// Upper edge of the fault lanes.
pub(super) const LANES_TOP: i32 = 110;
/// Maximum number of entries in a PNG palette.
const MAX_COLOURS: usize = 256;

/// A chart that is being drawn.
pub struct Canvas {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

/// The drawing area of plotters.
pub type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

impl Canvas {
    /// Creates a white canvas of the usual size.
    pub fn new() -> Self {
        Canvas::sized(WIDTH, HEIGHT)
    }

    /// Creates a white canvas of this size.
    pub fn sized(width: u32, height: u32) -> Self {
        audit::begin(f64::from(width), f64::from(height));
        Canvas { width, height, rgb: vec![255; width as usize * height as usize * 3] }
    }

    /// Returns the drawing area for plotters. The pixels are complete once it is dropped.
    pub fn area(&mut self) -> Area<'_> {
        BitMapBackend::with_buffer(&mut self.rgb, (self.width, self.height)).into_drawing_area()
    }

    /// Blends `colour` into one pixel: an `alpha` of 0 leaves it unchanged, and 1 replaces it. Positions outside the canvas are ignored.
    pub fn blend(&mut self, x: i32, y: i32, colour: RGBColor, alpha: f64) {
        let inside = x >= 0 && y >= 0 && x < self.width as i32 && y < self.height as i32;
        if !inside {
            return;
        }
        let at = (y as usize * self.width as usize + x as usize) * 3;
        for (channel, new) in self.rgb[at..at + 3].iter_mut().zip([colour.0, colour.1, colour.2]) {
            *channel = (f64::from(*channel) * (1.0 - alpha) + f64::from(new) * alpha).round() as u8;
        }
    }

    /// Encodes the canvas as a PNG file.
    pub fn png(&self) -> Vec<u8> {
        let (palette, indices) = self.palette();
        let mut file = vec![];
        let mut encoder = png::Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(palette);
        encoder.set_compression(png::Compression::High);
        // Neighbouring palette entries are not similar colours, so pixel differences compress worse than the pixels themselves.
        encoder.set_filter(png::Filter::NoFilter);
        let mut writer = encoder.write_header().expect("writing to memory does not fail");
        writer.write_image_data(&indices).expect("the buffer has the size of the header");
        writer.finish().expect("writing to memory does not fail");
        file
    }

    /// Returns the most frequent colours, and for each pixel the index of the nearest one. Colours are first reduced to 5 bits
    /// per channel, which is not visible in a chart.
    fn palette(&self) -> (Vec<u8>, Vec<u8>) {
        let pixels = || self.rgb.chunks_exact(3).map(|p| [p[0], p[1], p[2]]);
        let coarse = |p: [u8; 3]| p.map(|c| (u16::from(c) * 31 + 127) / 255);
        let mut counts: FxHashMap<[u16; 3], (u32, [u32; 3])> = FxHashMap::default();
        for pixel in pixels() {
            let (n, sum) = counts.entry(coarse(pixel)).or_default();
            *n += 1;
            for (s, c) in sum.iter_mut().zip(pixel) {
                *s += u32::from(c);
            }
        }
        let mut by_count: Vec<([u16; 3], u32, [u8; 3])> =
            counts.into_iter().map(|(key, (n, sum))| (key, n, sum.map(|s| ((s + n / 2) / n) as u8))).collect();
        // Break ties by colour, so that the same chart always yields the same bytes.
        by_count.sort_by(|a, b| (b.1, a.0).cmp(&(a.1, b.0)));
        let kept: Vec<[u8; 3]> = by_count.iter().take(MAX_COLOURS).map(|(_, _, mean)| *mean).collect();
        let nearest = |mean: [u8; 3]| -> u8 {
            let distance = |k: &[u8; 3]| -> i32 { k.iter().zip(mean).map(|(a, b)| (i32::from(*a) - i32::from(b)).pow(2)).sum() };
            (0..kept.len()).min_by_key(|i| distance(&kept[*i])).expect("a picture has a colour") as u8
        };
        let index: FxHashMap<[u16; 3], u8> = by_count.iter().map(|(key, _, mean)| (*key, nearest(*mean))).collect();
        (kept.concat(), pixels().map(|p| index[&coarse(p)]).collect())
    }
}

impl Default for Canvas {
    fn default() -> Self {
        Canvas::new()
    }
}
