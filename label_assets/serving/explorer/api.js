// Requests to the API: the key, pages, problems in words. Nothing here draws.

const KEY = "label_assets_api_key";

/** An error of the API, with what its problem document says. */
class Problem extends Error {
  constructor(document) {
    super(document.detail ?? document.title);
    this.document = document;
  }
}

/** Asks for a key: a function that main.js sets; it resolves with one. */
let askForKey = () => Promise.reject(new Error("nobody to ask for a key"));
let asking = null;

export function onKeyNeeded(ask) {
  askForKey = ask;
}

/** JSON of an address. */
export async function get(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined));
  const address = query.size ? `${path}?${query}` : path;
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const answer = await sent(address, key, signal);
    if (answer.ok) return answer.json();
    const document = await problemOf(answer, address);
    if (answer.status !== 401) throw new Problem(document);
    await newKey(key, document);
  }
}

async function sent(address, key, signal) {
  try {
    return await fetch(address, { headers: key ? { "X-API-Key": key } : {}, signal, credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({
      title: "The server does not answer",
      asked: address,
      found: error.message,
      allowed: "a running server",
      next: "see whether label-assets serve still runs, then try again",
    });
  }
}

async function problemOf(answer, address) {
  try {
    return await answer.json();
  } catch {
    return {
      title: `The server answered with status ${answer.status}`,
      asked: address,
      found: "an answer that is no problem document",
      allowed: "an answer of label-assets serve",
      next: "see what stands between this page and the server",
    };
  }
}

/** One question for all requests that wait for a key. */
async function newKey(refused, document) {
  if (sessionStorage.getItem(KEY) !== refused) return;
  asking ??= askForKey(refused ? document.found : "").finally(() => (asking = null));
  sessionStorage.setItem(KEY, await asking);
}

let largestPage = 100;

/** How many rows the server gives at once, as its catalog says. */
export function setLargestPage(count) {
  largestPage = count;
}

/** Rows of a range: page after page, at most so many; `more` says that there are others. */
export async function rows(path, parameters, most, signal) {
  const found = [];
  let page = await get(path, { ...parameters, limit: Math.min(most, largestPage) }, signal);
  for (;;) {
    found.push(...page.rows);
    if (page.next === null || found.length >= most) {
      return { rows: found.slice(0, most), more: page.next !== null || found.length > most };
    }
    page = await get(page.next, {}, signal);
  }
}
