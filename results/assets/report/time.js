// Charts over time. They share one cursor and one zoom, and every one shows the faults as bands.
H.charts = [];
const AXIS = 74; // Room beside a chart, the same for all, so that one moment stands in one column.
const SYNC = "run";
let zooming = false;

H.zoomTo = (min, max) => {
  const least = 0.002;
  min = Math.max(0, min);
  max = Math.min(H.data.end || 1, max);
  if (max - min < least) return;
  zooming = true;
  for (const chart of H.charts) chart.setScale("x", { min, max });
  zooming = false;
};
H.resetZoom = () => H.zoomTo(0, H.data.end || 1);

// The part of the run that is in view.
H.view = () => {
  const x = H.charts[0].scales.x;
  return [x.min, x.max];
};

// Faults behind the lines, and the moments of recovery in front.
const bands = (u) => {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const fault of H.data.faults) {
    const [a, b] = [u.valToPos(fault.began, "x", true), u.valToPos(fault.ended, "x", true)];
    ctx.fillStyle = H.faint(H.colour("band"), 0.14);
    ctx.fillRect(a, bbox.top, Math.max(b - a, 1), bbox.height);
    ctx.fillStyle = H.faint(H.colour("band"), 0.6);
    ctx.fillRect(a, bbox.top, 1, bbox.height);
    ctx.fillRect(b, bbox.top, 1, bbox.height);
  }
  labels(u);
  ctx.restore();
};

// The numbers of faults above their bands, and violations as lines with theirs, each in its own row. A number that would
// cover the one before it is left out here; the first chart and the table have all of them.
const labels = (u) => {
  const { ctx, bbox } = u;
  const scale = devicePixelRatio;
  ctx.font = 10 * scale + "px system-ui, sans-serif";
  ctx.textAlign = "left";
  ctx.textBaseline = "top";
  let free = -Infinity;
  ctx.fillStyle = H.colour("fault");
  for (const fault of H.data.faults) {
    const x = Math.max(u.valToPos(fault.began, "x", true), bbox.left) + 3 * scale;
    if (fault.ended < u.scales.x.min || x < free) continue;
    ctx.fillText(fault.id, x, bbox.top + 2 * scale);
    free = x + ctx.measureText(fault.id).width + 4 * scale;
  }
  free = -Infinity;
  ctx.fillStyle = H.colour("violation");
  for (const [t, id] of H.data.violations) {
    const x = u.valToPos(t, "x", true);
    ctx.fillRect(x - scale, bbox.top, 2 * scale, bbox.height);
    const words = "violation " + id;
    const width = ctx.measureText(words).width;
    const left = x + width + 8 * scale > bbox.left + bbox.width ? x - width - 5 * scale : x + 4 * scale;
    if (left < free) continue;
    ctx.fillText(words, left, bbox.top + 14 * scale);
    free = left + width + 4 * scale;
  }
};

const recoveries = (u) => {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top - 8, bbox.width, bbox.height + 8);
  ctx.clip();
  ctx.strokeStyle = ctx.fillStyle = H.colour("recovered");
  ctx.setLineDash([3, 3]);
  for (const fault of H.data.faults.filter((f) => f.recovered !== null)) {
    const x = Math.round(u.valToPos(fault.recovered, "x", true)) + 0.5;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(x - 5, bbox.top - 7);
    ctx.lineTo(x + 5, bbox.top - 7);
    ctx.lineTo(x, bbox.top);
    ctx.fill();
  }
  ctx.restore();
};

const readout = (t) => {
  const on = H.data.faults.filter((f) => f.began <= t && t <= f.ended).map((f) => `${f.kind} ${f.targets}`);
  const back = H.data.faults.filter((f) => f.recovered !== null && f.ended < t && t <= f.recovered).map((f) => `recovering from ${f.kind} ${f.targets}`);
  const all = on.concat(back);
  H.byId("readout").textContent = `at ${t.toFixed(3)} s: ${all.length ? all.join("; ") : "no fault"}`;
};

