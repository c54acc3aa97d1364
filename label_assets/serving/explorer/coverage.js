// What is materialized: instruments × months, from counts of the table labels.

import { get } from "./api.js";
import { MONTHS, byId, element, shownCount } from "./page.js";

export function loadCoverage({ granularity, horizon }, signal) {
  return get("/v1/coverage", { granularity, horizon }, signal);
}

/** Draws the grid; `onChoose(instrument, month)` is called when a month is chosen. */
export function showCoverage({ granularity, horizon, instruments, months }, { instrument, onChoose }) {
  const rows = months.reduce((sum, cell) => sum + cell.label_rows, 0);
  const open = months.filter((cell) => cell.status === "partly open").length;
  byId("coverage-summary").textContent = months.length
    ? `${granularity}, horizon ${horizon}: ${shownCount(rows)} rows in ${months.length} months of instruments, ` +
      `${months.length - open} complete, ${open} partly open (dashed). An empty month has no rows.`
    : `No rows of ${granularity}, horizon ${horizon}. Press Materialize in the Dagster UI, or run label-assets materialize.`;
  byId("grid").replaceChildren();
  if (!months.length) return;
  const span = monthsBetween(months.map((cell) => cell.month));
  const cells = new Map(months.map((cell) => [`${cell.instrument_id} ${cell.month}`, cell]));
  const years = byYear(span);
  const head = element(
    "thead", {},
    element("tr", {}, element("td"), ...[...years].map(([year, its]) => element("th", { scope: "colgroup", colspan: its.length }, year))),
    element("tr", {}, element("th", { scope: "col" }, "Instrument"), ...span.map((month) => element("th", { scope: "col", abbr: month }, MONTHS[Number(month.slice(5)) - 1]))),
  );
  const body = element("tbody", {}, ...instruments.map((name) => element(
    "tr", {}, element("th", { scope: "row" }, name),
    ...span.map((month) => cellOf(name, month, cells.get(`${name} ${month}`), name === instrument, onChoose)),
  )));
  byId("grid").append(element("table", { class: "grid" }, head, body));
}

function cellOf(name, month, cell, isShown, onChoose) {
  if (!cell) return element("td", {}, element("span", { "aria-label": "no rows" }, "·"));
  const words = `${name} ${month}: ${cell.status}, ${shownCount(cell.label_rows)} rows, ${shownCount(cell.complete_rows)} complete, ` +
    `${shownCount(cell.open_rows)} open, ${shownCount(cell.gap_rows)} in gaps`;
  const button = element("button", {
    type: "button", title: words, "aria-label": words, class: cell.open_rows ? "part" : null, "data-month": `${name} ${month}`,
  }, String(cell.label_rows));
  button.addEventListener("click", () => onChoose(name, month));
  return element("td", { class: isShown ? "shown" : null }, button);
}

function byYear(span) {
  const found = new Map();
  for (const month of span) found.set(month.slice(0, 4), [...(found.get(month.slice(0, 4)) ?? []), month]);
  return found;
}

/** Every month from the first to the last. */
function monthsBetween(months) {
  const [first, last] = [months.reduce((a, b) => (a < b ? a : b)), months.reduce((a, b) => (a > b ? a : b))];
  const found = [];
  for (let month = first; month <= last; ) {
    found.push(month);
    const [year, number] = month.split("-").map(Number);
    month = number === 12 ? `${year + 1}-01` : `${year}-${String(number + 1).padStart(2, "0")}`;
  }
  return found;
}
