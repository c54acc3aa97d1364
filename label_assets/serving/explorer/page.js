// Elements, words and colors. All text from data goes through textContent.

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Fills a <select>; groups is [[heading, [[value, text], …]], …], a heading of "" makes no group. */
export function fillSelect(select, groups, chosen) {
  select.replaceChildren();
  for (const [heading, options] of groups) {
    const parent = heading ? select.appendChild(element("optgroup", { label: heading })) : select;
    for (const [value, text] of options) {
      parent.append(element("option", { value, selected: String(value) === String(chosen) }, text));
    }
  }
}

const PARTS = [["Asked", "asked"], ["Found", "found"], ["Allowed", "allowed"], ["Next", "next"]];

/** Shows an error in words, with a button that tries again. */
export function showProblem(error, again) {
  const box = byId("problem");
  const document = error.document ?? { title: "This page met an error that nobody foresaw", found: error.message };
  const parts = PARTS.filter(([, name]) => document[name]).flatMap(([heading, name]) => [
    element("dt", {}, heading),
    element("dd", {}, String(document[name])),
  ]);
  const button = element("button", { type: "button" }, "Try again");
  button.addEventListener("click", () => {
    hideProblem();
    again();
  });
  box.replaceChildren(element("strong", {}, document.title), element("dl", {}, ...parts), button);
  box.hidden = false;
}

export function hideProblem() {
  byId("problem").hidden = true;
}

export const say = (text) => {
  byId("status").textContent = text;
};

const colorOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Colors of the charts, as the style sheet has them for light or dark. */
export function colors() {
  const names = ["ink", "muted", "rule", "panel", "rising", "falling", "neutral", "accent", "second", "third", "path"];
  return Object.fromEntries(names.map((name) => [name, colorOf(name)]));
}

/** A color with an opacity. */
export function faded(color, opacity) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  return `rgba(${red}, ${green}, ${blue}, ${opacity})`;
}

/** What all charts have in common. */
export function layoutOf(palette, more) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: palette.ink },
    hoverlabel: { bgcolor: palette.panel, bordercolor: palette.rule, font: { color: palette.ink } },
    ...more,
  };
}

export const axisOf = (palette, more = {}) => ({
  gridcolor: palette.rule,
  linecolor: palette.rule,
  zerolinecolor: palette.rule,
  tickcolor: palette.rule,
  ...more,
});

/** The chart library, once its file is there. */
export function charts() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  return new Promise((resolve, reject) => {
    const script = byId("charts");
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () =>
      reject(Object.assign(new Error("no charts"), {
        document: {
          title: "The chart library could not be loaded",
          asked: script.src,
          found: "no such file: the package plotly is missing where the server runs",
          next: "pip install 'label-assets[serve]' there, and open this page anew",
        },
      })));
  });
}

export const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export const isoDay = (ms) => new Date(ms).toISOString().slice(0, 10);
export const isoTime = (ms) => `${new Date(ms).toISOString().slice(0, 19)}Z`;
export const timeOfDay = (ms) => new Date(ms).toISOString().slice(11, 16);

/** Milliseconds as people read them, UTC. */
export function shownDay(ms) {
  const [year, month, day] = isoDay(ms).split("-");
  return `${Number(day)} ${MONTHS[month - 1]} ${year}`;
}
export const shownTime = (ms) => `${shownDay(ms)} ${timeOfDay(ms)}`;
export const shownCount = (count) => count.toLocaleString("en-US");

/** A number with so many significant digits, without trailing zeros. */
export function shownNumber(value, digits = 5) {
  if (Number.isInteger(value)) return shownCount(value).replace("-", "−");
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}
