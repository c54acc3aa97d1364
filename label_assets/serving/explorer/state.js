// What is chosen, kept in the address of the page, so that it can be shared and gone back to.

const NAMES = ["instrument", "granularity", "horizon", "start", "end", "color", "label", "levels", "entry"];

/** What the address says; what it does not say is null. */
export function fromAddress() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(NAMES.map((name) => [name, query.get(name)]));
}

/** Writes it into the address: as a step to which one can go back, or in place of the present one. */
export function intoAddress(state, isStep) {
  const query = new URLSearchParams();
  for (const name of NAMES) if (state[name] !== null && state[name] !== "") query.set(name, state[name]);
  const address = `?${query}`;
  if (address === location.search) return;
  if (isStep) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}
