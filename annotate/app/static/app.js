// The frame of the page: views, keys, progress, who is labelling.

import { attempt, get, inTurn, leave, nameTab, newId, post, session } from "./api.js";
import { Batches } from "./batches.js";
import { closeDialogs, dialog, h, inPlainWords, key, moved, plural, toast, topDialog } from "./dom.js";
import { Findings } from "./findings.js";
import { Gallery } from "./gallery.js";
import { PersonView } from "./person.js";
import { PictureSearch } from "./picture.js";
import { Queue } from "./queue.js";
import { Reviews } from "./review.js";
import { link, parse } from "./route.js";
import { chooseTheme } from "./theme.js";
import { TrackletView } from "./tracklet.js";

let main = document.getElementById("main");
const views = {
  queue: new Queue(main),
  batches: new Batches(main),
  gallery: new Gallery(main),
  checks: new Findings(main),
  review: new Reviews(main),
  picture: new PictureSearch(main),
  person: new PersonView(main),
  tracklet: new TrackletView(main),
};
let current = "queue";
const addresses = {}; // of each view, as it was left: its filter comes again

const HELP = {
  Everywhere: {
    "Q B G C E P": "queue, batches, gallery, checks, review, find by picture",
    "Z Y": "undo, redo your own decisions (Ctrl+Z, too)",
    "?": "these keys",
    Esc: "close",
  },
  Queue: {
    "↵ or 1–9": "same as the marked, or the numbered, person",
    D: "different: mark the next one",
    M: "more people it might be",
    N: "new person",
    J: "not a person: shows nobody, or too little",
    S: "not sure: comes back at the end, once more is known",
    V: "several people: all crops, to split or swap where the person changes",
    X: "distractor: somebody who is nobody's match",
    F: "the whole frame",
    L: "look closer: larger, beside the marked person",
    "/": "only some: by flight, time, person, kind",
  },
  "Look closer": {
    "← → ↑ ↓": "the crops of the first, and of the second",
    "+ −": "larger, smaller",
    0: "as it fits",
    P: "play three seconds before and after",
    ", .": "the frame before, the frame after, in both",
  },
  Batches: {
    "← ↑ ↓ →": "walk",
    Space: "take a wrong answer out, or in again",
    "↵": "confirm the others, all at once",
    S: "take all out: ask one by one",
    "F L": "the whole frame, look closer",
  },
  "All crops": {
    "← ↑ ↓ →": "walk",
    "P or ↵": "split before this crop",
    T: "swap tails from this crop on with somebody in the frame",
    F: "the whole frame",
  },
  Gallery: {
    "← ↑ ↓ →": "walk",
    Space: "select",
    M: "merge the selected (or drag one on another)",
    R: "rename",
    "↵": "open the person",
    "/": "find",
  },
  "A person": {
    "↑ ↓": "walk along the sightings",
    U: "take the marked one out",
    "V F L": "all its crops, to split it; the whole frame; look closer",
    "R M": "rename, merge with somebody",
    Esc: "back",
  },
  "A tracklet": {
    "U N J X": "ask again, new person, not a person, distractor",
    "V F L": "all crops, to split; the whole frame; look closer",
    Esc: "back",
  },
  Review: {
    "↵": "the decision is right",
    N: "it is not, or you are in doubt",
    S: "pass over",
    "F L": "the whole frame, look closer",
  },
  "Find by picture": { O: "choose a picture" },
  Checks: {
    "↑ ↓": "walk",
    "PgUp PgDn": "the findings before, and the next",
    "↵ or 1–9": "correct as proposed, or otherwise",
    A: "right as it is",
    V: "all crops of the tracklet that seems wrong, to split it",
    "F L": "the whole frame, look closer",
  },
};

