// The main chart: candles at places 0, 1, … (weekends take no room), volume, levels, the barriers of the chosen candle.

import { classColors, classesOf } from "./catalog.js";
import { axisOf, charts, colors, faded, layoutOf, shownDay, shownNumber, shownTime, timeOfDay } from "./page.js";

const LEAST_SHOWN = 12;
const EVENTS = [
  ["FLIP", "flip", "diamond", "second", 9, true],
  ["BREAK", "break", "x-thin", "ink", 7, true],
  ["TOUCH", "touch", "circle", "muted", 4, "legendonly"],
];

/** Times of rows as milliseconds, once. */
export function timed(rows) {
  return rows.map((row) => ({ ...row, at: Date.parse(row.ts), until: Date.parse(row.close_ts) }));
}

/** Where a time lies among candles: candle j covers j − ½ to j + ½; a time between candles is at the border. */
function placeOf(candles, ms) {
  let [low, high] = [0, candles.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (candles[middle].until < ms) low = middle + 1;
    else high = middle;
  }
  if (low === candles.length) return candles.length - 0.5;
  const { at, until } = candles[low];
  return low - 0.5 + Math.max(0, Math.min(1, (ms - at) / (until - at)));
}

/** The chart; `data` is what main.js loaded, `onChoose(place)` is called when a candle is chosen. */
export class MarketChart {
  constructor(box, { onChoose, onPoint }) {
    this.box = box;
    this.onChoose = onChoose;
    this.onPoint = onPoint;
    this.data = null;
    this.entry = null;
    this.cursor = null;
    this.isListening = false;
    this.isFitting = false;
    box.addEventListener("keydown", (event) => this.key(event));
  }

  /** Draws; the visible part stays where it was unless the candles are others. */
  async draw(data, entry, { keep = false } = {}) {
    const plotly = await charts();
    this.data = data;
    this.entry = entry;
    if (!keep) {
      this.cursor = null;
      this.range = [-1, data.candles.length + 1];
    }
    this.makeRoom();
    const palette = (this.palette = colors());
    await plotly.react(this.box, this.traces(palette), this.layout(palette), {
      displayModeBar: false, scrollZoom: true, doubleClick: false, responsive: true,
    });
    if (!this.isListening) this.listen();
  }

  /** An open window reaches beyond the last candle. */
  makeRoom() {
    const place = this.entry?.place ?? null;
    this.room = 1;
    if (place === null) return;
    const end = place + this.entry.horizon + 1.5;
    this.room = Math.max(1, end + 0.5 - this.data.candles.length);
    if (this.range[1] > place) this.range[1] = Math.max(this.range[1], end);
  }

  listen() {
    this.isListening = true;
    this.box.on("plotly_click", ({ points }) => this.onChoose(points[0].x));
    this.box.on("plotly_hover", ({ points }) => this.onPoint(points[0].x, false));
    this.box.on("plotly_doubleclick", () => this.show([-1, this.data.candles.length + this.room]));
    this.box.on("plotly_relayout", (changed) => {
      if (this.isFitting || !Object.keys(changed).some((name) => name.startsWith("xaxis"))) return;
      const { range } = this.box.layout.xaxis;
      this.show([range[0], range[1]]);
    });
  }

  traces(palette) {
    const { candles, labels, colored, levels, events } = this.data;
    const bounds = this.bounds(0, candles.length);
    const made = [];
    if (levels) made.push(...levelTraces(candles, levels, bounds, palette));
    made.push(...candleTraces(candles, labels, colored, palette));
    if (events) made.push(...eventTraces(candles, events, bounds, palette));
    if (this.entry) made.push(...entryTraces(candles, this.entry, palette));
    const bars = candles.map((candle) => faded(candle.close >= candle.open ? palette.rising : palette.falling, 0.5));
    made.push({
      type: "bar", x: candles.map((_, place) => place), y: candles.map(({ volume }) => volume), yaxis: "y2",
      marker: { color: bars, line: { width: 0 } }, hoverinfo: "none", name: "volume", showlegend: false,
    });
    return made;
  }

