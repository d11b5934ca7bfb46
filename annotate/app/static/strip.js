// All crops of a tracklet in order: where it changes from one person to another it is split, or tails are swapped.

import { decide, getTracklet } from "./api.js";
import { action, dialog, h, picture, plural, toast, topDialog } from "./dom.js";
import { showFrame } from "./frame.js";
import { showSwap } from "./swap.js";

// Resolves to whether the tracklet was changed.
export async function showStrip(tracklet, seen) {
  let content;
  try {
    content = await getTracklet(tracklet);
  } catch (error) {
    toast(error.message, "error");
    return false;
  }
  let at = 0;
  const cells = content.crops.map((crop, place) =>
    h(
      "button",
      { type: "button", class: "cell", onclick: () => move(place) },
      picture(crop, tracklet),
      h("small", {}, crop.frame),
    ),
  );
  const note = h("p", { class: "quiet", role: "status" });

  function move(place) {
    cells[at].classList.remove("chosen");
    at = Math.max(0, Math.min(cells.length - 1, place));
    cells[at].classList.add("chosen");
    cells[at].focus({ preventScroll: true });
    cells[at].scrollIntoView({ block: "nearest" });
    note.textContent =
      at === 0
        ? "Go to the first crop of another person."
        : `Split before frame ${content.crops[at].frame}: ${plural(at, "crop")} stay, ${cells.length - at} go.`;
  }

  function rowLength() {
    const top = cells[0].offsetTop;
    const second = cells.findIndex((cell) => cell.offsetTop > top);
    return second < 0 ? cells.length : second;
  }

  async function split() {
    if (at === 0) return;
    const done = await decide({ op: "split", tracklet, frame: content.crops[at].frame }, { seen });
    if (!done) return;
    toast(`${tracklet} is split: ${done.created} is new`);
    topDialog().box.close("changed");
  }

  async function swap() {
    if (at > 0 && (await showSwap(content, content.crops[at].frame, seen))) topDialog().box.close("changed");
  }

  const frame = () => showFrame(content.flight, content.crops[at].frame, [tracklet]);
  const body = h(
    "div",
    {},
    h(
      "div",
      { class: "actions" },
      action("P", "split before this crop", split, { class: "primary" }),
      action("T", "swap tails here", swap),
      action("F", "frame", frame),
      action("Esc", "close", () => topDialog().box.close("")),
    ),
    note,
    h("div", { class: "strip" }, cells),
  );
  const closed = dialog(`${tracklet}: ${plural(cells.length, "crop")}`, body, {
    ArrowRight: () => move(at + 1),
    ArrowLeft: () => move(at - 1),
    ArrowDown: () => move(at + rowLength()),
    ArrowUp: () => move(at - rowLength()),
    Home: () => move(0),
    End: () => move(cells.length - 1),
    p: split,
    t: swap,
    Enter: split,
    f: frame,
  });
  if (cells.length) move(0);
  return (await closed) === "changed";
}
