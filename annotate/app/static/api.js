// Talking to the server. A decision carries an id of its own: sent twice, it is applied once.

import { toast } from "./dom.js";

// `tab`: this window. `since`: the last entry of the log when it was opened.
// `again`: the last when the labeller wanted to see the skipped tracklets again. `flights`: of the workspace.
// `find`: whether the server searches by picture.
export const session = { user: "", tab: "", since: 0, again: 0, flights: [], find: false };

const TRIES = 4;
const WAITS = 40; // while another program writes to the labels: minutes, for the server waits, too
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class Refused extends Error {}

async function request(path, options = {}) {
  for (let broken = 1, busy = 1; ; ) {
    try {
      const response = await fetch(path, options);
      const content = await response.json();
      if (response.status === 503 && busy < WAITS) {
        if (busy++ % 5 === 1)
          toast("Another program is writing to the labels. Your decision is kept and sent again.");
        await pause(1000 * Number(response.headers.get("retry-after") || 1));
        continue;
      }
      if (!response.ok) throw new Refused(content.error || response.statusText);
      return content;
    } catch (error) {
      if (error instanceof Refused) throw error;
      // The connection broke: the request may or may not have arrived. The same again is safe.
      if (broken === TRIES)
        throw new Error("The server does not answer. Is `uavpipe annotate serve` still running?");
      await pause(300 * 2 ** broken++);
    }
  }
}

export const get = (path) => request(path);

const inPath = (name) => name.split("/").map(encodeURIComponent).join("/");

// A tracklet with all its crops.
export const getTracklet = (name) => get(`/api/tracklets/${inPath(name)}`);

// The frames around one, cut out around a tracklet: `picture` has a square for each of `frames`, one below the
// other, that shows `side` px of the frame. null where there is no video.
export async function getClip(tracklet, frame) {
  const response = await fetch(`/api/clips/${inPath(tracklet)}/${frame}.jpg`);
  if (response.status !== 200) return null;
  const { side, frames } = JSON.parse(response.headers.get("x-clip"));
  const picture = await createImageBitmap(await response.blob());
  return { side, picture, frames: frames.map(([index, time]) => ({ frame: index, time })) };
}

const JSON_TYPE = "application/json";

export function post(path, body = {}) {
  return request(path, {
    method: "POST",
    headers: { "content-type": JSON_TYPE },
    body: JSON.stringify({ user: session.user, tab: session.tab, again: session.again, ...body }),
  });
}

// What a closed window showed need not wait for others until its reservation ends.
export function leave() {
  const who = JSON.stringify({ user: session.user, tab: session.tab });
  if (session.user) navigator.sendBeacon("/api/leave", new Blob([who], { type: JSON_TYPE }));
}

export const postPicture = (path, file) =>
  request(path, { method: "POST", headers: { "content-type": file.type }, body: file });

// Not crypto.randomUUID: over plain HTTP from another machine a browser does not offer it.
function random(count) {
  const bytes = crypto.getRandomValues(new Uint8Array(count));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const newId = () => `${session.tab}.${random(12)}`;

// The window keeps its name when it is loaded again; a copy of it, which the browser gives the same name, does not.
export async function nameTab() {
  const known = sessionStorage.getItem("uavpipe.tab");
  const others = new BroadcastChannel("uavpipe.tab");
  const taken = await new Promise((resolve) => {
    others.onmessage = ({ data }) => data.here === known && resolve(true);
    if (known) others.postMessage({ asked: known });
    setTimeout(() => resolve(!known), known ? 100 : 0); // ms; other windows answer at once
  });
  session.tab = taken ? random(8) : known;
  sessionStorage.setItem("uavpipe.tab", session.tab);
  others.onmessage = ({ data }) => data.asked === session.tab && others.postMessage({ here: session.tab });
}

// Decisions, and their taking back, reach the server in the order of the keys: each waits for the one before.
let turn = Promise.resolve();
export function inTurn(work) {
  const done = turn.then(work);
  turn = done.catch(() => {});
  return done;
}

// Decide `operation`; null where it was refused, with a message to the labeller.
// `next`: whether the answer has what comes next in the queue, of what is wanted `only`.
export async function decide(operation, { seen, next = false, only } = {}) {
  return attempt(() => inTurn(() => post("/api/decide", { id: newId(), operation, seen, next, only })));
}

export async function attempt(work) {
  try {
    const answer = await work();
    document.dispatchEvent(new Event("decided"));
    return answer;
  } catch (error) {
    toast(error.message, "error");
    return null;
  }
}

const questions = new WeakMap();

// As `attempt`, for what a view shows; undefined if the view has asked again meanwhile: the later question counts,
// whichever answer comes first.
export async function newest(view, work) {
  const question = {};
  questions.set(view, question);
  const answer = await attempt(work);
  return questions.get(view) === question ? answer : undefined;
}
