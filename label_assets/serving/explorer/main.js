// The page: what is chosen, what is loaded for it, which part draws it.

import { get, onKeyNeeded, rows, setLargestPage } from "./api.js";
import { classesOf, hasStatistics, labelsByFamily, readCatalog } from "./catalog.js";
import { MarketChart, abridged, described, timed } from "./chart.js";
import { loadCoverage, showCoverage } from "./coverage.js";
import { loadEntry, showEntry } from "./entry.js";
import { byId, fillSelect, hideProblem, isoDay, isoTime, say, showProblem, shownCount, shownDay, shownTime } from "./page.js";
import { fromAddress, intoAddress } from "./state.js";
import { loadStatistics, showStatistics } from "./statistics.js";

const SHOWN_CANDLES = 160;
const MOST_CANDLES = 1500;
const MOST_LEVELS = 5000;
const DAY_MS = 86_400_000;
const TRADED_DAYS = 5 / 7;

let catalog = null;
let state = fromAddress();
let market = null;
let entry = null;
let statistics = null;
let coverage = null;
const running = new Map();

const chart = new MarketChart(byId("chart"), { onChoose: choose, onPoint: point });
const decimals = () => catalog.instruments.find(({ name }) => name === state.instrument).decimals;
const address = (what) => `/v1/${what}/${state.instrument}/${state.granularity}`;
const known = (value, all, fallback) => (all.map(String).includes(value) ? value : String(fallback));

/** A signal for a new loading of some part; the one before is given up. */
function anew(part) {
  running.get(part)?.abort();
  running.set(part, new AbortController());
  return running.get(part).signal;
}

/** Runs a step; what goes wrong is told in words. */
async function attempt(step) {
  try {
    await step();
  } catch (error) {
    if (error.name === "AbortError") return;
    byId("market").setAttribute("aria-busy", "false");
    say("");
    if (market === null) byId("chart").hidden = true;
    showProblem(error, () => attempt(step));
  }
}

async function open() {
  catalog = readCatalog(await get("/v1/catalog"));
  setLargestPage(catalog.page_rows);
  await settle();
}

/** Completes what is chosen with defaults, shows it in the controls, loads it. */
async function settle() {
  state.instrument = known(state.instrument, catalog.instruments.map(({ name }) => name), catalog.instruments[0].name);
  const usual = catalog.granularities.includes("H4") ? "H4" : catalog.granularities[0];
  state.granularity = known(state.granularity, catalog.granularities, usual);
  state.horizon = known(state.horizon, catalog.horizons, catalog.horizons[0]);
  if (!catalog.columns.has(state.color) || !classesOf(catalog.columns.get(state.color)).length) state.color = null;
  const label = catalog.columns.get(state.label);
  if (!label || !hasStatistics(catalog, label)) state.label = "triple_barrier_label";
  if (Number.isNaN(Date.parse(state.entry))) state.entry = null;
  for (const name of ["start", "end"]) if (!/^\d{4}-\d{2}-\d{2}$/.test(state[name] ?? "")) state[name] = null;
  fill();
  await Promise.all([loadMarket(), attempt(refreshStatistics), attempt(refreshCoverage)]);
}

function fill() {
  const same = (names) => [["", names.map((name) => [name, name])]];
  fillSelect(byId("instrument"), same(catalog.instruments.map(({ name }) => name)), state.instrument);
  fillSelect(byId("granularity"), same(catalog.granularities), state.granularity);
  fillSelect(byId("horizon"), [["", catalog.horizons.map((number) => [number, `${number} candles`])]], state.horizon);
  const classed = labelsByFamily(catalog, (column) => classesOf(column).length > 0);
  fillSelect(byId("color"), [["", [["", "rise and fall"]]], ...classed], state.color ?? "");
  fillSelect(byId("label"), labelsByFamily(catalog, (column) => hasStatistics(catalog, column)), state.label);
  byId("levels").checked = state.levels !== "0";
}

