// What the catalog says of labels: which have classes, which are summed, what each is.

/** The catalog with what the page looks up in it. */
export function readCatalog(document) {
  const tables = new Map(document.tables.map((table) => [table.name, table]));
  const columns = new Map(tables.get("labels").columns.map((column) => [column.name, column]));
  const counted = new Set(tables.get("label_statistics_monthly").columns.map((column) => column.name));
  return { ...document, columns, counted };
}

/** The classes of a label, each with its value in rows, its text, and its column of the statistics; [] if it has none. */
export function classesOf(column) {
  const named = (value, text) => ({ value, text, count: `${column.name}_${String(value).replace("-", "minus_")}` });
  if (column.values.length) return column.values.map((value) => named(value, value));
  if (column.type === "bool") return [named(false, "false"), named(true, "true")];
  if (column.type !== "int8" || column.low === null || column.high === null) return [];
  const found = [];
  for (let value = column.low; value <= column.high; value += 1) found.push(named(value, shownClass(column, value)));
  return found;
}

function shownClass(column, value) {
  return column.low === -1 && column.high === 1 ? ["−1", "0", "+1"][value + 1] : String(value);
}

/** Labels by family: [[title, [[name, name], …]], …], those that fulfil a condition. */
export function labelsByFamily(catalog, isWanted) {
  return catalog.families
    .map((family) => [
      family.title,
      family.columns.filter((name) => isWanted(catalog.columns.get(name))).map((name) => [name, name]),
    ])
    .filter(([, names]) => names.length);
}

export const hasStatistics = (catalog, column) =>
  catalog.counted.has(`${column.name}_deciles`) || classesOf(column).some(({ count }) => catalog.counted.has(count));

const NAMED = {
  upper: "rising", support: "rising", true: "accent", lower: "falling", resistance: "falling", none: "neutral",
  false: "neutral", touch: "accent", break: "second", "-1": "falling", 0: "neutral", 1: "rising",
};
const SCALE = ["#2b5c9e", "#3f7fc0", "#6aa2d2", "#98bfdc", "#b9c4c9", "#cfc0ae", "#dfae86", "#dc8e5c", "#cf6a3c", "#b34a26"];

/** A color for each class. */
export function classColors(column, palette) {
  const classes = classesOf(column);
  if (classes.length > 3 && !column.values.length) return classes.map((_, at) => SCALE[Math.round((at * 9) / (classes.length - 1))]);
  return classes.map(({ value }) => palette[NAMED[String(value)]] ?? palette.third);
}
