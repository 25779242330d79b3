// Puts the page together.
const choices = (id, all, names, chosen) => {
  const menu = H.byId(id);
  menu.append(H.element("option", { value: "" }, all));
  names.forEach((name, i) => menu.append(H.element("option", { value: i }, name)));
  menu.addEventListener("change", () => {
    chosen(menu.value === "" ? null : Number(menu.value));
    H.filterChanged();
  });
};

const tools = () => {
  const ends = H.byId("filter-end");
  H.ends.forEach((name, end) => {
    const box = H.element("input", { type: "checkbox", value: end });
    box.checked = true;
    box.addEventListener("change", () => {
      H.filter.ends[end] = box.checked;
      H.filterChanged();
    });
    ends.append(H.element("label", {}, box, " " + name));
  });
  choices("filter-kind", "every", H.data.kinds, (kind) => (H.filter.kind = kind));
  choices("filter-node", "every", H.data.nodes, (node) => (H.filter.node = node));
  choices("filter-key", "every", H.data.keys, (key) => (H.filter.key = key));
  H.byId("all-points").addEventListener("change", (e) => {
    H.filter.all = e.target.checked;
    H.filterChanged();
  });
  H.byId("reset-zoom").addEventListener("click", H.resetZoom);
  H.byId("find").addEventListener("submit", (e) => {
    e.preventDefault();
    const op = H.byId("find-op").value.trim();
    if (/^\d+$/.test(op)) location.hash = "#op=" + op;
  });
};

tools();
H.eventsChart();
H.latencyChart();
H.timeCharts();
H.curveChart();
H.lanes();
addEventListener("hashchange", H.followLink);
H.followLink();