const keys = {
  q: () => revisit("queue"),
  b: () => revisit("batches"),
  g: () => revisit("gallery"),
  c: () => revisit("checks"),
  e: () => revisit("review"),
  p: () => revisit("picture"),
  z: () => inTurn(() => takeBack("undo")),
  y: () => inTurn(() => takeBack("redo")),
  "?": showHelp,
};

const revisit = (view) => show(addresses[view] ?? link(view));

// `visited`: the address is in the browser's history, as after Back.
async function show(address, { visited = false } = {}) {
  const left = views[current].route;
  if (left) addresses[current] = link(current, left.parts, left.query);
  const asked = parse(address);
  const name = asked.view in views ? asked.view : "queue";
  const route = name === asked.view ? asked : parse("#queue");
  const whole = link(name, route.parts, route.query);
  if (visited) history.replaceState(null, "", whole);
  else if (location.hash !== whole) history.pushState(null, "", whole);
  current = name;
  document.title = `uavpipe: ${name === "picture" ? "find by picture" : name}`;
  document.querySelectorAll("nav button").forEach((button) => {
    if (button.dataset.view === name) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  });
  closeDialogs();
  moved();
  // Each view is shown in a place of its own: an answer that comes late to another is drawn where nobody looks.
  const place = main.cloneNode(false);
  place.removeAttribute("aria-busy");
  main.replaceWith(place);
  main = views[name].main = place;
  views[name].route = route;
  await views[name].show();
}

// A decision, for the message that it was taken back.
function inWords({ op, answers, tracklets, tracklet, identity, mark, source, into }) {
  if (op === "answer_batch") return plural(answers.length, "confirmed answer");
  const what = tracklets?.length > 1 ? plural(tracklets.length, "tracklet") : (tracklets?.[0] ?? tracklet);
  if (op === "new_identity") return `${what ?? "nobody"} is new`;
  if (op === "assign") return `${what} ${tracklets.length > 1 ? "are" : "is"} person ${identity}`;
  if (op === "mark") return `${what}: ${inPlainWords(mark)}`;
  if (op === "merge") return `${source} is ${into}`;
  if (op === "review") return `review of ${what}`;
  return [op.replaceAll("_", " "), what ?? (identity && `person ${identity}`)].filter(Boolean).join(" of ");
}

async function takeBack(what) {
  const done = await attempt(() => post(`/api/${what}`, { id: newId(), since: session.since }));
  if (!done) return;
  toast(`${what === "undo" ? "taken back" : "done again"}: ${inWords(done.of)}`);
  await views[current].show();
}

function showHelp() {
  const groups = Object.entries(HELP).map(([name, rows]) =>
    h(
      "section",
      {},
      h("h3", {}, name),
      h(
        "dl",
        {},
        Object.entries(rows).map(([which, what]) => [
          h(
            "dt",
            {},
            which.split(" ").map((each) => (each === "or" ? " or " : key(each))),
          ),
          h("dd", {}, what),
        ]),
      ),
    ),
  );
  dialog("Keys", h("div", { class: "help" }, groups));
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  if (typing || event.altKey) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const open = topDialog();
  if (event.ctrlKey || event.metaKey) {
    // As in every editor; all else that has Ctrl is the browser's.
    const again = name === "y" || (name === "z" && event.shiftKey);
    if (open || !(again || name === "z")) return;
    event.preventDefault();
    keys[again ? "y" : "z"]();
    return;
  }
  // A focused button or link answers to Enter and Space itself, unless the view gives them a meaning.
  const run = open ? open.keys[name] : (views[current].keys[name] ?? keys[name]);
  if (!run) return;
  // In a dialog that is closed already, and about to be removed, none does.
  const gone = event.target.closest("dialog:not([open])");
  const tools = event.target.closest("header, .actions, .row > button, .filters, summary, a, form, .choice");
  if (tools && !gone && (name === "Enter" || name === " ")) return;
  event.preventDefault();
  run();
});

