"use strict";
// Steps through a counterexample with buttons or the arrow keys. The list of steps is part of the page; this marks where the reader is.
for (const walk of document.querySelectorAll(".walk")) {
  const steps = [...walk.querySelectorAll(".walk-steps > li")];
  const drawing = walk.closest(".argument");
  const ops = [...drawing.querySelectorAll(".a-op")];
  const [back, on, now] = [".walk-back", ".walk-on", ".walk-now"].map((name) => walk.querySelector(name));
  let at = -1;
  const show = (next) => {
    at = Math.max(0, Math.min(steps.length - 1, next));
    const named = (step) => step.dataset.ops.split(" ");
    const [here, done] = [new Set(named(steps[at])), new Set(steps.slice(0, at).flatMap(named))];
    steps.forEach((step, i) => {
      step.classList.toggle("here", i === at);
      if (i === at) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    });
    drawing.classList.add("stepping");
    for (const op of ops) {
      op.classList.toggle("here", here.has(op.dataset.op));
      op.classList.toggle("done", done.has(op.dataset.op));
    }
    now.textContent = `step ${at} of ${steps.length - 1}: ${steps[at].firstElementChild.textContent}`;
    back.disabled = at === 0;
    on.disabled = at === steps.length - 1;
  };
  back.addEventListener("click", () => show(at - 1));
  on.addEventListener("click", () => show(at + 1));
  walk.addEventListener("keydown", (e) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
    if (move === undefined || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    show(at + move);
  });
  walk.querySelector(".walk-tools").hidden = false;
}
