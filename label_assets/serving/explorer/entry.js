// The chosen candle: its barriers as prices, its path on the next finer granularity, all its labels with definitions.

import { rows } from "./api.js";
import { barrierTraces, timed, words } from "./chart.js";
import { axisOf, byId, charts, colors, element, layoutOf, shownNumber, shownTime } from "./page.js";

const MOST_LEVELS = 2000;
const SHOWN_LEVELS = 6;
const OUTCOMES = { 1: ["upper first", "rising"], "-1": ["lower first", "falling"], 0: ["neither", "neutral"] };

/** What there is of a candle: its row of labels, barriers, path, levels; null where no labels are stored. */
export async function loadEntry(catalog, { instrument, granularity, horizon }, ts, signal) {
  const second = new Date(Date.parse(ts) + 1000).toISOString();
  const address = `/v1/labels/${instrument}/${granularity}`;
  const [row] = (await rows(address, { start: ts, end: second, horizon }, 1, signal)).rows;
  if (!row) return null;
  const finer = catalog.path_granularities[granularity];
  const [path, levels] = await Promise.all([
    row.path_bars
      ? rows(`/v1/candles/${instrument}/${finer}`, { start: row.entry_ts }, row.path_bars, signal)
      : { rows: [] },
    levelsAt(instrument, granularity, row, signal),
  ]);
  const barriers = barriersOf(catalog.barriers, row);
  return {
    ts, row, horizon: Number(horizon), barriers, levels,
    path: { granularity: finer, bars: timed(path.rows) },
    prices: Object.values(barriers).flatMap((barrier) => (barrier ? [barrier.upper, barrier.lower] : [])),
    place: null,
  };
}

/** Levels active at the entry, the nearest first. */
async function levelsAt(instrument, granularity, row, signal) {
  const at = Date.parse(row.entry_ts);
  if (at + 1000 > Date.now()) return [];
  const moment = { start: row.entry_ts, end: new Date(at + 1000).toISOString() };
  const found = await rows(`/v1/levels/${instrument}/${granularity}`, moment, MOST_LEVELS, signal);
  return found.rows
    .map((level) => ({ ...level, distance: level.price - row.entry_price }))
    .sort((one, other) => Math.abs(one.distance) - Math.abs(other.distance));
}

/** Barriers as prices; null where the ATR is undefined. */
function barriersOf(width, row) {
  const price = row.entry_price;
  const needsAtr = width.atr_multiple > 0;
  const distance = width.atr_multiple * (row.atr ?? 0) + width.price_share * price;
  const plain = needsAtr && row.atr === null ? null : outcome(row.triple_barrier_label, {
    upper: price + distance, lower: price - distance,
    end: row.triple_barrier_label === null ? null : row.barrier_end_ts,
    exit: price * (1 + row.barrier_return),
    time: row.time_to_barrier,
  });
  const adjusted = row.etb_upper === null ? null : outcome(row.enhanced_triple_barrier_label, {
    upper: row.etb_upper, lower: row.etb_lower, end: row.etb_end_ts, exit: row.etb_exit_price,
    time: row.etb_time_to_barrier,
  });
  return { plain, adjusted };
}

function outcome(label, barrier) {
  const [text, color] = OUTCOMES[label] ?? ["open", "neutral"];
  return { ...barrier, outcome: text, color };
}

/** Shows a loaded candle in the panel. */
export async function showEntry(catalog, choice, entry, decimals) {
  byId("entry-hint").hidden = byId("reading").hidden = entry !== null;
  byId("entry-body").hidden = entry === null;
  if (entry === null) return;
  const { row, path, barriers } = entry;
  byId("entry-summary").textContent =
    `${choice.instrument} ${choice.granularity}, ${shownTime(Date.parse(entry.ts))} UTC, horizon ${entry.horizon}: ` +
    `${row.window_status}. Entry at ${row.entry_price.toFixed(decimals)}` +
    (row.horizon_end_ts ? `, horizon end ${shownTime(Date.parse(row.horizon_end_ts))}.` : ", horizon end not observed yet.");
  byId("entry-tables").replaceChildren(
    barrierTable(entry, decimals), levelTable(entry, decimals), labelTable(catalog, row),
  );
  byId("path").hidden = path.bars.length === 0;
  byId("path-empty").hidden = path.bars.length > 0;
  if (!path.bars.length) return;
  byId("path").setAttribute("aria-label", `${path.bars.length} path candles of ${path.granularity}. ${inWords(barriers)}`);
  await drawPath(entry, decimals);
}

function inWords({ plain, adjusted }) {
  const say = (name, barrier) => (barrier ? `${name}: ${barrier.outcome}${barrier.time ? ` after ${barrier.time} bars` : ""}. ` : "");
  return say("Triple barrier", plain) + say("Level-adjusted", adjusted);
}

