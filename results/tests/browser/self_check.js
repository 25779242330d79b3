// Run inside the page by `tests/browser.rs`: uses it as a reader would, and leaves what came of it in the document.
(async () => {
  const passed = [];
  const failed = [];
  const check = (name, holds) => (holds ? passed : failed).push(name);
  const settle = () => new Promise((done) => setTimeout(done, 60));
  const range = (chart) => [chart.scales.x.min, chart.scales.x.max].map((t) => t.toFixed(4)).join();
  const mouse = (target, type, x, y, more = {}) => {
    const box = target.getBoundingClientRect();
    const at = { bubbles: true, view: window, button: 0, clientX: box.left + x, clientY: box.top + y, movementX: 1, movementY: 1, ...more };
    target.dispatchEvent(new MouseEvent(type, at));
  };
  const key = (chart, name, more = {}) => chart.root.parentElement.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, ...more }));
  const painted = (canvas) => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let seen = 0;
    for (let i = 3; i < pixels.length; i += 4) seen += pixels[i] > 0;
    return seen > 200;
  };

  await settle();
  check("the link opens its op", !H.byId("op").hidden && H.byId("op").textContent.startsWith("op " + location.hash.slice(4)));
  check("charts are there", H.charts.length >= 6 && H.curve);
  check("every chart is painted", H.charts.concat(H.curve).every((c) => painted(c.ctx.canvas)));
  check("nothing from outside became markup", !window.broken && !document.querySelector("img[src=x]"));

  const [latency, other] = [H.latency, H.charts[H.charts.length - 1]];
  latency.root.scrollIntoView();
  const whole = range(latency);
  mouse(other.over, "mousedown", 200, 20);
  mouse(other.over, "mousemove", 320, 20);
  mouse(other.over, "mousemove", 400, 20);
  mouse(other.over, "mouseup", 400, 20);
  await settle();
  check("a drag zooms", range(other) !== whole);
  check("all charts zoom together", H.charts.every((c) => range(c) === range(other)));
  mouse(other.over, "dblclick", 200, 20);
  await settle();
  check("a double click shows the whole again", H.charts.every((c) => range(c) === whole));

  key(latency, "+");
  await settle();
  const near = range(latency);
  check("a key zooms", near !== whole && H.charts.every((c) => range(c) === near));
  key(latency, "ArrowRight", { shiftKey: true });
  await settle();
  check("a key moves the view", range(latency) !== near);
  key(latency, "0");
  await settle();
  check("a key resets", range(latency) === whole);
  key(latency, "ArrowRight");
  await settle();
  const left = H.latency.cursor.left;
  check("a key moves the cursor", left > 0 && H.byId("readout").textContent.length > 0);
  check("the cursor is shared", H.charts.every((c) => Math.abs(c.cursor.left - left) < 1.5));

  const shaded = H.shadedOps();
  const counted = (end) => H.data.density.parts.filter((p) => p.end === end).reduce((sum, p) => sum + p.counts.reduce((a, b) => a + b, 0), 0);
  check("every op is in the shade", shaded === H.data.total);
  const box = document.querySelector("#filter-end input[value='0']");
  box.click();
  await settle();
  check("the filter holds for the shade", H.shadedOps() === shaded - counted(0));
  check("the filter holds for points", H.shownOps().every((i) => H.ops.end[i] !== 0));
  box.click();
  H.byId("filter-node").value = "1";
  H.byId("filter-node").dispatchEvent(new Event("change"));
  await settle();
  check("the filter knows nodes", H.shadedOps() < shaded && H.shownOps().every((i) => H.ops.node[i] === 1));
  H.byId("filter-node").value = "";
  H.byId("filter-node").dispatchEvent(new Event("change"));
  H.byId("filter-key").value = "0";
  H.byId("filter-key").dispatchEvent(new Event("change"));
  await settle();
  check("what the shade does not know is said", H.shadedOps() === 0 && H.byId("shown").textContent.includes("no shade"));
  H.byId("filter-key").value = "";
  H.byId("filter-key").dispatchEvent(new Event("change"));
  H.byId("all-points").click();
  await settle();
  check("every op kept can be shown", H.shownOps().length === H.ops.count);
  H.byId("all-points").click();

  const target = H.shownOps().slice().sort((a, b) => H.ops.took[b] - H.ops.took[a])[0];
  const x = latency.valToPos(H.ops.due[target] / 1e6, "x");
  const y = latency.valToPos(Math.max(H.ops.took[target], H.data.density.low_us), "y");
  mouse(latency.over, "mousedown", x, y);
  mouse(latency.over, "mouseup", x, y);
  mouse(latency.over, "click", x, y);
  await settle();
  const opened = H.opened;
  check("a click opens the op it meant", Math.abs(H.ops.took[opened] - H.ops.took[target]) <= H.ops.took[target] * 0.05);
  check("the address names it", location.hash === "#op=" + H.ops.op[opened]);
  location.hash = "#op=999999999";
  await settle();
  check("an op that is not there is said to be so", /no op|not among/.test(H.byId("op").textContent));

  document.querySelectorAll("#curve-tools input").forEach((choice) => choice.click());
  await settle();
  check("every choice of curves is drawn", painted(H.curve.ctx.canvas));

  for (const drawing of document.querySelectorAll("svg.lanes")) {
    const bars = [...drawing.querySelectorAll("rect.op")].sort((a, b) => Number(b.dataset.from) - Number(a.dataset.from));
    bars[0].parentElement.dispatchEvent(new FocusEvent("focus"));
    const said = drawing.closest(".scroll").nextElementSibling.textContent;
    check("lanes show what was before", said.includes("ended before it began") && drawing.querySelectorAll(".before").length > 0);
  }
  for (const walk of document.querySelectorAll(".walk")) {
    const steps = [...walk.querySelectorAll(".walk-steps > li")];
    const here = () => steps.findIndex((step) => step.classList.contains("here"));
    const [back, on, now] = [".walk-back", ".walk-on", ".walk-now"].map((name) => walk.querySelector(name));
    check("steps can be walked", steps.length >= 3 && !walk.querySelector(".walk-tools").hidden);
    on.click();
    check("the first step is the beginning", here() === 0 && back.disabled);
    for (let i = 0; i < steps.length; i += 1) walk.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
    check("keys walk to the last step", here() === steps.length - 1 && on.disabled && now.textContent.includes("No step is possible"));
    const marked = [...walk.closest(".argument").querySelectorAll(".a-op.here")];
    check("the op that does not fit is marked in both drawings", marked.length >= 2);
    back.click();
    check("a step back", here() === steps.length - 2);
  }
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  check("names of places are unique", new Set(ids).size === ids.length);
  check("every chart can be focused", [...document.querySelectorAll(".chart")].every((c) => c.tabIndex === 0 && c.getAttribute("aria-label")));
  document.documentElement.setAttribute("data-checked", JSON.stringify({ passed, failed }));
})().catch((e) => document.documentElement.setAttribute("data-checked", JSON.stringify({ passed: [], failed: [String(e.stack)] })));
