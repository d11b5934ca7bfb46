// Batches: tracklets with a proposed answer each, confirmed at once; those with a wrong one are taken out first.

import { attempt, decide, post } from "./api.js";
import { action, h, identityName, key, moved, picture, plural, say, toast } from "./dom.js";
import { showFrame } from "./frame.js";
import { showLightbox } from "./lightbox.js";
import { go, link } from "./route.js";
import { Walk } from "./walk.js";

// The groups of a batch, in order: which answers are in it, and what is proposed.
const GROUPS = [
  ["New people", "Seen together, so each of them is somebody else.", (row) => row.answer === "new"],
  ["Known people", "On the left the tracklet, on the right the person.", (row) => Number.isInteger(row.answer)],
  ["Not people", "", (row) => row.answer === "junk"],
];

// The answer to a row, in words.
function inWords({ answer, person }) {
  if (answer === "new") return "a new person";
  return answer === "junk" ? "not a person" : identityName(person);
}

export class Batches {
  #rows = []; // in the order of the groups
  #total = 0; // rows of all batches that could be asked now
  #seen = 0;
  #walk = new Walk(() => this.#cards());
  #out = new Set(); // tracklets that are taken out
  #busy = false;

  constructor(main) {
    this.main = main;
    this.keys = {
      ...this.#walk.keys,
      " ": () => this.#toggle(this.#walk.at),
      Enter: () => this.#confirm(),
      s: () => this.#oneByOne(),
      f: () => this.#frame(),
      l: () => this.#lookCloser(),
    };
  }

  async show() {
    this.#busy = true;
    const answer = await attempt(() => post("/api/batch"));
    this.#busy = false;
    if (!answer) return;
    this.#rows = GROUPS.flatMap(([, , has]) => answer.rows.filter(has));
    this.#total = answer.total;
    this.#seen = answer.seen;
    moved();
    this.#draw();
    scrollTo(0, 0);
    say(this.main.querySelector("h1").textContent);
  }

  #isOut = ({ tracklet }) => this.#out.has(tracklet);

  // All at once, in one decision: undo takes it back as one.
  async #confirm() {
    if (this.#busy) return;
    if (!this.#rows.length) return go(link("queue"));
    this.#busy = true;
    const right = this.#rows.filter((row) => !this.#isOut(row));
    const operation = {
      op: "answer_batch",
      answers: right.map(({ tracklet, answer }) => [tracklet, answer]),
      taken_out: this.#rows.filter(this.#isOut).map(({ tracklet, answer }) => [tracklet, answer]),
    };
    const done = await decide(operation, { seen: this.#seen });
    this.#busy = false;
    if (done) {
      const out = this.#rows.length - right.length;
      const rest = out ? `, ${out} to be asked one by one` : "";
      toast(`${plural(right.length, "answer")} confirmed${rest}; Z takes it back`);
    }
    await this.show();
  }

  // None of them is right, or the labeller would rather decide each.
  #oneByOne() {
    this.#rows.forEach(({ tracklet }) => this.#out.add(tracklet));
    return this.#confirm();
  }

  #toggle(place) {
    const name = this.#rows[place]?.tracklet;
    if (!name) return;
    if (!this.#out.delete(name)) this.#out.add(name);
    this.#cards()[place].setAttribute("aria-pressed", String(!this.#out.has(name)));
    this.main.querySelector("#confirm").replaceChildren(key("↵"), " ", this.#answer());
    this.#walk.to(place);
  }

  #cards() {
    return [...this.main.querySelectorAll(".batch .card")];
  }

  // The frame of the marked row, with those of the other rows that are in it.
  #frame() {
    const { flight, crops } = this.#rows[this.#walk.at] ?? { crops: [] };
    const names = this.#rows.map(({ tracklet }) => tracklet);
    if (crops.length) showFrame(flight, crops[Math.floor(crops.length / 2)].frame, names);
  }

  #lookCloser() {
    const row = this.#rows[this.#walk.at];
    if (!row) return;
    const sides = [{ name: row.tracklet, crops: row.crops }];
    if (row.person) sides.push({ name: identityName(row.person), crops: row.person.crops, at: 0 });
    return showLightbox(sides);
  }

  #answer() {
    const [count, all] = [this.#rows.filter((row) => !this.#isOut(row)).length, this.#rows.length];
    if (!count) return "none is right";
    return count === all ? `all ${count} are right` : `these ${count} are right`;
  }

  #draw() {
    const count = this.#rows.length;
    if (!count) {
      const on = action("↵", "go on in the queue", () => go(link("queue")), { class: "primary" });
      const section = h("section", { class: "empty" }, h("h1", {}, "Nothing to confirm just now."), h("p", {}, on));
      this.main.replaceChildren(section);
      return;
    }
    const more = this.#total > count ? ` ${plural(this.#total - count, "more follows", "more follow")}.` : "";
    this.main.replaceChildren(
      h(
        "section",
        { class: "gallery batch" },
        h("h1", {}, count === 1 ? "Is this answer right?" : `Are these ${count} answers right?`),
        h("p", {}, `Take out each that is wrong: click on it, or press Space. Then confirm the others.${more}`),
        GROUPS.map((group) => this.#group(...group)),
        h(
          "div",
          { class: "actions foot", role: "group", "aria-label": "Answers" },
          action("↵", this.#answer(), () => this.#confirm(), { class: "primary", id: "confirm" }),
          action("S", "one by one", () => this.#oneByOne()),
          action("F", "frame", () => this.#frame()),
          action("L", "look closer", () => this.#lookCloser()),
        ),
      ),
    );
    this.#walk.to(0);
  }

  #group(title, why, has) {
    const rows = this.#rows.filter(has);
    if (!rows.length) return null;
    const first = this.#rows.indexOf(rows[0]);
    return [
      h("h2", {}, title, why && h("small", {}, ` ${why}`)),
      h(
        "ul",
        { class: "wall", "aria-label": title },
        rows.map((row, place) => h("li", {}, this.#card(row, first + place))),
      ),
    ];
  }

  #card(row, place) {
    const { tracklet, answer, crops, person } = row;
    return h(
      "button",
      {
        type: "button",
        class: "card",
        "aria-pressed": String(!this.#isOut(row)),
        onclick: () => this.#toggle(place),
      },
      h("span", { class: "row" }, h("strong", {}, inWords(row)), h("small", {}, tracklet)),
      h(
        "span",
        { class: "pair" },
        h("span", { class: "crops" }, crops.map((crop) => picture(crop, ""))),
        person && h("span", { class: "crops beside" }, person.crops.map((crop) => picture(crop, ""))),
      ),
      answer === "new" && person ? h("small", {}, `on the right, the most similar: ${identityName(person)}`) : null,
    );
  }
}