async function showProgress() {
  const query = new URLSearchParams({ user: session.user });
  let now;
  try {
    now = await get(`/api/progress?${query}`);
  } catch {
    document.getElementById("progress-text").textContent = "no connection";
    return;
  }
  const share = now.tracklets ? now.labelled / now.tracklets : 0;
  document.querySelector("#progress progress").value = share;
  const parts = [
    `${now.labelled.toLocaleString("en")} of ${plural(now.tracklets, "tracklet")} (${Math.floor(100 * share)} %)`,
    plural(now.identities, "person", "people"),
    now.per_minute === null ? null : `${Math.round(now.per_minute)} a minute`,
    now.minutes_left === null || now.labelled === now.tracklets ? null : `${timeLeft(now.minutes_left)} left`,
    now.second_looks ? `${Math.round((100 * now.agreed) / now.second_looks)} % agreement` : null,
  ];
  const text = document.getElementById("progress-text");
  text.textContent = text.title = parts.filter(Boolean).join(" · ");
}

function timeLeft(minutes) {
  if (minutes < 1) return "under a minute";
  return minutes < 90 ? `${Math.round(minutes)} min` : `${(minutes / 60).toFixed(1)} h`;
}

async function askName(proposed) {
  const input = h("input", {
    type: "text",
    value: proposed,
    maxlength: 200,
    required: true,
    autofocus: true,
    "aria-label": "Your name",
  });
  const form = h(
    "form",
    { method: "dialog", class: "actions" },
    input,
    h("button", { class: "primary", value: "yes" }, "Start"),
  );
  const what = h("div", {}, h("p", { class: "quiet" }, "Each of your decisions is saved with your name."), form);
  do await dialog("Who is labelling?", what);
  while (!(input.value.trim() || proposed));
  setName(input.value.trim() || proposed);
}

function setName(name) {
  session.user = name;
  localStorage.setItem("uavpipe.user", name);
  document.getElementById("user").textContent = name;
}

async function refresh() {
  if (await attempt(() => post("/api/refresh"))) watchRefresh();
}

async function watchRefresh() {
  const button = document.getElementById("refresh");
  const { refresh: state } = await get("/api/session");
  button.disabled = !state.possible || state.working;
  button.textContent = state.working ? "Updating …" : "Update";
  if (state.working) button.removeAttribute("aria-label");
  else button.setAttribute("aria-label", "Update suggestions");
  button.title = state.line || "Train on the labels and update the suggestions";
  if (state.working) return setTimeout(watchRefresh, 1500);
  if (state.result === "done") toast("The suggestions are updated.");
  else if (state.result) toast(state.result, "error");
}

async function start() {
  const [offered] = await Promise.all([get("/api/session"), nameTab()]);
  session.since = offered.seen;
  session.flights = offered.flights;
  session.find = offered.find;
  const known = localStorage.getItem("uavpipe.user");
  if (known) setName(known);
  else await askName(offered.user);
  document
    .querySelectorAll("nav button")
    .forEach((button) => button.addEventListener("click", () => revisit(button.dataset.view)));
  document.querySelector('[data-view="picture"]').hidden = !offered.find;
  document.getElementById("undo").addEventListener("click", keys.z);
  document.getElementById("redo").addEventListener("click", keys.y);
  document.getElementById("help").addEventListener("click", showHelp);
  chooseTheme(document.getElementById("theme"));
  document.getElementById("refresh").addEventListener("click", refresh);
  document.getElementById("refresh").disabled = !offered.refresh.possible;
  if (offered.refresh.working) watchRefresh();
  document.getElementById("user").addEventListener("click", () => askName(session.user));
  document.addEventListener("decided", showProgress);
  addEventListener("pagehide", leave);
  setInterval(showProgress, 5000);
  addEventListener("hashchange", () => show(location.hash, { visited: true }));
  document.addEventListener("go", ({ detail }) => show(detail));
  await show(location.hash, { visited: true });
  await showProgress();
}

start().catch((error) => toast(error.message, "error"));
