// Percentile curves: to the right, every nine takes the same room.
H.curveChart = () => {
  const groups = [...new Set(H.data.curves.map((c) => c.by))];
  const figure = H.byId("chart-curve");
  const place = figure.querySelector(".chart");
  if (!groups.length) return void (figure.hidden = true);
  let chart = null;
  const quantile = (x) => (x <= 1 ? "0 %" : (100 - 100 / x).toFixed(Math.max(0, Math.ceil(Math.log10(x) - 1e-9) - 2)) + " %");
  const draw = (by) => {
    const curves = H.data.curves.filter((c) => c.by === by);
    // The 0th percentile stands at one in one: a logarithmic axis begins there.
    const data = uPlot.join(curves.map((c) => [c.x, c.y]));
    const series = curves.map((c, i) => ({
      label: `${c.name} (${H.count(c.count)})`,
      stroke: () => H.colour(H.lines[i % H.lines.length]),
      width: 2,
      dash: [undefined, [8, 3], [3, 3], [8, 3, 2, 3]][i % 4],
      spanGaps: true,
      points: { show: false },
      value: (u, v) => H.duration(v),
    }));
    if (chart) chart.destroy();
    const whole = [1, Math.max(10, ...curves.flatMap((c) => c.x))];
    const size = () => ({ width: Math.max(place.clientWidth, 280), height: 300 });
    chart = new uPlot(
      {
        ...size(),
        padding: [10, 24, 0, 0],
        cursor: { drag: { x: true, y: false, dist: 4 }, y: false },
        scales: {
          x: { time: false, distr: 3, range: (u, min, max) => [min, max] },
          y: { distr: 3, range: (u, min, max) => [Math.max(1, (min || 10) / 1.2), (max || 1000) * 1.3] },
        },
        axes: [{ ...H.logAxis(quantile), scale: "x", size: 30 }, H.logAxis(H.duration)],
        series: [{ label: "quicker than", value: (u, v) => (v === null ? "–" : quantile(v)) }, ...series],
      },
      data,
      place,
    );
    chart.setScale("x", { min: whole[0], max: whole[1] });
    chart.over.addEventListener("dblclick", () => chart.setScale("x", { min: whole[0], max: whole[1] }));
    H.curve = chart;
  };
  const tools = H.byId("curve-tools");
  groups.forEach((by, i) => {
    const choice = H.element("input", { type: "radio", name: "curves", value: by });
    choice.checked = i === 0;
    choice.addEventListener("change", () => draw(by));
    tools.append(H.element("label", {}, choice, " by " + by));
  });
  draw(groups[0]);
  new ResizeObserver(() => chart.setSize({ width: Math.max(place.clientWidth, 280), height: 300 })).observe(place);
  place.addEventListener("keydown", (event) => {
    const { min, max } = chart.scales.x;
    const factor = { "+": 0.7, "=": 0.7, "-": 1 / 0.7 }[event.key];
    const end = Math.max(...chart.data[0]);
    if (event.key === "0" || event.key === "Escape") chart.setScale("x", { min: 1, max: end });
    else if (factor) chart.setScale("x", { min, max: Math.min(end, min * Math.pow(max / min, factor)) });
    else return;
    event.preventDefault();
  });
  H.redraw.push(() => chart.redraw(false, true));
};