H.axis = (values) => ({
  scale: "y",
  size: AXIS,
  stroke: () => H.colour("dim"),
  grid: { stroke: () => H.colour("line"), width: 1 },
  ticks: { stroke: () => H.colour("line"), width: 1 },
  values: values && ((u, splits) => splits.map((v) => (v === null ? "" : values(v)))),
});

// An axis whose equal steps are equal ratios: lines at one to nine of every decade, words at round ones.
H.logAxis = (values) => ({
  ...H.axis(),
  splits: (u, axis, min, max) => {
    const all = [];
    for (let decade = Math.pow(10, Math.floor(Math.log10(min))); decade <= max; decade *= 10) {
      for (let m = 1; m < 10; m++) if (decade * m >= min * 0.999 && decade * m <= max * 1.001) all.push(decade * m);
    }
    return all;
  },
  filter: (u, splits) => splits,
  values: (u, splits) => {
    const worded = splits[splits.length - 1] / splits[0] > 50 ? [1] : [1, 2, 5];
    return splits.map((v) => (worded.includes(Math.round(v / Math.pow(10, Math.floor(Math.log10(v) + 1e-9)))) ? values(v) : ""));
  },
});

// A chart in the figure of that name. `more` are options of uPlot that differ from the usual ones.
H.timeChart = (name, data, series, more = {}) => {
  const figure = H.byId("chart-" + name);
  const place = figure.querySelector(".chart");
  const hooks = more.hooks || {};
  const options = {
    width: Math.max(place.clientWidth, 280),
    height: more.height || 190,
    padding: [10, 12, 0, 0],
    cursor: { sync: { key: SYNC, setSeries: false, scales: ["x", null] }, drag: { x: true, y: false, dist: 4 }, y: false },
    scales: { x: { time: false, range: (u, min, max) => [min, max] }, y: more.y || { range: (u, min, max) => [0, Math.max(max, 1) * 1.06] } },
    axes: [
      {
        ...H.axis(),
        scale: "x",
        size: 30,
        incrs: H.steps,
        values: (u, splits, axis, space, step) => splits.map((t) => H.clock(t, step, u.scales.x.max)),
      },
      more.axis || H.axis(H.count),
    ],
    legend: { show: more.legend !== false },
    series: [{ label: "at", value: (u, t) => (t === null ? "–" : t.toFixed(3) + " s") }, ...series],
    hooks: {
      drawAxes: [bands, ...(hooks.drawAxes || [])],
      draw: [...(hooks.draw || []), recoveries],
      setScale: [
        (u, key) => {
          if (key === "x" && !zooming && H.charts.includes(u)) H.zoomTo(u.scales.x.min, u.scales.x.max);
        },
      ],
      setCursor: [(u) => u.cursor.left >= 0 && !u.cursor.event?.synthetic && readout(u.posToVal(u.cursor.left, "x")), ...(hooks.setCursor || [])],
    },
  };
  const chart = new uPlot(options, data, place);
  // A double click shows the whole run, not only what has data.
  chart.over.addEventListener("dblclick", () => H.resetZoom());
  chart.setScale("x", { min: 0, max: H.data.end || 1 });
  new ResizeObserver(() => chart.setSize({ width: Math.max(place.clientWidth, 280), height: options.height })).observe(place);
  place.addEventListener("keydown", (event) => keys(chart, event, more.enter));
  H.redraw.push(() => chart.redraw(false, true));
  H.charts.push(chart);
  return chart;
};