  layout(palette) {
    const { candles } = this.data;
    return layoutOf(palette, {
      margin: { l: 8, r: 62, t: 26, b: 36 },
      dragmode: "pan",
      hovermode: "x",
      bargap: 0.25,
      barmode: "overlay",
      legend: { orientation: "h", x: 0, y: 1.0, yanchor: "bottom", font: { size: 11, color: palette.ink }, itemwidth: 30 },
      xaxis: axisOf(palette, {
        range: [...this.range], ...ticks(candles, this.range), rangeslider: { visible: false }, zeroline: false,
        showspikes: true, spikemode: "across", spikethickness: 1, spikecolor: palette.muted, spikedash: "dot",
        spikesnap: "data", anchor: "y2",
      }),
      yaxis: axisOf(palette, {
        domain: [0.17, 1], side: "right", fixedrange: true, range: this.pricesOf(this.range), zeroline: false,
        tickformat: `.${this.data.decimals}f`,
      }),
      yaxis2: axisOf(palette, {
        domain: [0, 0.14], side: "right", fixedrange: true, nticks: 3, zeroline: false, title: { text: "volume", font: { size: 10 } },
      }),
      shapes: this.shapes(palette),
      showlegend: true,
    });
  }

  shapes(palette) {
    const made = this.entry ? entryShapes(this.data.candles, this.entry, palette) : [];
    if (this.cursor !== null) {
      made.push({
        type: "rect", xref: "x", yref: "paper", x0: this.cursor - 0.5, x1: this.cursor + 0.5, y0: 0, y1: 1,
        fillcolor: faded(palette.accent, 0.16), line: { width: 1.5, color: palette.accent },
      });
    }
    return made;
  }

  bounds(first, end) {
    const part = this.data.candles.slice(Math.max(0, first), Math.max(1, end));
    const low = Math.min(...part.map((candle) => candle.low));
    const high = Math.max(...part.map((candle) => candle.high));
    const margin = 0.06 * (high - low) || 0.01 * high;
    return [low - margin, high + margin];
  }

  /** Prices that are seen while these places are, the chosen candle's barriers included. */
  pricesOf([left, right]) {
    let [low, high] = this.bounds(Math.ceil(left), Math.floor(right) + 1);
    const { place, prices } = this.entry ?? { place: null };
    if (place !== null && place >= left && place <= right) {
      const margin = 0.04 * (high - low);
      for (const price of prices) [low, high] = [Math.min(low, price - margin), Math.max(high, price + margin)];
    }
    return [low, high];
  }

  /** Shows some places: scale of prices and time follow. */
  async show([left, right]) {
    const most = this.data.candles.length + this.room;
    const width = Math.max(LEAST_SHOWN, Math.min(right - left, most + 1));
    const middle = Math.max(-0.5, Math.min(most - 1, (left + right) / 2));
    this.range = [middle - width / 2, middle + width / 2];
    this.isFitting = true;
    await window.Plotly.relayout(this.box, {
      "xaxis.range": [...this.range],
      "xaxis.tickvals": ticks(this.data.candles, this.range).tickvals,
      "xaxis.ticktext": ticks(this.data.candles, this.range).ticktext,
      "yaxis.range": this.pricesOf(this.range),
    });
    this.isFitting = false;
  }

  /** Moves the cursor to a candle, and the visible part with it. */
  async point(place) {
    this.cursor = place;
    const [left, right] = this.range;
    if (place !== null && (place < left + 1 || place > right - 1)) {
      await this.show([place - (right - left) / 2, place + (right - left) / 2]);
    }
    this.isFitting = true;
    await window.Plotly.relayout(this.box, { shapes: this.shapes(this.palette) });
    this.isFitting = false;
    if (place !== null) this.onPoint(place, true);
  }

  zoom(factor) {
    const [left, right] = this.range;
    const middle = this.cursor !== null && this.cursor > left && this.cursor < right ? this.cursor : (left + right) / 2;
    return this.show([middle - (middle - left) * factor, middle + (right - middle) * factor]);
  }

