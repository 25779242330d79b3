"use strict";
// What every part of the page shares: the data, small helpers, colours, and the reader's filter.
// All parts hang on this one object; text from the data reaches the page through `textContent` alone.
const H = {};

H.data = JSON.parse(document.getElementById("data").textContent);

// Columns that were written as differences.
H.sums = (column) => {
  let sum = 0;
  return column.map((x) => (sum += x));
};

H.byId = (id) => document.getElementById(id);

// An element with attributes and children; strings become text.
H.element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((c) => c !== null && c !== undefined));
  return made;
};

// Three digits at most, as the tables have them.
H.digits = (x) => {
  const size = Math.abs(x);
  if (size >= 1000) return Math.round(x).toLocaleString("en-US");
  const text = x.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
};

// Microseconds with the unit that suits them.
H.duration = (us) => {
  if (us === null || us === undefined) return "–";
  if (us < 999.5) return H.digits(us) + " µs";
  if (us < 999.5e3) return H.digits(us / 1e3) + " ms";
  if (us < 119.95e6) return H.digits(us / 1e6) + " s";
  return H.digits(us / 60e6) + " min";
};

H.bytes = (n) => {
  if (n === null || n === undefined) return "–";
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) if (n >= size) return H.digits(n / size) + " " + unit;
  return H.digits(n) + " B";
};

// A time on an axis whose steps are `step` seconds, up to `end`: round in seconds, minutes and hours.
H.clock = (t, step, end) => {
  const two = (n) => String(n).padStart(2, "0");
  if (end < 120 || step < 1) return H.digits(t).includes(",") ? t.toFixed(step < 1 ? 2 : 0) + " s" : H.digits(t) + " s";
  const s = Math.round(t);
  if (end < 7200) return s % 60 ? `${Math.floor(s / 60)}:${two(s % 60)} min` : `${s / 60} min`;
  const [h, m] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)];
  if (s % 60) return `${h}:${two(m)}:${two(s % 60)} h`;
  return m ? `${h}:${two(m)} h` : `${h} h`;
};
H.steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400];

// The colour between two given as #rrggbb.
H.between = (a, b, share) => {
  const part = (colour, i) => parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16);
  return "#" + [0, 1, 2].map((i) => Math.round(part(a, i) * (1 - share) + part(b, i) * share).toString(16).padStart(2, "0")).join("");
};

H.count = (n) => (n === null || n === undefined ? "–" : H.digits(n));
H.perSecond = (n) => H.count(n) + "/s";
H.seconds = (t) => t.toFixed(6) + " s";

// Colours stand in the style sheet, once for light, dark and paper.
H.colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
H.ends = ["ok", "condition not met", "failed", "unknown"];
H.endColours = ["ok", "notmet", "failed", "unknown"];
H.lines = ["line1", "line2", "line3", "line4", "line5", "line6"];

// A translucent version of a colour given as #rrggbb.
H.faint = (colour, share) => colour + Math.round(share * 255).toString(16).padStart(2, "0");

// What the reader wants to see; `null` is everything.
H.filter = { ends: [true, true, true, true], kind: null, node: null, key: null, all: false };
H.onFilter = [];
H.filterChanged = () => H.onFilter.forEach((listener) => listener());

// Everything that has to be drawn anew when colours change.
H.redraw = [];
H.recolour = () => H.redraw.forEach((draw) => draw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", H.recolour);
// Paper is white, whatever the screen is.
const paper = (on) => () => {
  document.documentElement.classList.toggle("paper", on);
  H.recolour();
};
addEventListener("beforeprint", paper(true));
addEventListener("afterprint", paper(false));
