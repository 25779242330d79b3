// Latency of every op: a shade for how many lie where, and points for those that can be opened.
H.latencyChart = () => {
  const d = H.data.density;
  for (const part of d.parts) part.cells = H.sums(part.cells);
  const o = H.ops;
  const high = d.low_us * Math.pow(d.ratio, d.rows);
  const near = 14; // Pixels within which a point is meant.
  let shades = null;
  let shown = [];

  // All ops that pass, added up cell by cell. The density knows no keys: with a key chosen there is none.
  const sumUp = () => {
    const f = H.filter;
    shades = { counts: new Uint32Array(d.columns * d.rows), most: 0, ops: 0 };
    if (f.key === null) {
      for (const part of d.parts) {
        if (!f.ends[part.end] || (f.kind !== null && part.kind !== f.kind) || (f.node !== null && part.node !== f.node)) continue;
        part.cells.forEach((cell, i) => {
          shades.counts[cell] += part.counts[i];
          shades.ops += part.counts[i];
          shades.most = Math.max(shades.most, shades.counts[cell]);
        });
      }
    }
    shown = [];
    for (let i = 0; i < o.count; i++) if (H.passes(i)) shown.push(i);
    const points = `${H.count(shown.length)} of ${H.count(H.data.total)} ops as points`;
    const silent = o.without_answer[1] < o.without_answer[0] ? ` (${H.count(o.without_answer[1])} of ${H.count(o.without_answer[0])} failed or unknown ones)` : "";
    const shade = f.key === null ? `all ${H.count(shades.ops)} that pass the filter as shade, in cells of ${H.digits(d.column_s * 1e3)} ms by ${H.digits((d.ratio - 1) * 100)} %` : "no shade, since it does not know keys";
    H.byId("shown").textContent = `Latency chart: ${points}${silent}; ${shade}. This page can open ${H.count(o.count)} ops.`;
  };

  const shade = (u) => {
    const { ctx, bbox } = u;
    // Few ops are pale, many are dense: sixteen steps of one scale, so that a colour is looked up and not made for each cell.
    const [low, middle, high] = ["shade-low", "shade-middle", "shade-high"].map(H.colour);
    const steps = Array.from({ length: 16 }, (_, i) => (i < 8 ? H.between(low, middle, i / 8) : H.between(middle, high, (i - 8) / 7)));
    const top = Math.log(shades.most + 1);
    const [min, max] = [u.scales.x.min, u.scales.x.max];
    const first = Math.max(0, Math.floor(min / d.column_s));
    const last = Math.min(d.columns - 1, Math.ceil(max / d.column_s));
    const y = [];
    for (let row = 0; row <= d.rows; row++) y.push(u.valToPos(d.low_us * Math.pow(d.ratio, row), "y", true));
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (let column = first; column <= last; column++) {
      const a = u.valToPos(column * d.column_s, "x", true);
      const width = Math.max(1, u.valToPos((column + 1) * d.column_s, "x", true) - a);
      for (let row = 0; row < d.rows; row++) {
        const n = shades.counts[column * d.rows + row];
        if (!n) continue;
        ctx.fillStyle = steps[Math.min(15, Math.floor((16 * Math.log(n)) / top))];
        ctx.fillRect(a, y[row + 1], width, Math.max(1, y[row] - y[row + 1]));
      }
    }
    ctx.restore();
  };

  // Each outcome has its own shape: dot, ring, cross, triangle.
  const shapes = [
    (ctx, x, y, r) => (ctx.beginPath(), ctx.arc(x, y, r, 0, 7), ctx.fill()),
    (ctx, x, y, r) => (ctx.beginPath(), ctx.arc(x, y, r, 0, 7), ctx.stroke()),
    (ctx, x, y, r) => (ctx.beginPath(), ctx.moveTo(x - r, y - r), ctx.lineTo(x + r, y + r), ctx.moveTo(x - r, y + r), ctx.lineTo(x + r, y - r), ctx.stroke()),
    (ctx, x, y, r) => (ctx.beginPath(), ctx.moveTo(x, y - r * 1.3), ctx.lineTo(x + r * 1.2, y + r), ctx.lineTo(x - r * 1.2, y + r), ctx.fill()),
  ];

  const place = (u, i, canvas) => [u.valToPos(o.due[i] / 1e6, "x", canvas), u.valToPos(Math.max(o.took[i], d.low_us), "y", canvas)];

  const points = (u) => {
    const { ctx, bbox } = u;
    const colours = H.endColours.map(H.colour);
    const r = 2.4 * devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.lineWidth = 1.3 * devicePixelRatio;
    const [min, max] = [u.scales.x.min * 1e6, u.scales.x.max * 1e6];
    for (const i of shown) {
      if (o.due[i] < min || o.due[i] > max) continue;
      const [x, y] = place(u, i, true);
      ctx.fillStyle = ctx.strokeStyle = colours[o.end[i]];
      // Single ok ops are light beside the mass; what failed or is unknown is not.
      ctx.globalAlpha = o.end[i] < 2 ? 0.4 : 0.9;
      shapes[o.end[i]](ctx, x, y, o.end[i] < 2 ? r * 0.8 : r);
    }
    ctx.globalAlpha = 1;
    const timeout = H.data.timeout;
    if (timeout !== null) {
      const y = u.valToPos(timeout * 1e6, "y", true);
      ctx.strokeStyle = ctx.fillStyle = H.colour("unknown");
      ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.lineWidth = devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.font = 11 * devicePixelRatio + "px system-ui, sans-serif";
      ctx.textAlign = "right";
      ctx.textBaseline = y - bbox.top > 16 * devicePixelRatio ? "bottom" : "top";
      ctx.fillText("op timeout " + H.duration(timeout * 1e6), bbox.left + bbox.width - 4, y);
    }
    if (H.opened !== undefined) {
      const [x, y] = place(u, H.opened, true);
      ctx.strokeStyle = H.colour("ink");
      ctx.lineWidth = 2 * devicePixelRatio;
      shapes[1](ctx, x, y, r * 2.6);
    }
    ctx.restore();
  };

  const nearest = (u, left, top) => {
    let best = null;
    let least = near * near;
    for (const i of shown) {
      const [x, y] = place(u, i, false);
      const away = (x - left) ** 2 + (y - top) ** 2;
      if (away < least) [best, least] = [i, away];
    }
    return best;
  };

  // From the keyboard, the slowest op shown near the cursor is meant.
  const enter = (t) => {
    const [min, max] = H.view();
    const reach = (max - min) / 50;
    const close = shown.filter((i) => Math.abs(o.due[i] / 1e6 - t) <= reach).sort((a, b) => o.took[b] - o.took[a]);
    if (close.length) H.linkTo(close[0]);
  };

  sumUp();
  const chart = H.timeChart("latency", [[0, H.data.end || 1], [null, null]], [{ label: "" }], {
    height: 330,
    legend: false,
    enter,
    y: { distr: 3, range: () => [d.low_us / 1.2, Math.max(high, (H.data.timeout || 0) * 1e6) * 1.2] },
    axis: H.logAxis(H.duration),
    hooks: {
      drawAxes: [shade],
      draw: [points],
      setCursor: [
        (u) => {
          const i = u.cursor.top >= 0 && u.cursor.left >= 0 ? nearest(u, u.cursor.left, u.cursor.top) : null;
          u.over.classList.toggle("on-point", i !== null);
          if (i !== null) H.byId("readout").textContent = H.opLine(i);
        },
      ],
    },
  });
  let pressed = null;
  chart.over.addEventListener("mousedown", (e) => (pressed = [e.clientX, e.clientY]));
  chart.over.addEventListener("click", (e) => {
    // The end of a drag is no click.
    if (pressed && Math.hypot(e.clientX - pressed[0], e.clientY - pressed[1]) > 4) return;
    const box = chart.over.getBoundingClientRect();
    const i = nearest(chart, e.clientX - box.left, e.clientY - box.top);
    if (i !== null) H.linkTo(i);
  });
  const legend = H.element("p", { class: "key" });
  ["●", "○", "×", "▲"].forEach((shape, end) => legend.append(H.element("span", { class: "k-" + H.endColours[end] }, `${shape} ${H.ends[end]}`)));
  H.byId("chart-latency").append(legend);
  H.latency = chart;
  H.onFilter.push(() => {
    sumUp();
    chart.redraw(false, true);
  });
  H.shownOps = () => shown;
  H.shadedOps = () => shades.ops;
};