  key(event) {
    if (!this.data?.candles.length || event.ctrlKey || event.altKey || event.metaKey) return;
    const last = this.data.candles.length - 1;
    const from = this.cursor ?? this.entry?.place ?? Math.min(last, Math.floor(this.range[1]));
    const to = (place) => () => this.point(Math.max(0, Math.min(last, place)));
    const action = {
      ArrowLeft: to(from - 1), ArrowRight: to(from + 1), PageUp: to(from - 10), PageDown: to(from + 10),
      Home: to(0), End: to(last), Enter: () => this.onChoose(from), "+": () => this.zoom(0.6), "=": () => this.zoom(0.6),
      "-": () => this.zoom(1.6), 0: () => this.show([-1, last + 1 + this.room]), Escape: () => this.onChoose(null),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}

/** About eight round marks of time among the visible places. */
function ticks(candles, [left, right]) {
  const first = Math.max(0, Math.ceil(left));
  const last = Math.min(candles.length - 1, Math.floor(right));
  const step = Math.max(1, Math.ceil((last - first + 1) / 9));
  const tickvals = [];
  for (let place = Math.ceil(first / step) * step; place <= last; place += step) tickvals.push(place);
  const isIntraday = candles.length > 1 && candles[1].at - candles[0].at < 86_400_000;
  return {
    tickmode: "array", tickvals,
    ticktext: tickvals.map((place) => {
      const { at } = candles[place];
      return isIntraday ? `${shownDay(at)}<br>${timeOfDay(at)}` : shownDay(at);
    }),
  };
}

function candleTraces(candles, labels, column, palette) {
  const all = candles.map((_, place) => place);
  if (!column) return [candleTrace(candles, all, "candles", palette.rising, palette.falling, false)];
  const shades = classColors(column, palette);
  const values = new Map(labels.map((row) => [row.ts, row[column.name]]));
  const rest = faded(palette.neutral, 0.45);
  const made = classesOf(column).map(({ value, text }, at) => {
    const places = all.filter((place) => values.get(candles[place].ts) === value);
    return candleTrace(candles, places, `${text} (${places.length})`, shades[at], shades[at], true);
  });
  const unknown = all.filter((place) => (values.get(candles[place].ts) ?? null) === null);
  if (unknown.length) made.push(candleTrace(candles, unknown, `unknown (${unknown.length})`, rest, rest, true));
  return made.filter((trace) => trace.x.length);
}

/** Rising candles are hollow where color tells the class. */
function candleTrace(candles, places, name, rising, falling, isColored) {
  const of = (field) => places.map((place) => candles[place][field]);
  return {
    type: "candlestick", name, x: places, open: of("open"), high: of("high"), low: of("low"), close: of("close"),
    increasing: { line: { color: rising, width: 1 }, fillcolor: isColored ? "rgba(0,0,0,0)" : rising },
    decreasing: { line: { color: falling, width: 1 }, fillcolor: falling },
    hoverinfo: "none", showlegend: isColored, whiskerwidth: 0,
  };
}

function levelTraces(candles, levels, [low, high], palette) {
  const made = [];
  for (const [role, color] of [["support", palette.rising], ["resistance", palette.falling]]) {
    const line = { x: [], y: [] };
    const zone = { x: [], y: [] };
    for (const level of levels) {
      if (level.role !== role || level.price < low || level.price > high) continue;
      const left = placeOf(candles, Date.parse(level.valid_from));
      const right = level.valid_to === null ? candles.length - 0.5 : placeOf(candles, Date.parse(level.valid_to));
      const [top, bottom] = [level.price + level.touch_width, level.price - level.touch_width];
      line.x.push(left, right, null);
      line.y.push(level.price, level.price, null);
      zone.x.push(left, right, right, left, left, null);
      zone.y.push(bottom, bottom, top, top, bottom, null);
    }
    const common = { type: "scatter", mode: "lines", hoverinfo: "skip", legendgroup: role };
    made.push(
      { ...common, ...zone, fill: "toself", fillcolor: faded(color, 0.15), line: { width: 0 }, showlegend: false },
      { ...common, ...line, name: role, line: { color: faded(color, 0.8), width: 1.2 }, showlegend: line.x.length > 0 },
    );
  }
  return made;
}

function eventTraces(candles, events, [low, high], palette) {
  const shrunk = Math.max(0.5, Math.min(1, 250 / candles.length));
  return EVENTS.map(([kind, name, symbol, color, size, visible]) => {
    const found = events.filter(
      (event) => event.event_type.startsWith(kind) && event.price >= low && event.price <= high,
    );
    return {
      type: "scatter", mode: "markers", name, visible,
      x: found.map((event) => Math.round(placeOf(candles, Date.parse(event.ts)) - 0.5)),
      y: found.map((event) => event.price),
      text: found.map((event) => `${words(event.event_type)} at ${shownNumber(event.price, 7)}`),
      hovertemplate: "%{text}<extra></extra>",
      marker: {
        symbol, size: Math.max(3, size * shrunk), color: palette[color],
        line: symbol === "x-thin" ? { color: faded(palette.ink, 0.65), width: 1.4 } : { color: palette.panel, width: 1 },
      },
      showlegend: found.length > 0,
    };
  });
}

export const words = (name) => name.toLowerCase().replaceAll("_", " ");

/** Right end of an entry's window among the candles; an open one reaches beyond the last. */
function windowEnd(candles, { place, horizon, row }) {
  return row.horizon_end_ts ? placeOf(candles, Date.parse(row.horizon_end_ts)) : place + 0.5 + horizon;
}

function entryShapes(candles, entry, palette) {
  if (entry.place === null) return [];
  const left = entry.place + 0.5;
  const right = windowEnd(candles, entry);
  const shapes = [
    { type: "rect", xref: "x", yref: "paper", x0: left - 1, x1: left, y0: 0, y1: 1,
      fillcolor: faded(palette.accent, 0.12), line: { width: 0 }, layer: "below" },
  ];
  const { adjusted } = entry.barriers;
  if (adjusted) {
    shapes.push({
      type: "rect", x0: left, x1: right, y0: adjusted.lower, y1: adjusted.upper,
      fillcolor: faded(palette[adjusted.color], 0.13), line: { width: 0 }, layer: "below",
    });
  }
  return shapes;
}

function entryTraces(candles, entry, palette) {
  if (entry.place === null) return [];
  const left = entry.place + 0.5;
  const right = windowEnd(candles, entry);
  return [
    ...barrierTraces(entry.barriers, [left, right], palette, (end) => Math.max(left, placeOf(candles, Date.parse(end))))
      .map((trace) => ({ ...trace, showlegend: false })), // the panel of the path names them
    {
      type: "scatter", mode: "lines", name: `path on ${entry.path.granularity}`, hoverinfo: "skip", showlegend: false,
      x: [left, ...entry.path.bars.map((bar) => placeOf(candles, bar.until))],
      y: [entry.row.entry_price, ...entry.path.bars.map((bar) => bar.close)],
      line: { color: palette.path, width: 1.6 },
    },
    {
      type: "scatter", mode: "markers", name: "entry", hoverinfo: "skip", showlegend: false, x: [left],
      y: [entry.row.entry_price],
      marker: { symbol: "triangle-right", size: 12, color: palette.ink, line: { color: palette.panel, width: 1 } },
    },
  ];
}

/** Barriers as lines from left to right, with the mark of the first touch; `placeAt(ts)` says where that is. */
export function barrierTraces({ plain, adjusted }, [left, right], palette, placeAt) {
  const made = [];
  for (const [barrier, name, dash, width] of [[plain, "triple barrier", "dash", 1.4], [adjusted, "level-adjusted", "solid", 2]]) {
    if (!barrier) continue;
    made.push({
      type: "scatter", mode: "lines", name, hoverinfo: "skip",
      x: [left, right, null, left, right], y: [barrier.upper, barrier.upper, null, barrier.lower, barrier.lower],
      line: { color: barrier === plain ? palette.muted : palette[barrier.color], width, dash },
    });
    if (barrier.end === null) continue;
    made.push({
      type: "scatter", mode: "markers", name: `${name}: ${barrier.outcome}`, hoverinfo: "skip", showlegend: false,
      x: [placeAt(barrier.end)], y: [barrier.exit],
      marker: {
        symbol: barrier === plain ? "circle-open" : "circle", size: barrier === plain ? 14 : 11,
        color: barrier === plain ? palette.ink : palette[barrier.color],
        line: { color: barrier === plain ? palette.ink : palette.panel, width: 2 },
      },
    });
  }
  return made;
}

/** A candle in one short line. */
export function abridged(candle, value, decimals) {
  const [open, high, low, close] = ["open", "high", "low", "close"].map((name) => candle[name].toFixed(decimals));
  const label = value === undefined ? "" : ` · ${value ?? "unknown"}`;
  return `${shownTime(candle.at)} · O ${open} H ${high} L ${low} C ${close} · V ${shownNumber(candle.volume)}${label}`;
}

/** A candle in words. */
export function described(candle, column, value, decimals) {
  const price = (name) => candle[name].toFixed(decimals);
  const label = column ? `, ${column.name} ${value === null || value === undefined ? "unknown" : value}` : "";
  return `${shownTime(candle.at)} UTC: open ${price("open")}, high ${price("high")}, low ${price("low")}, close ${price("close")}, volume ${shownNumber(candle.volume)}${label}`;
}

