// The ops that can be opened: their columns, their details, and links to them.
H.ops = H.data.kept;
H.ops.due = H.sums(H.ops.due);
H.ops.count = H.ops.op.length;

H.nodeName = (node) => (node === null ? "–" : H.data.nodes[node]);

// Whether op number i is to be seen.
H.passes = (i) => {
  const f = H.filter;
  const o = H.ops;
  return (
    f.ends[o.end[i]] &&
    (f.kind === null || o.kind[i] === f.kind) &&
    (f.node === null || o.node[i] === f.node) &&
    (f.key === null || o.key[i] === f.key) &&
    (f.all || o.notable[i] === 1)
  );
};

const asked = (i) => {
  const o = H.ops;
  const value = (v) => (v === null ? "null" : String(v));
  const kind = H.data.kinds[o.kind[i]];
  if (kind === "read") return o.end[i] === 0 ? "read " + value(o.saw[i]) : "read ?";
  if (kind === "write") return "write " + value(o.new[i]);
  const cas = "cas " + value(o.expected[i]) + " → " + value(o.new[i]);
  return o.end[i] === 1 ? cas + ", saw " + value(o.saw[i]) : cas;
};

// One line for the readout.
H.opLine = (i) => {
  const o = H.ops;
  return `op ${o.op[i]}: ${asked(i)}, ${H.ends[o.end[i]]} after ${H.duration(o.took[i])} at ${H.nodeName(o.node[i])}`;
};

const met = (i) => {
  const from = H.ops.due[i] / 1e6;
  const to = from + H.ops.took[i] / 1e6;
  return H.data.faults.filter((f) => f.began <= to && f.ended >= from);
};

// What is known of op number i, in pairs of name and words.
const details = (i) => {
  const o = H.ops;
  const rows = [
    ["asked", `${asked(i)} on key ${H.data.keys[o.key[i]]}`],
    ["ended", o.open[i] ? "never: the history ends before it" : H.ends[o.end[i]] + (o.reason[i] === null ? "" : ": " + o.reasons[o.reason[i]].replaceAll("_", " "))],
    ["due at", H.seconds(o.due[i] / 1e6)],
    ["sent", H.duration(o.wait[i]) + " later"],
    ["took", H.duration(o.took[i]) + " from when it was due"],
    ["node", H.nodeName(o.node[i]) + (o.sent_to[i] !== null && o.sent_to[i] !== o.node[i] ? `, sent to ${H.nodeName(o.sent_to[i])}` : "")],
    ["process", o.process[i] + (o.client[i] === null ? "" : ` of client c${o.client[i]}`)],
  ];
  if (o.rounds[i]) rows.push(["rounds", `${o.rounds[i]}, outbid ${o.preempted[i]} times, ${H.duration(o.backoff[i])} of backing off`]);
  const faults = met(i).map((f) => `${f.id} (${f.kind} ${f.targets})`);
  rows.push(["faults met", faults.length ? faults.join(", ") : "none"]);
  for (const [name, value] of Object.entries(o.details[i] || {})) {
    rows.push([name.replaceAll("_", " "), typeof value === "object" ? JSON.stringify(value) : String(value)]);
  }
  return rows;
};

const shortcut = (op) => `zstdcat history.jsonl.zst | grep -E '"op":${op}[,}]'`;

H.openOp = (i) => {
  const place = H.byId("op");
  const list = H.element("dl");
  for (const [name, words] of details(i)) list.append(H.element("dt", {}, name), H.element("dd", {}, words));
  const zoom = H.element("button", { type: "button" }, "Show in the charts");
  zoom.addEventListener("click", () => {
    const [from, to] = [H.ops.due[i] / 1e6, (H.ops.due[i] + H.ops.took[i]) / 1e6];
    const air = Math.max(0.25, (to - from) / 2);
    H.zoomTo(from - air, to + air);
    H.byId("chart-latency").scrollIntoView({ block: "center" });
  });
  place.replaceChildren(H.element("h3", {}, `op ${H.ops.op[i]}`), list, H.element("p", { class: "dim" }, "In the folder: "), H.element("pre", {}, shortcut(H.ops.op[i])), zoom);
  place.hidden = false;
  H.opened = i;
  H.recolour();
};

const missing = (op) => {
  const all = H.ops.count === H.data.total;
  const why = all
    ? `There is no op ${op} in this run.`
    : `Op ${op} is not among the ${H.count(H.ops.count)} of ${H.count(H.data.total)} ops that this page keeps. The run's folder has it:`;
  const place = H.byId("op");
  place.replaceChildren(H.element("h3", {}, `op ${op}`), H.element("p", {}, why));
  if (!all) place.append(H.element("pre", {}, shortcut(op)));
  place.hidden = false;
};

// Opens the op that the address names: `#op=812`.
H.followLink = () => {
  const named = /^#op=(\d+)$/.exec(location.hash);
  if (!named) return;
  const i = H.ops.op.findIndex((op) => String(op) === named[1]);
  if (i >= 0) H.openOp(i);
  else missing(named[1]);
  H.byId("op").scrollIntoView({ block: "nearest" });
  H.byId("op").focus({ preventScroll: true });
};

H.linkTo = (i) => {
  const link = "#op=" + H.ops.op[i];
  if (location.hash === link) H.followLink();
  else location.hash = link;
};