// Moving and zooming without a mouse.
const keys = (chart, event, enter) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const [min, max] = H.view();
  const span = max - min;
  const width = chart.over.clientWidth;
  const left = chart.cursor.left >= 0 ? chart.cursor.left : width / 2;
  const at = chart.posToVal(left, "x");
  const pan = (share) => {
    const by = Math.max(-min, Math.min((H.data.end || 1) - max, span * share));
    H.zoomTo(min + by, max + by);
  };
  const move = (by) => chart.setCursor({ left: Math.max(0, Math.min(width, left + by)), top: chart.over.clientHeight / 2 }, true, true);
  const zoom = (factor) => H.zoomTo(at - (at - min) * factor, at + (max - at) * factor);
  const actions = {
    ArrowLeft: () => (event.shiftKey ? pan(-0.2) : move(-width / 100)),
    ArrowRight: () => (event.shiftKey ? pan(0.2) : move(width / 100)),
    "+": () => zoom(0.5),
    "=": () => zoom(0.5),
    "-": () => zoom(2),
    0: H.resetZoom,
    Escape: H.resetZoom,
    Enter: () => enter && enter(at),
  };
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
};

// A line. `more.idle` is what the legend says while the cursor is elsewhere.
const line = (label, colour, value, more = {}) => ({
  label,
  stroke: () => H.colour(colour),
  width: 1.5,
  points: { show: false },
  value: (u, v, series, i) => (i === null || i === undefined ? (more.idle ?? "–") : value(v)),
  ...more,
});
const known = (column) => column.filter((v) => v !== null && v !== undefined);
const mean = (column) => (known(column).length ? known(column).reduce((a, b) => a + b, 0) / known(column).length : 0);
const most = (column) => known(column).reduce((a, b) => Math.max(a, b), 0);
const sum = (column) => known(column).reduce((a, b) => a + b, 0);

// A small tile of slanting lines, so that hatched areas can be distinguished without colours.
const hatch = (u, colour, slope) => {
  const size = Math.round(8 * devicePixelRatio);
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const ctx = tile.getContext("2d");
  ctx.fillStyle = H.colour("paper");
  ctx.fillRect(0, 0, size, size);
  ctx.fillStyle = H.faint(colour, 0.35);
  ctx.fillRect(0, 0, size, size);
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio * 1.6;
  for (const shift of [-size, 0, size]) {
    ctx.beginPath();
    ctx.moveTo(shift, slope > 0 ? size : 0);
    ctx.lineTo(shift + size, slope > 0 ? 0 : size);
    ctx.stroke();
  }
  return u.ctx.createPattern(tile, "repeat");
};

const outcomes = (x, s) => {
  const parts = [
    ["ok", "ok", s.ok, 0],
    ["condition not met", "notmet", s.not_met, 0],
    ["failed", "failed", s.failed, 0],
    ["unknown, applied", "unknown", s.fate_applied, 1],
    ["unknown, not applied", "unknown", s.fate_not_applied, -1],
    ["unknown", "unknown", s.unknown, 0],
  ].filter(([, , column], i) => i < 3 || i === 5 || column.some((n) => n > 0));
  const stacked = [];
  parts.forEach(([, , column], p) => stacked.push(column.map((n, i) => n / s.length + (p ? stacked[p - 1][i] : 0))));
  const stepped = uPlot.paths.stepped({ align: 1 });
  // The tallest first: each lower one is painted over it.
  const order = parts.map((part, p) => [part, stacked[p]]).reverse();
  const series = order.map(([[label, colour, column, slope]]) => ({
    label,
    stroke: () => H.colour(colour),
    fill: (u) => (slope ? hatch(u, H.colour(colour), slope) : H.colour(colour)),
    width: 0,
    paths: stepped,
    points: { show: false },
    value: (u, v, si, i) => (i === null || i === undefined ? H.count(sum(column)) + " in all" : H.perSecond(column[i] / s.length)),
  }));
  H.timeChart("outcomes", [x, ...order.map(([, column]) => column)], series, { axis: H.axis(H.perSecond) });
};

