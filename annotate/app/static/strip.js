// All crops of a tracklet in order: where it changes from one person to another it is split, or tails are swapped.

import { decide, getTracklet } from "./api.js";
import { action, dialog, h, picture, plural, toast, topDialog } from "./dom.js";
import { showFrame } from "./frame.js";
import { showSwap } from "./swap.js";
import { Walk } from "./walk.js";

// Resolves to whether the tracklet was changed.
export async function showStrip(tracklet, seen) {
  let content;
  try {
    content = await getTracklet(tracklet);
  } catch (error) {
    toast(error.message, "error");
    return false;
  }
  const cells = content.crops.map((crop, place) =>
    h(
      "button",
      { type: "button", class: "cell", onclick: () => walk.to(place) },
      picture(crop, tracklet),
      h("small", {}, crop.frame),
    ),
  );
  const note = h("p", { class: "quiet", role: "status" });

  const walk = new Walk(() => cells, { marked });

  function marked() {
    note.textContent =
      walk.at === 0
        ? "Go to the first crop of another person."
        : `Split before frame ${frame()}: ${plural(walk.at, "crop")} stay, ${cells.length - walk.at} go.`;
  }

  async function split() {
    if (walk.at === 0) return;
    const done = await decide({ op: "split", tracklet, frame: frame() }, { seen });
    if (!done) return;
    toast(`${tracklet} is split: ${done.created} is new`);
    topDialog().box.close("changed");
  }

  async function swap() {
    if (walk.at > 0 && (await showSwap(content, frame(), seen))) topDialog().box.close("changed");
  }

  const frame = () => content.crops[walk.at].frame;
  const look = () => showFrame(content.flight, frame(), [tracklet]);
  const body = h(
    "div",
    {},
    h(
      "div",
      { class: "actions" },
      action("P", "split before this crop", split, { class: "primary" }),
      action("T", "swap tails here", swap),
      action("F", "frame", look),
      action("Esc", "close", () => topDialog().box.close("")),
    ),
    note,
    h("div", { class: "strip" }, cells),
  );
  const closed = dialog(`${tracklet}: ${plural(cells.length, "crop")}`, body, {
    ...walk.keys,
    p: split,
    t: swap,
    Enter: split,
    f: look,
  });
  if (cells.length) walk.to(0);
  return (await closed) === "changed";
}
