// Distribution of a label and its drift over the months, from the table label_statistics_monthly.

import { get } from "./api.js";
import { classColors, classesOf } from "./catalog.js";
import { prose } from "./entry.js";
import { axisOf, byId, charts, colors, faded, layoutOf, shownCount, shownNumber } from "./page.js";

const CONFIG = { displayModeBar: false, responsive: true };

/** Loads the months of a label. */
export async function loadStatistics(catalog, { instrument, granularity, horizon, label }, signal) {
  const column = catalog.columns.get(label);
  const classes = classesOf(column).filter(({ count }) => catalog.counted.has(count));
  const names = classes.length
    ? classes.map(({ count }) => count)
    : ["count", "sum", "sum_squares", "deciles"].map((what) => `${label}_${what}`);
  const { rows } = await get(
    `/v1/statistics/${instrument}/${granularity}`, { horizon, columns: ["complete_rows", ...names].join(",") }, signal,
  );
  return { column, classes, months: rows.map((row) => ({ ...row, month: row.ts.slice(0, 7) })) };
}

/** Draws both panels; words where there is nothing. */
export async function showStatistics({ column, classes, months }) {
  const counted = months.filter((month) =>
    classes.length ? classes.some(({ count }) => month[count]) : month[`${column.name}_count`]);
  byId("definition").replaceChildren(...prose(column.sentence), column.unit && column.unit !== "1" ? ` Unit: ${column.unit}.` : "");
  byId("statistics-empty").hidden = counted.length > 0;
  document.querySelector(".pair").hidden = counted.length === 0;
  if (!counted.length) {
    byId("statistics-empty").textContent = months.length
      ? `No complete window of ${months.length} months has ${column.name}.`
      : "No statistics are stored of this instrument, granularity and horizon: materialize label_statistics.";
    return;
  }
  await (classes.length ? drawClasses(column, classes, counted) : drawQuantity(column, counted));
}

const margin = { l: 46, r: 30, t: 20, b: 30 };
const headed = (palette, text) => ({ text, font: { size: 12, color: palette.muted }, x: 0, xanchor: "left", y: 0.99, yanchor: "top", pad: { l: 4 } });

/** At most nine months are named. */
function monthAxis(palette, months) {
  const step = Math.ceil(months.length / 9);
  const tickvals = months.map(({ month }) => month).filter((_, at) => at % step === 0);
  return axisOf(palette, { type: "category", fixedrange: true, tickvals, tickangle: 0 });
}

async function draw(box, traces, layout, words) {
  const plotly = await charts();
  byId(box).setAttribute("aria-label", words);
  await plotly.react(byId(box), traces, layout, CONFIG);
}

async function drawClasses(column, classes, months) {
  const palette = colors();
  const shades = classColors(column, palette);
  const totals = classes.map(({ count }) => months.reduce((sum, month) => sum + month[count], 0));
  const all = totals.reduce((sum, count) => sum + count, 0);
  const shares = totals.map((count) => count / all);
  const axis = { fixedrange: true, tickformat: ".0%", rangemode: "tozero" };
  const name = classes.map(({ text }, at) => `${text}: ${(100 * shares[at]).toFixed(1)} %`).join(", ");
  await draw("distribution", [{
    type: "bar", x: classes.map(({ text }) => text), y: shares, marker: { color: shades }, customdata: totals,
    text: shares.map((share) => `${(100 * share).toFixed(1)} %`), textposition: "outside", cliponaxis: false,
    hovertemplate: "%{x}: %{customdata:,} rows<extra></extra>",
  }], layoutOf(palette, {
    margin, title: headed(palette, `${shownCount(all)} complete rows, ${months.length} months`), showlegend: false,
    xaxis: axisOf(palette, { type: "category", fixedrange: true }),
    yaxis: axisOf(palette, { ...axis, range: [0, 1.2 * Math.max(...shares)] }),
  }), `Shares of ${column.name} over ${months.length} months. ${name}`);
  const monthTotals = months.map((month) => classes.reduce((sum, { count }) => sum + month[count], 0));
  await draw("drift", classes.map(({ text, count }, at) => ({
    type: "bar", name: text, x: months.map(({ month }) => month), marker: { color: faded(shades[at], 0.85) },
    y: months.map((month, index) => month[count] / monthTotals[index]), customdata: months.map((month) => month[count]),
    hovertemplate: `%{x}, ${text}: %{y:.1%}, %{customdata:,} rows<extra></extra>`,
  })), layoutOf(palette, {
    margin, title: headed(palette, "share of each class by month"), barmode: "stack", bargap: 0.12, dragmode: false,
    legend: { orientation: "h", x: 1, xanchor: "right", y: 1.0, yanchor: "bottom", font: { size: 11 }, traceorder: "normal" },
    xaxis: monthAxis(palette, months),
    yaxis: axisOf(palette, { ...axis, range: [0, 1] }),
  }), `Shares of the classes of ${column.name} by month, from ${months[0].month} to ${months.at(-1).month}.`);
}

