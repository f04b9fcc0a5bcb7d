"use strict";
// What the page does by itself: draws the charts in the reader's colours, highlights what the legend chooses,
// says what is under the pointer, sorts and filters tables. Text from the data only ever becomes text.
(async () => {
  const { charts: specs, tables } = await unpacked("packed");
  const root = document.documentElement;
  const views = new Map();
  const LOOK = {
    mode: "vega",
    renderer: "svg",
    actions: false,
    defaultStyle: false,
    hover: false,
    ast: true, // expressions are interpreted, so that the page's policy needs to allow no evaluation
    tooltip: (_, event, __, datum) => (datum?.notes ? showTip(event, datum.notes) : hideTip()),
  };

  async function unpacked(identifier) {
    const letters = atob(document.getElementById(identifier).textContent);
    const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  }

  // Charts name colours "@token"; the style sheet knows what a token is now. Data stays as it is.
  function painted(part, colourOf) {
    if (Array.isArray(part)) return part.map((inner) => painted(inner, colourOf));
    if (part && typeof part === "object") {
      return Object.fromEntries(
        Object.entries(part).map(([key, inner]) => [key, key === "data" ? inner : painted(inner, colourOf)]),
      );
    }
    return typeof part === "string" && part.startsWith("@") ? colourOf(part.slice(1)) : part;
  }

  async function draw(place) {
    const style = getComputedStyle(root);
    const colourOf = (token) => style.getPropertyValue(`--${token}`).trim() || `@${token}`;
    const chart = painted(specs[place.dataset.chart], colourOf);
    chart.signals.find((signal) => signal.name === "focus").value = chosenIn(place.closest("figure"));
    const before = views.get(place);
    const { view } = await vegaEmbed(place, chart, LOOK);
    before?.finalize();
    views.set(place, view);
  }

  const places = [...document.querySelectorAll("[data-chart]")];
  const isOpen = (place) => !place.closest("details:not([open])");
  const drawAll = () => Promise.all(places.filter(isOpen).map(draw));

  // A chart has no width before its fold is open, and so is drawn then.
  const undrawnIn = (fold) => [...fold.querySelectorAll("[data-chart]")].filter((place) => !views.has(place));
  document.querySelectorAll("details").forEach((fold) => {
    fold.addEventListener("toggle", () => {
      if (!fold.open) return;
      undrawnIn(fold).filter(isOpen).forEach(draw);
      fillIn(fold);
    });
  });

  // A link to a part that is folded opens it.
  function unfold() {
    for (let part = document.getElementById(location.hash.slice(1)); part; part = part.parentElement) {
      if (part.tagName === "DETAILS") part.open = true;
    }
  }
  addEventListener("hashchange", unfold);
  unfold();

  // Legend: one entry or one family at a time; choosing it again shows all.
  function chosenIn(figure) {
    return figure.querySelector(".legend [aria-pressed=true]")?.dataset.focus ?? "";
  }

  document.querySelectorAll(".legend button").forEach((button) => {
    button.addEventListener("click", () => {
      const wasChosen = button.getAttribute("aria-pressed") === "true";
      const figure = button.closest("figure");
      figure.querySelectorAll(".legend button").forEach((other) => other.setAttribute("aria-pressed", "false"));
      button.setAttribute("aria-pressed", String(!wasChosen));
      for (const place of figure.querySelectorAll("[data-chart]")) {
        views.get(place)?.signal("focus", chosenIn(figure)).run();
      }
    });
  });

  // Tooltip: pairs of a name and a text; a line without a name is a heading.
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);

  function line(tag, text, className = "") {
    const element = document.createElement(tag);
    element.textContent = text;
    element.className = className;
    return element;
  }

  function showTip(event, notes) {
    const list = document.createElement("dl");
    for (const [name, text] of notes) {
      if (name) list.append(line("dt", name), line("dd", text));
      else list.append(line("dd", text, "head"));
    }
    tip.replaceChildren(list);
    tip.hidden = false;
    const point = event.touches?.[0] ?? event;
    const box = tip.getBoundingClientRect();
    const left = point.clientX + 14 + box.width > innerWidth ? point.clientX - 14 - box.width : point.clientX + 14;
    const top = point.clientY + 14 + box.height > innerHeight ? point.clientY - 14 - box.height : point.clientY + 14;
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, top)}px`;
  }

  function hideTip() {
    tip.hidden = true;
  }

  addEventListener("scroll", hideTip, { passive: true, capture: true });
  addEventListener("keydown", (event) => event.key === "Escape" && hideTip());

  // Long tables get their rows when they are looked at.
  function made(value, isHead) {
    const [text, number, path, factor, tone] = Array.isArray(value) ? value : [value, null, "", 1, ""];
    const cell = line(isHead ? "th" : "td", text, tone);
    if (isHead) cell.scope = "row";
    if (number !== null) cell.dataset.value = number;
    if (path) cell.dataset.path = path;
    if (factor !== 1) cell.dataset.factor = factor;
    return cell;
  }

  function fillIn(part) {
    for (const table of part.querySelectorAll("table[data-rows]")) {
      const rows = tables[table.dataset.rows].map((values) => {
        const row = document.createElement("tr");
        row.append(...values.map((value, place) => made(value, place === 0)));
        return row;
      });
      table.tBodies[0].append(...rows);
      delete table.dataset.rows;
    }
  }

  // Tables: numbers sort by their value, the rest by its text; empty cells stay last either way.
  function keyOf(row, column) {
    const cell = row.children[column];
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    return cell.textContent.trim();
  }

  function compare(left, right) {
    if (typeof left === "number" && typeof right === "number") return left - right;
    return String(left).localeCompare(String(right), "en", { numeric: true });
  }

  function sort(heading) {
    const table = heading.closest("table");
    const column = heading.cellIndex;
    const descending = heading.getAttribute("aria-sort") === "ascending";
    table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => ({ row, key: keyOf(row, column) }));
    const filled = keyed.filter(({ key }) => key !== "");
    filled.sort((a, b) => (descending ? compare(b.key, a.key) : compare(a.key, b.key)));
    body.append(...filled.map(({ row }) => row), ...keyed.filter(({ key }) => key === "").map(({ row }) => row));
  }

  document.querySelectorAll("thead button").forEach((button) => {
    button.addEventListener("click", () => sort(button.parentElement));
  });

  document.querySelectorAll("[data-filters]").forEach((input) => {
    const body = document.getElementById(`table-${input.dataset.filters}`).tBodies[0];
    const count = input.parentElement.querySelector("output");
    input.addEventListener("input", () => {
      const rows = [...body.rows];
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
      const shown = rows.filter((row) => !row.hidden).length;
      count.textContent = shown === rows.length ? `${shown} rows` : `${shown} of ${rows.length} rows`;
    });
  });

  // Colours follow the reader's system; paper is always light. What is folded is printed where the reader opened it.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("beforeprint", () => {
    root.dataset.scheme = "light";
    drawAll();
  });
  addEventListener("afterprint", () => {
    delete root.dataset.scheme;
    drawAll();
  });

  drawAll().then(() => (root.dataset.charts = "drawn"));
})();
