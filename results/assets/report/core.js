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

H.count = (n) => (n === null || n === undefined ? "–" : H.digits(n));
H.perSecond = (n) => H.count(n) + "/s";
H.seconds = (t) => t.toFixed(6) + " s";

// Colours stand in the style sheet, once for light, dark and paper.
H.colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
H.ends = ["ok", "condition not met", "failed", "unknown"];
H.endColours = ["ok", "notmet", "failed", "unknown"];
H.lines = ["line1", "line2", "line3", "line4", "line5", "line6", "line7"];

// A translucent version of a colour given as #rrggbb.
H.faint = (colour, share) => colour + Math.round(share * 255).toString(16).padStart(2, "0");

// What the reader wants to see; `null` is everything.
H.filter = { ends: [true, true, true, true], kind: null, node: null, key: null, all: false };
H.onFilter = [];
H.filterChanged = () => H.onFilter.forEach((tell) => tell());

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