async function drawQuantity(column, months) {
  const palette = colors();
  const name = column.name;
  const of = (what) => months.map((month) => month[`${name}_${what}`]);
  const [counts, sums, squares, deciles] = ["count", "sum", "sum_squares", "deciles"].map(of);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const add = (values) => values.reduce((sum, value) => sum + value, 0);
  const mean = add(sums) / total;
  const deviation = Math.sqrt(Math.max(0, add(squares) / total - mean * mean));
  const tenths = [10, 20, 30, 40, 50, 60, 70, 80, 90];
  const at = (decile) => deciles.map((values) => values[decile]);
  const spread = (pick) => tenths.map((_, decile) => pick(at(decile).filter((value) => value !== undefined).sort((a, b) => a - b)));
  const [lowest, middle, highest] = [spread((sorted) => sorted[0]), spread((sorted) => sorted[sorted.length >> 1]), spread((sorted) => sorted.at(-1))];
  const line = { type: "scatter", mode: "lines", hoverinfo: "skip", line: { width: 0 }, showlegend: false };
  const quantity = { fixedrange: true, zeroline: true, nticks: 6 };
  await draw("distribution", [
    { ...line, x: tenths, y: lowest },
    { ...line, x: tenths, y: highest, fill: "tonexty", fillcolor: faded(palette.accent, 0.16) },
    { type: "scatter", mode: "lines+markers", x: tenths, y: middle, name: "median month", line: { color: palette.accent, width: 2 },
      hovertemplate: "%{x} % of rows are below %{y:.5~g}<extra></extra>", showlegend: false },
  ], layoutOf(palette, {
    margin, title: headed(palette, "deciles: median month, band of all"), hovermode: "closest", dragmode: false,
    xaxis: axisOf(palette, { fixedrange: true, tickvals: tenths, ticksuffix: " %" }), yaxis: axisOf(palette, quantity),
  }), `Deciles of ${name} in the median month: ${middle.map((value) => shownNumber(value, 3)).join(", ")}. Mean ${shownNumber(mean, 3)}.`);
  const x = months.map(({ month }) => month);
  await draw("drift", [
    { ...line, x, y: at(0) },
    { ...line, x, y: at(8), fill: "tonexty", fillcolor: faded(palette.accent, 0.14), name: "10 % to 90 %", showlegend: true },
    { ...line, x, y: at(2) },
    { ...line, x, y: at(6), fill: "tonexty", fillcolor: faded(palette.accent, 0.22), name: "30 % to 70 %", showlegend: true },
    { type: "scatter", mode: "lines", x, y: at(4), name: "median", line: { color: palette.accent, width: 2 },
      customdata: counts, hovertemplate: "%{x}: median %{y:.5~g}, %{customdata:,} rows<extra></extra>" },
    { type: "scatter", mode: "lines", x, y: sums.map((sum, index) => sum / counts[index]), name: "mean",
      line: { color: palette.second, width: 1.6, dash: "dash" }, hovertemplate: "%{x}: mean %{y:.5~g}<extra></extra>" },
  ], layoutOf(palette, {
    margin, dragmode: false, hovermode: "x",
    title: headed(palette, `by month: ${shownCount(total)} rows, mean ${shownNumber(mean, 3)}, deviation ${shownNumber(deviation, 3)}`),
    legend: { orientation: "h", x: 1, xanchor: "right", y: 1.0, yanchor: "bottom", font: { size: 11 } },
    xaxis: monthAxis(palette, months), yaxis: axisOf(palette, quantity),
  }), `Deciles, median and mean of ${name} by month, from ${x[0]} to ${x.at(-1)}.`);
}
