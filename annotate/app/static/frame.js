// The whole frame that a crop is from, with the boxes of all tracklets in it.

import { get } from "./api.js";
import { action, dialog, h, inPlainWords, stillHere, toast, topDialog } from "./dom.js";

// `meant`: the tracklets that it is about; `blind`: their labels are not to be seen. A frame that comes when
// something else is shown by then is not wanted.
export async function showFrame(flight, frame, meant, blind = false) {
  const wanted = stillHere();
  let view;
  try {
    view = await frameView(flight, frame, meant, blind);
  } catch (error) {
    toast(error.message, "error");
    return;
  }
  if (!wanted()) return view.release();
  const close = () => topDialog().box.close();
  await dialog(
    `Frame ${frame} of ${flight}`,
    h("div", {}, view.element, h("div", { class: "actions" }, action("Esc", "close", close))),
    { f: close },
  );
  view.release();
}

const WIDE = "(width >= 1600px)"; // where there is room for the frame beside the crops
const SOON = 400; // ms; who answers faster does not wait for a frame to be decoded

// The frame of a tracklet in `place`, where the screen is wide; left out where something else is shown by then.
export async function showScene(place, { flight, tracklet, crops, second_look: blind }) {
  if (!place || !crops.length || !matchMedia(WIDE).matches) return;
  const wanted = stillHere();
  await new Promise((resolve) => setTimeout(resolve, SOON));
  if (!wanted()) return;
  const frame = crops[Math.floor(crops.length / 2)].frame;
  const view = await frameView(flight, frame, [tracklet], blind).catch(() => null); // crops alone have no video
  if (!view) return;
  place.replaceChildren(view.element);
  // The picture is loaded already: its address is needed no more once it is drawn.
  view.element.querySelector("img").addEventListener("load", view.release);
}

// Whether two that were seen together are the same all the same. `seen`: the tracklets, and the frame.
export async function askThough(question, seen) {
  const [flight] = seen.tracklets[0].split(/\/(?=[^/]*$)/);
  const view = await frameView(flight, seen.frame, seen.tracklets).catch(() => null); // crops alone have no video
  const answer = (value) => () => topDialog().box.close(value);
  const body = h(
    "div",
    {},
    h(
      "p",
      {},
      `${seen.tracklets.join(" and ")} are both in frame ${seen.frame} of ${flight}, apart from each other. `,
      "One person is only ever in one place, unless one of the two boxes is wrong.",
    ),
    h("div", { class: "asked" }, view?.element),
    h(
      "div",
      { class: "actions" },
      action("N", "no, they are two people", answer("no"), { class: "primary", autofocus: true }),
      action("Y", "yes, the same person", answer("yes")),
    ),
  );
  const said = await dialog(question, body, { n: answer("no"), y: answer("yes") });
  view?.release();
  return said === "yes";
}

async function frameView(flight, frame, meant, blind = false) {
  const path = `${encodeURIComponent(flight)}/${frame}`;
  const { boxes } = await get(`/api/boxes/${path}`);
  const picture = await load(`/api/frames/${path}.jpg`);
  const image = h("img", { src: picture.url, alt: `Frame ${frame} of ${flight}` });
  const marks = boxes.map((each) => mark(each, picture, meant.includes(each.tracklet), blind));
  return { element: h("div", { class: "frame" }, image, marks), release: () => URL.revokeObjectURL(picture.url) };
}

async function load(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error((await response.json()).error);
  const [width, height] = response.headers.get("x-frame-size").split("x").map(Number);
  return { url: URL.createObjectURL(await response.blob()), width, height };
}

function mark({ tracklet, label, box: [x1, y1, x2, y2] }, { width, height }, meant, blind) {
  const place = { left: x1 / width, top: y1 / height, width: (x2 - x1) / width, height: (y2 - y1) / height };
  const style = Object.fromEntries(Object.entries(place).map(([name, share]) => [name, `${100 * share}%`]));
  const who = Number.isInteger(label) ? `Person ${label}` : inPlainWords(label);
  return h(
    "div",
    { class: meant ? "box meant" : "box", style },
    meant ? h("span", {}, blind ? tracklet : `${tracklet}: ${who}`) : null,
  );
}
