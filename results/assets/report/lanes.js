// The lanes of a counterexample: pointing at an op shows what ended before it began, and what began after it ended.
H.lanes = () => {
  for (const drawing of document.querySelectorAll("svg.lanes")) {
    const bars = [...drawing.querySelectorAll("rect.op")];
    const said = drawing.closest(".scroll").nextElementSibling;
    const times = bars.map((bar) => [BigInt(bar.dataset.from), bar.dataset.until === "" ? null : BigInt(bar.dataset.until)]);
    const clear = () => {
      bars.forEach((bar) => bar.classList.remove("before", "after", "here"));
      said.textContent = "";
    };
    bars.forEach((bar, i) => {
      const show = () => {
        clear();
        const [from, until] = times[i];
        let [before, after] = [0, 0];
        bars.forEach((other, j) => {
          if (times[j][1] !== null && times[j][1] < from) before += !!other.classList.add("before") || 1;
          else if (until !== null && times[j][0] > until) after += !!other.classList.add("after") || 1;
        });
        bar.classList.add("here");
        said.textContent = `${bar.dataset.words} Drawn here: ${before} ended before it began, ${after} began after it ended.`;
      };
      const link = bar.parentElement;
      link.addEventListener("mouseenter", show);
      link.addEventListener("focus", show);
      link.addEventListener("mouseleave", clear);
    });
  }
};