// Each node is sampled at different times; all samples share one axis.
const perNode = (name, of, value) => {
  const nodes = H.data.samples.filter((n) => of(n).some((v) => v !== null));
  if (!nodes.length) return void (H.byId("chart-" + name).hidden = true);
  const data = uPlot.join(nodes.map((n) => [n.t, of(n)]));
  const series = nodes.map((n, i) => line(n.name, H.lines[i % H.lines.length], value, { spanGaps: true, dash: i >= H.lines.length ? [4, 3] : undefined, idle: value(most(of(n))) + " at most" }));
  H.timeChart(name, data, series, { axis: H.axis(value), height: 160 });
};

// Percentiles of the kind that the filter names, or of all ops.
const quantiles = () => {
  const all = H.data.quantiles;
  if (!all.length) return void (H.byId("chart-quantiles").hidden = true);
  const of = () => all.find((q) => q.kind === (H.filter.kind === null ? "all" : H.data.kinds[H.filter.kind])) || null;
  const names = ["p50", "p90", "p95", "p99", "slowest"];
  const looks = [["ok", 2.5], ["q-90", 1.2], ["q-95", 1.6], ["q-high", 2.5], ["dim", 1]];
  const series = names.map((name, i) => line(name, looks[i][0], H.duration, { width: looks[i][1], dash: i === 4 ? [2, 4] : undefined }));
  series.push(line("p50 from sent", "ok", H.duration, { dash: [3, 3] }), line("p99 from sent", "q-high", H.duration, { dash: [3, 3] }));
  series.forEach((s, i) => (s.value = (u, v, at, place) => (place === null || place === undefined ? idle(i) : H.duration(v))));
  const idle = (i) => (i < 5 && of() ? H.duration(of().whole[i]) : "–");
  const data = (q) => (q ? [q.x, q.p50, q.p90, q.p95, q.p99, q.max, q.sent_p50, q.sent_p99] : [[], ...names.map(() => []), [], []]);
  const logarithmic = { distr: 3, range: (u, min, max) => [Math.max(1, (min || 10) / 1.3), (max || 1000) * 1.3] };
  const chart = H.timeChart("quantiles", data(of()), series, { y: logarithmic, axis: H.logAxis(H.duration), height: 230 });
  const said = H.element("p", { class: "key dim" });
  const say = () => {
    const q = of();
    said.textContent = q ? `${q.kind === "all" ? "All kinds" : q.kind}: ${H.count(q.ops)} ops ok in the whole run.` : "No op of this kind was answered ok.";
  };
  H.byId("chart-quantiles").append(said);
  say();
  H.onFilter.push(() => {
    const [min, max] = H.view();
    chart.setData(data(of()), false);
    chart.setScale("x", { min, max });
    say();
  });
};

H.timeCharts = () => {
  const s = H.data.slices;
  const x = s.due.map((_, i) => i * s.length);
  quantiles();
  outcomes(x, s);
  const rate = (column) => column.map((n) => n / s.length);
  const due = H.data.asked_per_s === null ? "due (as fast as it goes)" : "asked (due)";
  const whole = (column) => ({ idle: H.perSecond(mean(rate(column))) + " on average" });
  const rates = [
    line(due, "dim", H.perSecond, { dash: [5, 3], ...whole(s.due) }),
    line("sent", "ink", H.perSecond, whole(s.sent)),
    line("answered", "ok", H.perSecond, whole(s.answered)),
  ];
  H.timeChart("rate", [x, rate(s.due), rate(s.sent), rate(s.answered)], rates, { axis: H.axis(H.perSecond) });
  H.timeChart("inflight", [x, s.in_flight_most, s.in_flight_mean], [line("most", "q-high", H.count, { idle: H.count(most(s.in_flight_most)) + " at most" }), line("mean", "ok", H.count, { idle: H.count(mean(s.in_flight_mean)) + " on average" })], { height: 150 });
  if (s.attempts) {
    const p = s.attempts;
    const rounds = [line("most", "q-high", H.count, { idle: H.count(most(p.most)) + " at most" }), line("mean", "ok", H.count, { spanGaps: true, idle: H.count(mean(p.mean)) + " on average" })];
    H.timeChart("rounds", [x, p.most, p.mean], rounds, { height: 150 });
    const outbid = [line("preempted", "failed", H.perSecond, { idle: H.count(sum(p.preempted)) + " in all" }), line("repairs", "ok", H.perSecond, { dash: [5, 3], idle: H.count(sum(p.repairs)) + " in all" })];
    H.timeChart("preempted", [x, rate(p.preempted), rate(p.repairs)], outbid, { axis: H.axis(H.perSecond), height: 150 });
  } else {
    for (const name of ["rounds", "preempted"]) H.byId("chart-" + name).hidden = true;
  }
  perNode("state", (n) => n.state_bytes, H.bytes);
  perNode("sync", (n) => n.sync_p99, H.duration);
};

