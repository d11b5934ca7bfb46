// Where the tracker mixed up two persons: from a frame on, their tails change places.

import { decide, get, getTracklet } from "./api.js";
import { action, dialog, h, key, picture, plural, toast, topDialog } from "./dom.js";

const OFFERED = 6; // the nearest in the frame
const AROUND = 4; // crops shown before and from the frame on

// `tracklet`: with all its crops, as the server gives it. Resolves to whether tails were swapped.
export async function showSwap(tracklet, frame, seen) {
  let others;
  try {
    others = await nearest(tracklet, frame);
  } catch (error) {
    toast(error.message, "error");
    return false;
  }
  if (!others.length) {
    toast(`Nobody else is in frame ${frame}.`);
    return false;
  }
  let at = 0;
  const rows = others.map((other, place) =>
    h(
      "button",
      { type: "button", class: "member", onclick: () => swap(place) },
      bothSides(other, frame, key(String(place + 1))),
    ),
  );

  function move(step) {
    at = Math.max(0, Math.min(rows.length - 1, at + step));
    rows.forEach((row, place) => row.classList.toggle("chosen", place === at));
    rows[at].focus();
  }

  async function swap(place) {
    if (!others[place]) return;
    const second = others[place].tracklet;
    if (!(await decide({ op: "swap_tails", first: tracklet.tracklet, second, frame }, { seen }))) return;
    toast(`${tracklet.tracklet} and ${second} changed tails at frame ${frame}; Z takes it back`);
    topDialog().box.close("swapped");
  }

  const body = h(
    "div",
    {},
    h(
      "p",
      { class: "quiet" },
      `What each shows from frame ${frame} on becomes the other's; labels stay with what was before.`,
    ),
    bothSides(tracklet, frame),
    h("h3", {}, "Change tails with …"),
    h(
      "ol",
      { class: "members" },
      rows.map((row) => h("li", {}, row)),
    ),
    h(
      "div",
      { class: "actions" },
      action("↵", "change tails", () => swap(at), { class: "primary" }),
      action("Esc", "close", () => topDialog().box.close("")),
    ),
  );
  const keys = { ArrowDown: () => move(1), ArrowUp: () => move(-1), Enter: () => swap(at) };
  rows.forEach((_, place) => (keys[place + 1] = () => swap(place)));
  const closed = dialog(`${tracklet.tracklet}, mixed up at frame ${frame}`, body, keys);
  move(0);
  return (await closed) === "swapped";
}

// The other tracklets in the frame with their crops, nearest first.
async function nearest({ tracklet, flight }, frame) {
  const { boxes } = await get(`/api/boxes/${encodeURIComponent(flight)}/${frame}`);
  const here = middle(boxes.find((each) => each.tracklet === tracklet).box);
  const distance = ({ box }) => Math.hypot(middle(box).x - here.x, middle(box).y - here.y);
  const others = boxes
    .filter((each) => each.tracklet !== tracklet)
    .sort((one, other) => distance(one) - distance(other));
  return Promise.all(others.slice(0, OFFERED).map((each) => getTracklet(each.tracklet)));
}

const middle = ([x1, y1, x2, y2]) => ({ x: (x1 + x2) / 2, y: (y1 + y2) / 2 });

function bothSides({ tracklet, detections, crops }, frame, number = null) {
  const before = crops.filter((crop) => crop.frame < frame).slice(-AROUND);
  const after = crops.filter((crop) => crop.frame >= frame).slice(0, AROUND);
  const pictures = (these) => these.map((crop) => picture(crop, tracklet));
  return h(
    "div",
    {},
    h(
      "div",
      { class: "row" },
      number,
      h("strong", {}, tracklet),
      h("span", { class: "quiet" }, plural(detections, "detection")),
    ),
    h(
      "div",
      { class: "crops" },
      pictures(before),
      h("span", { class: "cut", "aria-label": `frame ${frame}` }),
      pictures(after),
    ),
  );
}