function loadMarket() {
  return attempt(async () => {
    const signal = anew("market");
    anew("entry");
    byId("market").setAttribute("aria-busy", "true");
    byId("readout").textContent = "";
    say("Loading …");
    hideProblem();
    market = null; // what is drawn stays until there is something else, or an error
    await chooseRange(signal);
    byId("start").value = state.start ?? "";
    byId("end").value = state.end ?? "";
    intoAddress(state, false);
    if (state.start === null) return showNothing();
    const end = Date.parse(state.end) + DAY_MS;
    const span = { start: state.start, end: end < Date.now() ? isoTime(end) : null };
    const wanted = [
      rows(address("candles"), { ...span, columns: "close_ts,open,high,low,close,volume" }, MOST_CANDLES, signal),
      coloring(span, signal),
      state.levels === "0" ? null : rows(address("levels"), { ...span, columns: "level_id,valid_from,valid_to,role,price,touch_width" }, MOST_LEVELS, signal),
      state.levels === "0" ? null : rows(`${address("levels")}/events`, { ...span, columns: "level_id,event_type,price" }, MOST_LEVELS, signal),
      state.entry ? loadEntry(catalog, state, state.entry, signal) : null,
    ];
    const [candles, labels, levels, events, chosen] = await Promise.all(wanted);
    if (!candles.rows.length) return showNothing();
    market = {
      candles: timed(candles.rows), labels, levels: levels?.rows, events: events?.rows, decimals: decimals(),
      colored: state.color ? catalog.columns.get(state.color) : null,
    };
    placed(chosen);
    byId("chart").hidden = false;
    byId("empty").hidden = true;
    entitle();
    await Promise.all([showEntry(catalog, state, entry, decimals()), chart.draw(market, entry)]);
    if (signal.aborted) return;
    byId("market").setAttribute("aria-busy", "false");
    tellLoaded(candles.more, levels, state.entry && chosen === null);
  });
}

function tellLoaded(more, levels, isMissing) {
  const { candles } = market;
  const said = [`${shownCount(candles.length)} candles, ${shownDay(candles[0].at)} to ${shownDay(candles.at(-1).at)}`];
  if (levels) said.push(`${shownCount(new Set(levels.rows.map((level) => level.level_id)).size)} levels alive`);
  if (more) said.push(`the range holds more than ${shownCount(MOST_CANDLES)} candles, these are the first: choose a shorter one or a coarser granularity`);
  if (levels?.more) said.push(`more than ${shownCount(MOST_LEVELS)} stretches of levels, these are the oldest`);
  if (isMissing) said.push("no labels are stored of the candle in the address");
  say(`${said.join("; ")}.`);
}

function entitle() {
  const title = `${state.instrument} ${state.granularity}`;
  byId("market-title").textContent = title;
  document.title = `${title}, label explorer`;
}

function showNothing() {
  market = null;
  byId("market").setAttribute("aria-busy", "false");
  byId("chart").hidden = true;
  byId("empty").hidden = false;
  entitle();
  byId("empty").textContent = state.start === null
    ? `No rows of ${state.instrument} ${state.granularity} are stored. Press Materialize in the Dagster UI, or run label-assets materialize.`
    : `No candles of ${state.instrument} ${state.granularity} from ${state.start} to ${state.end}. Choose another range; "What is materialized" shows where rows are.`;
  say("");
}

/** Days to show: as chosen, else around the chosen candle, else the newest. */
async function chooseRange(signal) {
  if (state.start && state.end && state.start <= state.end) return;
  const length = catalog.candle_seconds[state.granularity] * 1000;
  const width = (SHOWN_CANDLES * length) / TRADED_DAYS;
  let end = state.end ? Date.parse(state.end) : null;
  if (end === null && state.entry) end = Math.min(Date.now(), Date.parse(state.entry) + width / 3);
  if (end === null) {
    const latest = await get(`${address("labels")}/latest`, { horizon: state.horizon, columns: "ts" }, signal);
    if (!latest.rows.length) {
      state.start = state.end = null;
      return;
    }
    end = Date.parse(latest.rows[0].ts);
  }
  state.end = isoDay(end);
  if (!state.start || state.start > state.end) state.start = isoDay(Math.max(0, end - width));
}

async function coloring(span, signal) {
  if (!state.color) return [];
  const asked = { ...span, horizon: state.horizon, columns: state.color };
  return (await rows(address("labels"), asked, MOST_CANDLES, signal)).rows;
}

/** Finds the chosen candle among those that are drawn. */
function placed(chosen) {
  entry = chosen;
  if (entry === null || market === null) return;
  const place = market.candles.findIndex((candle) => candle.ts === entry.ts);
  entry.place = place < 0 ? null : place;
}

