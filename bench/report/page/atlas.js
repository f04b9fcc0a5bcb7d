"use strict";
// Shows the operators whose names have the text that is searched for, and that have a chosen verdict by a chosen route.
(() => {
  const search = document.getElementById("search");
  const boxes = [...document.querySelectorAll("[data-verdict]")];
  const rows = [...document.querySelectorAll("[data-operator]")];
  const route = document.getElementById("route");
  const groups = [...document.querySelectorAll("[data-group]")];
  const shown = document.getElementById("shown");

  function show() {
    const words = search.value.toLowerCase().split(/\s+/);
    const chosen = boxes.filter((box) => box.checked).map((box) => `=${box.dataset.verdict}`);
    let count = 0;
    for (const row of rows) {
      const named = words.every((word) => row.dataset.operator.toLowerCase().includes(word));
      const verdicts = row.dataset.verdicts.split("|").filter((one) => one.startsWith(route.value ? `${route.value}=` : ""));
      row.hidden = !(named && verdicts.some((one) => chosen.some((verdict) => one.endsWith(verdict))));
      count += row.hidden ? 0 : 1;
    }
    for (const group of groups) {
      group.hidden = !group.querySelector("[data-operator]:not([hidden])");
    }
    shown.textContent = `${count} of ${rows.length} operators`;
  }

  search.addEventListener("input", show);
  route.addEventListener("change", show);
  boxes.forEach((box) => box.addEventListener("change", show));
  for (const button of document.querySelectorAll("[data-check]")) {
    button.addEventListener("click", () => {
      boxes.forEach((box) => { box.checked = Boolean(button.dataset.check); });
      show();
    });
  }

  // A link to an operator unfolds it.
  function unfold() {
    const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (row && row.dataset.operator) {
      row.open = true;
      row.scrollIntoView();
    }
  }

  window.addEventListener("hashchange", unfold);
  unfold();
})();
