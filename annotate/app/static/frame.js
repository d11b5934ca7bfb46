// The whole frame that a crop is from, with the boxes of all tracklets in it.

import { get } from "./api.js";
import { action, dialog, h, toast, topDialog } from "./dom.js";

// `meant`: the tracklets that it is about.
export async function showFrame(flight, frame, meant) {
  const path = `${encodeURIComponent(flight)}/${frame}`;
  let boxes;
  let picture;
  try {
    ({ boxes } = await get(`/api/boxes/${path}`));
    picture = await load(`/api/frames/${path}.jpg`);
  } catch (error) {
    toast(error.message, "error");
    return;
  }
  const image = h("img", { src: picture.url, alt: `Frame ${frame} of ${flight}` });
  const holder = h(
    "div",
    { class: "frame" },
    image,
    boxes.map((each) => mark(each, picture, meant.includes(each.tracklet))),
  );
  const close = () => topDialog().box.close();
  await dialog(
    `Frame ${frame} of ${flight}`,
    h("div", {}, holder, h("div", { class: "actions" }, action("Esc", "close", close))),
    { f: close },
  );
  URL.revokeObjectURL(picture.url);
}

async function load(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error((await response.json()).error);
  const [width, height] = response.headers.get("x-frame-size").split("x").map(Number);
  return { url: URL.createObjectURL(await response.blob()), width, height };
}

function mark({ tracklet, label, box: [x1, y1, x2, y2] }, { width, height }, meant) {
  const place = { left: x1 / width, top: y1 / height, width: (x2 - x1) / width, height: (y2 - y1) / height };
  const style = Object.fromEntries(Object.entries(place).map(([name, share]) => [name, `${100 * share}%`]));
  const who = Number.isInteger(label) ? `Person ${label}` : label;
  return h(
    "div",
    { class: meant ? "box meant" : "box", style },
    meant ? h("span", {}, `${tracklet}: ${who}`) : null,
  );
}
