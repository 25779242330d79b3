//! One palette for pictures and pages: the same colours in both, distinguishable by colour-blind readers, and visible on their background.

use heckle_results::charts::style;
use plotters::style::RGBColor;
use std::collections::BTreeMap;

const STYLE_SHEET: &str = include_str!("../assets/report/report.css");
/// Colours that represent the outcome of an op or a run, in pictures and in the style sheet.
const MEANINGS: [(&str, RGBColor); 6] = [
    ("ok", style::BLUE),
    ("notmet", style::SKY),
    ("failed", style::ORANGE),
    ("unknown", style::VERMILLION),
    ("recovered", style::GREEN),
    ("violation", style::VIOLATION),
];
const LIGHT_PAPER: Rgb = [255, 255, 255];
/// Minimum distance in Oklab, times a hundred. Side by side, a difference of about two is just visible.
const LEAST_DISTANCE: f64 = 8.0;
/// The minimum contrast for graphics according to WCAG 2.2 (1.4.11).
const LEAST_CONTRAST: f64 = 3.0;

type Rgb = [u8; 3];
type Matrix = [[f64; 3]; 3];

/// Complete protanopia and deuteranopia (Machado, Oliveira and Fernandes 2009), and normal vision.
const SIGHTS: [(&str, Matrix); 3] = [
    ("usual sight", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    ("protanopia", [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    ("deuteranopia", [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
];

fn linear(colour: Rgb) -> [f64; 3] {
    colour.map(|c| {
        let c = f64::from(c) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    })
}

fn times(m: &Matrix, v: [f64; 3]) -> [f64; 3] {
    m.map(|row| (row[0] * v[0] + row[1] * v[1] + row[2] * v[2]).clamp(0.0, 1.0))
}

/// Converts to Björn Ottosson's Oklab, in which distances are approximately perceptual.
fn oklab([r, g, b]: [f64; 3]) -> [f64; 3] {
    let [l, m, s] = [
        0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b,
        0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b,
        0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b,
    ]
    .map(f64::cbrt);
    [
        0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
        1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
        0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
    ]
}

fn distance(a: Rgb, b: Rgb, sight: &Matrix) -> f64 {
    let [a, b] = [a, b].map(|c| oklab(times(sight, linear(c))));
    100.0 * a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

fn contrast(a: Rgb, b: Rgb) -> f64 {
    let [a, b] = [a, b].map(|c| {
        let [r, g, b] = linear(c);
        0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
    });
    a.max(b) / a.min(b)
}

/// Returns the variables of the style sheet of a report, for light and dark mode.
fn sheets() -> [BTreeMap<String, Rgb>; 2] {
    sheets_of(STYLE_SHEET)
}

fn sheets_of(sheet: &str) -> [BTreeMap<String, Rgb>; 2] {
    let (light, dark) = sheet.split_once("(prefers-color-scheme:dark)").expect("both themes");
    let dark = dark.split_once("}\n").map_or(dark, |(first, _)| first);
    [light, dark].map(|part| {
        let variable = |declaration: &str| {
            let (name, value) = declaration.rsplit_once("--")?.1.split_once(":#")?;
            let byte = |i: usize| u8::from_str_radix(value.get(i..i + 2)?, 16).ok();
            Some((name.to_owned(), [byte(0)?, byte(2)?, byte(4)?]))
        };
        part.split(';').filter_map(variable).collect()
    })
}

/// Describes every pair of colours that are too similar, and every colour that is too faint on `paper`.
fn complaints(colours: &[(&str, Rgb)], paper: Rgb) -> Vec<String> {
    let mut found = vec![];
    for (i, (name, colour)) in colours.iter().enumerate() {
        let seen = contrast(*colour, paper);
        if seen < LEAST_CONTRAST {
            found.push(format!("{name} has a contrast of {seen:.2}"));
        }
        for (other, second) in &colours[..i] {
            for (sight, matrix) in &SIGHTS {
                let apart = distance(*colour, *second, matrix);
                if apart < LEAST_DISTANCE {
                    found.push(format!("{name} and {other} are {apart:.1} apart with {sight}"));
                }
            }
        }
    }
    found
}

#[test]
fn pictures_and_pages_have_the_same_colours() {
    let [light, _] = sheets();
    for (name, RGBColor(r, g, b)) in MEANINGS {
        assert_eq!(light.get(name), Some(&[r, g, b]), "{name}");
    }
    let RGBColor(r, g, b) = style::FAULT;
    assert_eq!(light.get("fault"), Some(&[r, g, b]));
}

#[test]
fn meanings_can_be_distinguished_in_light_and_dark() {
    let [light, dark] = sheets();
    for (theme, sheet) in [("light", &light), ("dark", &dark)] {
        let paper = if theme == "light" { LIGHT_PAPER } else { sheet["paper"] };
        let colours: Vec<(&str, Rgb)> = MEANINGS.iter().map(|(name, _)| (*name, sheet[*name])).collect();
        assert_eq!(complaints(&colours, paper), Vec::<String>::new(), "{theme}");
        let lines: Vec<(String, Rgb)> = (1..=6).map(|i| format!("line{i}")).map(|name| (name.clone(), sheet[&name])).collect();
        let lines: Vec<(&str, Rgb)> = lines.iter().map(|(name, colour)| (name.as_str(), *colour)).collect();
        assert_eq!(complaints(&lines, paper), Vec::<String>::new(), "{theme}");
    }
}

#[test]
fn every_page_has_the_same_words_in_the_same_colour() {
    let [light, dark] = sheets_of(STYLE_SHEET);
    for (page, sheet) in
        [("comparison", include_str!("../src/compare/view/compare.css")), ("trend", include_str!("../src/suite/trend.css"))]
    {
        let themes = sheets_of(sheet);
        for (own, reference) in themes.iter().zip([&light, &dark]) {
            for name in ["good", "bad", "doubt"] {
                assert_eq!(own.get(name), reference.get(name), "{name} of the page of a {page}");
            }
        }
    }
}

#[test]
fn a_scale_of_shades_grows_with_the_count() {
    // On white paper, more is darker. On dark paper, more is lighter. In both cases, more means more contrast.
    let [light, dark] = sheets();
    for (sheet, paper) in [(&light, LIGHT_PAPER), (&dark, dark["paper"])] {
        let seen = ["shade-low", "shade-middle", "shade-high"].map(|name| contrast(sheet[name], paper));
        assert!(seen[0] < seen[1] && seen[1] < seen[2], "{seen:?}");
    }
}

#[test]
fn bad_colours_are_noticed() {
    // Red and green of the same lightness, and a yellow on white.
    let near = complaints(&[("red", [200, 60, 40]), ("green", [125, 115, 35])], LIGHT_PAPER);
    assert!(near.iter().any(|c| c.contains("protanopia") || c.contains("deuteranopia")), "{near:?}");
    assert!(complaints(&[("yellow", [240, 228, 66])], LIGHT_PAPER)[0].contains("contrast"));
}