async function drawPath({ row, path, barriers }, decimals) {
  const plotly = await charts();
  const palette = colors();
  const { bars } = path;
  const of = (name) => bars.map((bar) => bar[name]);
  const right = bars.length + 0.7;
  const placeAt = (end) => Math.max(0.5, bars.filter((bar) => bar.until <= Date.parse(end)).length);
  const traces = [
    ...barrierTraces(barriers, [0.4, right], palette, placeAt),
    {
      type: "candlestick", name: path.granularity, x: bars.map((_, at) => at + 1), showlegend: false,
      open: of("open"), high: of("high"), low: of("low"), close: of("close"),
      increasing: { line: { color: palette.rising, width: 1 }, fillcolor: palette.rising },
      decreasing: { line: { color: palette.falling, width: 1 }, fillcolor: palette.falling },
      text: bars.map((bar) => `${shownTime(bar.at)}`), hoverinfo: "text+y",
    },
    {
      type: "scatter", mode: "lines", name: "entry", x: [0.4, right], y: [row.entry_price, row.entry_price],
      line: { color: palette.ink, width: 1, dash: "dot" }, hoverinfo: "skip",
    },
  ].sort((one, other) => (one.type === "candlestick" ? -1 : 0) - (other.type === "candlestick" ? -1 : 0));
  await plotly.react(byId("path"), traces, layoutOf(palette, {
    margin: { l: 6, r: 58, t: 4, b: 58 }, dragmode: false,
    legend: { orientation: "h", x: 0, y: -0.24, yanchor: "top", font: { size: 11, color: palette.ink } },
    xaxis: axisOf(palette, {
      range: [0.2, right], rangeslider: { visible: false }, title: { text: `path bar, ${path.granularity}`, font: { size: 11 }, standoff: 2 },
      fixedrange: true, zeroline: false, nticks: 9,
    }),
    yaxis: axisOf(palette, { side: "right", fixedrange: true, zeroline: false, tickformat: `.${decimals}f`, nticks: 6 }),
  }), { displayModeBar: false, responsive: true });
}

const headings = (...names) =>
  element("thead", {}, element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name))));

function barrierTable({ barriers, row }, decimals) {
  const rows = [["plain", "Triple barrier"], ["adjusted", "Level-adjusted"]].map(([key, title]) => {
    const barrier = barriers[key];
    if (!barrier) return element("tr", {}, element("th", { scope: "row" }, title), element("td", {}, "unknown: no ATR yet"));
    const reached = barrier.end === null ? "not touched yet"
      : `${barrier.outcome}, bar ${barrier.time} of ${row.path_bars}, exit ${barrier.exit.toFixed(decimals)}`;
    return element(
      "tr", {}, element("th", { scope: "row" }, title, element("small", {}, reached)),
      element("td", {}, `${barrier.upper.toFixed(decimals)} / ${barrier.lower.toFixed(decimals)}`),
    );
  });
  return element(
    "table", { class: "facts", id: "barrier-table" }, element("caption", {}, "Barriers and first touch"),
    headings("barrier", "upper / lower"), element("tbody", {}, ...rows),
  );
}

function levelTable({ levels, row }, decimals) {
  const shown = levels.slice(0, SHOWN_LEVELS).map((level) => {
    const since = `since ${shownTime(Date.parse(level.valid_from))}, touches before: ${level.touches_before}`;
    const inAtr = row.atr ? `${shownNumber(level.distance / row.atr, 2)} ATR` : "";
    const born = level.level_id.endsWith("R") ? "resistance" : "support";
    const flipped = born === level.role ? "" : `, flipped from ${born}`;
    return element(
      "tr", {},
      element("th", { scope: "row" }, element("span", { class: level.role }, words(level.role)), element("small", {}, since + flipped)),
      element("td", {}, level.price.toFixed(decimals), element("small", {}, inAtr)),
    );
  });
  const caption = `Levels active at entry: ${levels.length}${levels.length > SHOWN_LEVELS ? `, the nearest ${SHOWN_LEVELS}` : ""}`;
  return element(
    "table", { class: "facts", id: "level-table" }, element("caption", {}, caption), headings("role", "price"),
    element("tbody", {}, ...shown),
  );
}

/** All columns of the row with what the catalog says of each. */
function labelTable(catalog, row) {
  const table = element(
    "table", { class: "facts", id: "label-table" }, element("caption", {}, "All labels of this candle"), headings("label", "value"),
  );
  const known = new Set(catalog.families.flatMap((family) => family.columns));
  const rest = Object.keys(row).filter((name) => !known.has(name));
  for (const [title, names] of [...catalog.families.map((family) => [family.title, family.columns]), ["Window and row", rest]]) {
    const heading = element("tr", {}, element("th", { scope: "rowgroup", colspan: 2 }, title));
    table.append(element("tbody", {}, heading, ...names.map((name) => labelRow(catalog.columns.get(name), row[name]))));
  }
  return table;
}

function labelRow(column, value) {
  const number = column.number ? `${column.number}. ` : "";
  const entry = column.known_at_entry ? " Known at entry." : "";
  const cell = element("td", { "data-name": column.name, "data-value": JSON.stringify(value), title: value === null ? null : String(value) });
  if (value === null) cell.append("NULL", element("small", {}, column.null));
  else cell.append(shownValue(value, column));
  return element(
    "tr", {},
    element("th", { scope: "row" }, element("code", {}, column.name), element("small", {}, number, ...prose(column.sentence), entry)),
    cell,
  );
}

/** A sentence of the catalog, in which names of columns stand between backticks. */
export function prose(sentence) {
  return sentence.split("`").map((part, at) => (at % 2 ? element("code", {}, part) : part));
}

function shownValue(value, column) {
  if (typeof value !== "number") return typeof value === "string" && column.type.startsWith("timestamp") ? shownTime(Date.parse(value)) : String(value);
  return shownNumber(value, 6) + (column.unit && column.unit !== "1" && column.unit !== "price" ? ` ${column.unit}` : "");
}