/** A candle was chosen by mouse or Enter; null lets go. */
function choose(place) {
  return attempt(async () => {
    const candle = place === null ? null : market?.candles[Math.round(place)];
    if (!market || candle === undefined) return;
    const signal = anew("entry");
    state.entry = candle === null ? null : candle.ts;
    intoAddress(state, true);
    const chosen = candle === null ? null : await loadEntry(catalog, state, candle.ts, signal);
    placed(chosen);
    if (candle === null) chart.cursor = null;
    await Promise.all([showEntry(catalog, state, entry, decimals()), chart.draw(market, entry, { keep: true })]);
    if (candle === null) say("No candle is chosen.");
    else if (chosen === null) say(`No labels of the candle of ${candle.ts} are stored.`);
    else say(`Chosen: ${shownTime(candle.at)} UTC, ${chosen.row.window_status}. Its labels are in the panel "Chosen candle".`);
  });
}

function point(place, isSaid) {
  const candle = market?.candles[Math.round(place)];
  if (!candle) return;
  const value = market.colored ? (market.labels.find((row) => row.ts === candle.ts)?.[market.colored.name] ?? null) : undefined;
  byId("readout").textContent = abridged(candle, value, decimals());
  if (isSaid) say(described(candle, market.colored, value, decimals()));
}

async function refreshStatistics() {
  statistics = await loadStatistics(catalog, state, anew("statistics"));
  await showStatistics(statistics);
}

async function refreshCoverage() {
  coverage = await loadCoverage(state, anew("coverage"));
  drawCoverage();
}

function drawCoverage() {
  showCoverage(coverage, {
    instrument: state.instrument,
    onChoose: (instrument, month) => {
      const [year, number] = month.split("-").map(Number);
      Object.assign(state, { instrument, start: `${month}-01`, end: isoDay(Date.UTC(year, number, 0)), entry: null });
      change({ statistics: true });
    },
  });
}

/** Something else was chosen: a step in the history, and everything that depends on it anew. */
function change(needs = {}) {
  intoAddress(state, true);
  fill();
  const jobs = [loadMarket()];
  if (needs.statistics) jobs.push(attempt(refreshStatistics));
  if (needs.coverage) jobs.push(attempt(refreshCoverage));
  return Promise.all(jobs);
}

function listen() {
  const on = (id, event, does) => byId(id).addEventListener(event, does);
  on("choices", "submit", (event) => event.preventDefault());
  on("instrument", "change", ({ target }) => {
    Object.assign(state, { instrument: target.value, entry: null });
    change({ statistics: true });
  });
  on("granularity", "change", ({ target }) => {
    Object.assign(state, { granularity: target.value, start: null, entry: null });
    change({ statistics: true, coverage: true });
  });
  on("horizon", "change", ({ target }) => {
    state.horizon = target.value;
    change({ statistics: true, coverage: true });
  });
  on("color", "change", ({ target }) => {
    state.color = target.value || null;
    if (state.color) state.label = state.color;
    change({ statistics: state.color !== null });
  });
  on("levels", "change", ({ target }) => {
    state.levels = target.checked ? null : "0";
    change();
  });
  for (const name of ["start", "end"]) {
    on(name, "change", ({ target }) => {
      if (!target.validity.valid) return; // a year of which three digits are typed
      state[name] = target.value || null;
      change();
    });
  }
  on("earlier", "click", () => shift(-0.5));
  on("later", "click", () => shift(0.5));
  on("newest", "click", () => {
    Object.assign(state, { start: null, end: null, entry: null });
    change();
  });
  on("label", "change", ({ target }) => {
    state.label = target.value;
    intoAddress(state, true);
    attempt(refreshStatistics);
  });
  addEventListener("popstate", () => {
    state = fromAddress();
    attempt(settle);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => attempt(redraw));
}

function shift(share) {
  if (!state.start || !state.end) return;
  const [start, end] = [Date.parse(state.start), Date.parse(state.end)];
  const half = Math.sign(share) * Math.max(1, Math.round((Math.abs(share) * (end - start)) / DAY_MS)) * DAY_MS;
  const today = Date.parse(isoDay(Date.now()));
  const days = Math.max(-start, Math.min(half, today - end));
  Object.assign(state, { start: isoDay(start + days), end: isoDay(end + days) });
  change();
}

async function redraw() {
  if (market) await chart.draw(market, entry, { keep: true });
  await showEntry(catalog, state, entry, decimals());
  if (statistics) await showStatistics(statistics);
}

onKeyNeeded((refused) => new Promise((resolve) => {
  const dialog = byId("key-dialog");
  byId("key-problem").textContent = refused ? `The key was refused: ${refused}.` : "";
  byId("key").value = "";
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const key = byId("key").value.trim();
    byId("key").value = "";
    dialog.close();
    resolve(key);
  }, { once: true });
  dialog.showModal();
}));

listen();
attempt(open);
