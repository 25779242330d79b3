// The live page of `heckle serve`. Everything from the run is put in as text, never as markup.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const at = (id) => document.getElementById(id);
  const say = (id, words) => { if (at(id).textContent !== words) at(id).textContent = words; };
  const count = (n) => Math.round(n).toLocaleString("en-US");
  const digits = (x) => (x >= 100 ? x.toFixed(0) : Number(x.toPrecision(3)).toString());
  const latency = (ms) => ms == null ? "–" : ms < 1 ? digits(ms * 1000) + " µs" : ms < 1000 ? digits(ms) + " ms" : digits(ms / 1000) + " s";
  const JUDGE = { off: ["dim", "judged at the end"], no_violation: ["good", "no violation so far"], violation: ["bad", "violation"] };
  // Names, classes and dash patterns of the lines: no line depends on its colour alone.
  const RATES = [
    ["sent", "invoked", "sent", ""],
    ["applied", "applied", "ok", "6 3"],
    ["condition not met", "condition_not_met", "notmet", "2 3"],
    ["failed", "failed", "failed", "8 3 2 3"],
    ["unknown", "unknown", "unknown", ""],
  ];
  const LATENCIES = [["p50", "p50_ms", "p50", "6 3"], ["p99", "p99_ms", "p99", ""]];
  const HEIGHT = 200, LEFT = 56, RIGHT = 12, TOP = 8, BOTTOM = 24;

  const node = (name, attributes, words) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (words !== undefined) made.textContent = words;
    return made;
  };
  const step = (span, wanted) => {
    const rough = Math.max(span / wanted, 1e-9), base = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 5, 10].map((m) => m * base).find((s) => s >= rough * 0.999) || base * 10;
  };
  const timeStep = (span, wanted) => [1, 2, 5, 10, 15, 30, 60, 120, 300].find((s) => span / s <= wanted) || 600;
  const clock = (s) => s < 60 ? s + " s" : Math.floor(s / 60) + ":" + String(Math.round(s % 60)).padStart(2, "0");

  const legend = (id, lines, values) => {
    const parts = lines.map(([name, , type, dash], i) => {
      const part = document.createElement("span");
      const sign = node("svg", { width: 28, height: 10, "aria-hidden": "true" });
      sign.append(node("line", { x1: 0, x2: 28, y1: 5, y2: 5, class: "line " + type, "stroke-dasharray": dash }));
      part.append(sign, " " + name + " " + values[i]);
      return part;
    });
    at(id).replaceChildren(...parts);
  };

  // One chart: lines over time, with bands for faults. `scale` maps values to 0..1 and knows its ticks.
  const chart = (id, run, lines, scale, label) => {
    const box = at(id), width = Math.max(box.clientWidth, 240);
    const last = Math.max(run.now_s, 10), first = Math.max(0, run.points.length ? run.points[0].t_s - run.points[0].length_s : 0);
    const x = (t) => LEFT + (t - first) / (last - first) * (width - LEFT - RIGHT);
    const y = (v) => TOP + (1 - scale.place(v)) * (HEIGHT - TOP - BOTTOM);
    const svg = node("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label });
    for (const fault of run.faults) {
      const from = Math.max(fault.began_s, first), to = Math.min(fault.ended_s ?? last, last);
      if (to < first) continue;
      const band = node("rect", { x: x(from), y: TOP, width: Math.max(x(to) - x(from), 1), height: HEIGHT - TOP - BOTTOM, class: "band" });
      band.append(node("title", {}, fault.label));
      svg.append(band);
      // About 7 pixels a letter; a name that does not fit is in the list below.
      if (x(to) - x(from) > fault.label.length * 7) svg.append(node("text", { x: x(from) + 4, y: TOP + 12, class: "name" }, fault.label));
    }
    for (const tick of scale.ticks) {
      svg.append(node("line", { x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick), class: "grid" }));
      svg.append(node("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, scale.words(tick)));
    }
    const every = timeStep(last - first, width < 500 ? 4 : 8);
    for (let t = Math.ceil(first / every) * every; t <= last; t += every) {
      const anchor = x(t) > width - 30 ? "end" : "middle";
      svg.append(node("text", { x: x(t), y: HEIGHT - 6, "text-anchor": anchor }, clock(t)));
    }
    for (const [, field, type, dash] of lines) {
      let path = "", open = false;
      for (const point of run.points) {
        const value = scale.value(point, field);
        if (value == null) { open = false; continue; }
        path += `${open ? "L" : "M"}${x(point.t_s).toFixed(1)} ${y(value).toFixed(1)}`;
        // A single point would have no length.
        if (!open) path += "h0.1";
        open = true;
      }
      svg.append(node("path", { d: path, class: "line " + type, "stroke-dasharray": dash }));
    }
    box.replaceChildren(svg);
    return { svg, y, width };
  };

  const draw = (run) => {
    const ops = Object.values(run.ops).reduce((sum, kind) => {
      for (const [name, n] of Object.entries(kind)) sum[name] = (sum[name] || 0) + n;
      return sum;
    }, {});
    const point = run.points[run.points.length - 1];
    const rate = (p, field) => p.length_s > 0 ? p[field] / p.length_s : null;
    const [type, words] = JUDGE[run.judge] || JUDGE.off;
    at("judge").className = type;
    say("judge", words);
    say("plan", run.plan || run.run_id);
    say("time", digits(run.now_s) + " s");
    say("sent", point && run.has_load ? count(rate(point, "invoked")) : "–");
    say("p50", latency(point && run.has_load ? point.p50_ms : null));
    say("p99", latency(point && run.has_load ? point.p99_ms : null));
    for (const [id, field] of [["invoked", "invoked"], ["applied", "applied"], ["refused", "condition_not_met"], ["failed", "failed"], ["unknown", "unknown"]])
      say(id, count(ops[field] || 0));
    const of = run.now_s < run.tail_end_s ? `, ${run.now_s.toFixed(0)} of ${run.tail_end_s.toFixed(0)} s` : "";
    say("note", run.stopping ? "Stopping: " + run.stopping : run.phase + of);
    at("progress").max = run.tail_end_s || 1;
    at("progress").value = Math.min(run.now_s, run.tail_end_s || 1);
    document.title = `${clock(Math.round(run.now_s))} · ${words} · ${run.plan}`;

    const most = Math.max(10, run.target_unit === "ops" && run.target_per_s || 0, ...run.points.map((p) => rate(p, "invoked") || 0)) * 1.15;
    const every = step(most, 5);
    const rates = { place: (v) => Math.min(v / most, 1), value: rate, words: count, ticks: [] };
    for (let v = 0; v <= most; v += every) rates.ticks.push(v);
    const drawn = chart("rate", run, RATES, rates, "ops a second by outcome");
    const now = RATES.map(([, field]) => point ? count(rate(point, field)) : "–");
    legend("rate-legend", RATES, now);
    if (run.target_per_s && run.target_unit === "ops") {
      const y = drawn.y(run.target_per_s);
      drawn.svg.append(node("line", { x1: LEFT, x2: drawn.width - RIGHT, y1: y, y2: y, class: "target" }));
      drawn.svg.append(node("text", { x: drawn.width - RIGHT, y: y - 4, "text-anchor": "end" }, "target " + count(run.target_per_s)));
    }

    const seen = run.points.flatMap((p) => [p.p50_ms, p.p99_ms]).filter((v) => v > 0);
    const low = Math.floor(Math.log10(Math.min(1, ...seen))), high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(10, ...seen))));
    const log = { place: (v) => (Math.log10(Math.max(v, 10 ** low)) - low) / (high - low), value: (p, field) => p[field], words: latency, ticks: [] };
    for (let e = low; e <= high; e++) log.ticks.push(10 ** e);
    chart("latency", run, LATENCIES, log, "latency of ok ops, median and 99th percentile");
    legend("latency-legend", LATENCIES, LATENCIES.map(([, field]) => latency(point && point[field])));

    const faults = run.faults.slice().reverse().map((fault) => {
      const line = document.createElement("li");
      const lasted = fault.ended_s == null ? "lasts" : (fault.ended_s - fault.began_s).toFixed(1) + " s long";
      line.textContent = `${fault.label} at ${fault.began_s.toFixed(1)} s, ${lasted}`;
      return line;
    });
    at("fault-list").replaceChildren(...faults);
  };

  const link = (path) => {
    const made = document.createElement("a");
    made.href = "/browse/" + path.split("/").map(encodeURIComponent).join("/") + "/";
    made.textContent = path;
    return made;
  };
  let path = null, latest = null;
  const follow = (now) => {
    if (now === path) return;
    path = now;
    at("path").replaceChildren(link(now));
  };
  const state = document.getElementById("state");
  if (state) {
    latest = JSON.parse(state.textContent);
    draw(latest);
  }
  const events = new EventSource("/live/events" + location.search);
  events.addEventListener("live", (event) => {
    const message = JSON.parse(event.data);
    follow(message.path);
    latest = message.run;
    draw(latest);
  });
  events.addEventListener("over", (event) => {
    const over = JSON.parse(event.data);
    follow(over.path);
    at("judge").className = over.class;
    say("judge", over.words);
    say("note", `Over: ${over.words}. ${over.reason}`);
    document.title = `${over.words} · ${over.name}`;
    if (location.search) events.close();
  });
  events.addEventListener("idle", () => { if (path === null) say("note", "No run is in progress. This page shows the next one as soon as it begins."); });
  events.onerror = () => { if (events.readyState !== EventSource.CLOSED) say("note", "The server does not answer; trying again."); };
  window.addEventListener("resize", () => { if (latest) draw(latest); });
})();
