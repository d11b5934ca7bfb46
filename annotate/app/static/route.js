// Addresses of the views, to be sent and to go back to: #/person/7, #/tracklet/f1/12, #/queue?flight=f1.

// { view, parts, query } of an address; `#queue` is understood, too. `view` may be none that there is.
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  let names;
  try {
    names = path.split("/").map(decodeURIComponent);
  } catch {
    names = [""]; // a % that stands for nothing
  }
  return { view: names[0], parts: names.slice(1), query: Object.fromEntries(new URLSearchParams(query)) };
}

// The address of a view; what is empty in `query` is left out.
export function link(view, parts = [], query = {}) {
  const path = [view, ...parts].map(encodeURIComponent).join("/");
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return `#/${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

export const linkToPerson = (number) => link("person", [number]);

export const linkToTracklet = (name) => link("tracklet", name.split("/"));

// Show the view of an address; the browser's Back leads to where one was.
export function go(address) {
  document.dispatchEvent(new CustomEvent("go", { detail: address }));
}

// The address says what is shown already, as while somebody types.
export function readdress(address) {
  history.replaceState(null, "", address);
}
