"use strict";
// Shows the operators whose names have the text that is searched for and whose verdicts are chosen.
(() => {
  const search = document.getElementById("search");
  const boxes = [...document.querySelectorAll("[data-verdict]")];
  const rows = [...document.querySelectorAll("[data-operator]")];
  const shown = document.getElementById("shown");

  function show() {
    const words = search.value.toLowerCase().split(/\s+/);
    const chosen = boxes.filter((box) => box.checked).map((box) => `|${box.dataset.verdict}|`);
    let count = 0;
    for (const row of rows) {
      const named = words.every((word) => row.dataset.operator.toLowerCase().includes(word));
      row.hidden = !(named && chosen.some((verdict) => row.dataset.verdicts.includes(verdict)));
      count += row.hidden ? 0 : 1;
    }
    shown.textContent = `${count} of ${rows.length} operators`;
  }

  search.addEventListener("input", show);
  boxes.forEach((box) => box.addEventListener("change", show));
})();