// The lanes of faults and nodes.
H.eventsChart = () => {
  const kinds = [...new Set(H.data.faults.map((f) => f.kind))];
  const lanes = kinds.concat(H.data.nodes);
  if (!lanes.length) return void (H.byId("chart-events").hidden = true);
  const rows = lanes.length;
  const draw = (u) => {
    const { ctx, bbox } = u;
    const scale = devicePixelRatio;
    const row = bbox.height / rows;
    ctx.save();
    ctx.font = 11 * scale + "px system-ui, sans-serif";
    ctx.textBaseline = "middle";
    ctx.textAlign = "right";
    ctx.fillStyle = H.colour("ink");
    lanes.forEach((name, i) => ctx.fillText(name.slice(0, 12), bbox.left - 6 * scale, bbox.top + row * (i + 0.5)));
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.textAlign = "left";
    for (const f of H.data.faults) {
      const [a, b] = [u.valToPos(f.began, "x", true), u.valToPos(f.ended, "x", true)];
      const y = bbox.top + row * kinds.indexOf(f.kind);
      ctx.fillStyle = f.effective ? H.colour("band") : H.faint(H.colour("band"), 0.35);
      ctx.fillRect(a, y + 3 * scale, Math.max(b - a, 2), row - 6 * scale);
      // Inside the bar, else beside it up to the next one, else its number.
      const next = H.data.faults.filter((g) => g.kind === f.kind && g.began > f.began).map((g) => u.valToPos(g.began, "x", true));
      const limit = Math.min(bbox.left + bbox.width, ...next) - 4 * scale;
      const wide = (text) => ctx.measureText(text).width;
      const full = f.targets + (f.effective ? "" : " (no effect seen)");
      const from = Math.max(a, bbox.left) + 4 * scale;
      const beside = Math.max(b, a + 2) + 4 * scale;
      const fits = [[full, from, b], [full, beside, limit], [f.id, from, b], [f.id, beside, Infinity]].find(([text, x, end]) => x + wide(text) <= end);
      ctx.fillStyle = fits[1] === beside ? H.colour("ink") : H.colour("paper");
      ctx.fillText(fits[0], fits[1], y + row / 2);
    }
    for (const mark of H.data.marks) {
      const x = u.valToPos(mark.t, "x", true);
      const y = bbox.top + row * (kinds.length + mark.node + 0.5);
      ctx.fillStyle = ctx.strokeStyle = mark.what === "start" ? H.colour("good") : mark.what === "exit" || mark.what === "panic" ? H.colour("bad") : H.colour("ink");
      ctx.fillRect(x - scale, y - row / 2 + 3 * scale, 2 * scale, row - 6 * scale);
      // Words for what is rare; leases change hands too often for them.
      if (!mark.what.startsWith("lease")) ctx.fillText(mark.what.replaceAll("_", " "), x + 4 * scale, y);
    }
    ctx.restore();
  };
  const options = {
    height: rows * 22 + 44,
    legend: false,
    y: { range: () => [0, 1] },
    axis: { ...H.axis(), values: () => [], splits: () => [], grid: { show: false }, ticks: { show: false } },
    hooks: { draw: [draw] },
  };
  H.timeChart("events", [[0, H.data.end || 1], [null, null]], [{ label: "" }], options);
};
