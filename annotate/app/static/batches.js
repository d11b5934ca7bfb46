// Batches: tracklets that probably have the same answer, confirmed at once; those with another are taken out first.

import { attempt, decide, post } from "./api.js";
import { action, h, identityName, key, moved, picture, plural, say, toast } from "./dom.js";
import { showFrame } from "./frame.js";
import { showLightbox } from "./lightbox.js";
import { Walk } from "./walk.js";

const SHOWN = 3; // crops of a tracklet

export class Batches {
  #batch = null;
  #seen = 0;
  #walk = new Walk(() => this.#cards());
  #out = new Set(); // tracklets that are taken out of the batch
  #without = []; // what is asked in the queue instead
  #busy = false;

  constructor(main) {
    this.main = main;
    this.keys = {
      ...this.#walk.keys,
      " ": () => this.#toggle(this.#walk.at),
      Enter: () => this.#confirm(),
      s: () => this.#later(),
      f: () => this.#frame(),
      l: () => this.#lookCloser(),
    };
  }

  async show() {
    this.#busy = true;
    const answer = await attempt(() => post("/api/batch", { without: this.#without }));
    this.#busy = false;
    if (!answer) return;
    this.#batch = answer.batch;
    this.#seen = answer.seen;
    this.#out.clear();
    moved();
    this.#draw();
    scrollTo(0, 0);
    say(this.main.querySelector("h1").textContent);
  }

  get #tracklets() {
    return this.#batch?.tracklets ?? [];
  }

  get #chosen() {
    return this.#tracklets.map((each) => each.tracklet).filter((name) => !this.#out.has(name));
  }

  // All at once, in one decision: undo takes it back as one.
  async #confirm() {
    const tracklets = this.#chosen;
    if (!tracklets.length || this.#busy) return;
    this.#busy = true;
    const { person } = this.#batch;
    const operation = person
      ? { op: "assign", tracklets, identity: person.identity }
      : { op: "mark", tracklets, mark: "junk" };
    const done = await decide(operation, { seen: this.#seen });
    this.#busy = false;
    if (done) {
      const what = person ? `${tracklets.length === 1 ? "is" : "are"} ${identityName(person)}` : "not a person";
      toast(`${plural(tracklets.length, "tracklet")}${person ? " " : ": "}${what}; Z takes it back`);
      this.#without.push(...this.#out);
    }
    await this.show();
  }

  #later() {
    this.#without.push(...this.#tracklets.map((each) => each.tracklet));
    return this.show();
  }

  #toggle(place) {
    const name = this.#tracklets[place]?.tracklet;
    if (!name) return;
    if (!this.#out.delete(name)) this.#out.add(name);
    this.#cards()[place].setAttribute("aria-pressed", String(!this.#out.has(name)));
    this.main.querySelector("#confirm").replaceChildren(key("↵"), " ", this.#answer());
    this.main.querySelector("#confirm").disabled = !this.#chosen.length;
    this.#walk.to(place);
  }

  #cards() {
    return [...this.main.querySelectorAll(".wall .card")];
  }

  #frame() {
    const { flight, tracklet, crops } = this.#tracklets[this.#walk.at] ?? { crops: [] };
    if (crops.length) showFrame(flight, crops[Math.floor(crops.length / 2)].frame, [tracklet]);
  }

  #lookCloser() {
    const chosen = this.#tracklets[this.#walk.at];
    if (!chosen) return;
    const { person } = this.#batch;
    const sides = [{ name: chosen.tracklet, crops: chosen.crops }];
    if (person) sides.push({ name: identityName(person), crops: person.crops, at: 0 });
    return showLightbox(sides);
  }

  #answer() {
    const count = this.#chosen.length;
    const { person } = this.#batch;
    if (person) return `${count === 1 ? "this one is" : `these ${count} are`} ${identityName(person)}`;
    return count === 1 ? "this one is not a person" : `none of these ${count} is a person`;
  }

  #draw() {
    if (!this.#batch) {
      this.main.replaceChildren(
        h(
          "section",
          { class: "empty" },
          h("h1", {}, "Nothing to answer at once."),
          h("p", {}, "Go on in the ", key("Q"), " queue."),
        ),
      );
      return;
    }
    const count = this.#tracklets.length;
    const { person, total } = this.#batch;
    const more = total > count ? ` The next of ${total.toLocaleString("en")} follow.` : "";
    const question = person
      ? `Are these ${count} also ${identityName(person)}?`
      : `Is none of these ${count} a person?`;
    const others = person ? "are somebody else" : "are";
    this.main.replaceChildren(
      h(
        "section",
        { class: "gallery" },
        h("h1", {}, question),
        person ? this.#person(person) : null,
        h("p", { class: "quiet" }, `Take out those that ${others}: click on them, or press Space.${more}`),
        h(
          "div",
          { class: "actions", role: "group", "aria-label": "Answers" },
          action("↵", this.#answer(), () => this.#confirm(), { class: "primary", id: "confirm" }),
          action("S", "ask me one by one", () => this.#later()),
          action("F", "frame", () => this.#frame()),
          action("L", "look closer", () => this.#lookCloser()),
        ),
        h(
          "ul",
          { class: "wall batch", "aria-label": "Tracklets" },
          this.#tracklets.map((each, place) => h("li", {}, this.#card(each, place))),
        ),
      ),
    );
    this.#walk.to(0);
  }

  #person(person) {
    const name = identityName(person);
    return h(
      "section",
      { class: "crops", "aria-label": name },
      person.crops.map((crop) => picture(crop, name)),
    );
  }

  #card({ tracklet, crops }, place) {
    const middle = Math.max(0, Math.floor((crops.length - SHOWN) / 2));
    return h(
      "button",
      { type: "button", class: "card", "aria-pressed": "true", onclick: () => this.#toggle(place) },
      h("strong", {}, tracklet),
      h(
        "span",
        { class: "crops" },
        crops.slice(middle, middle + SHOWN).map((crop) => picture(crop, "")),
      ),
    );
  }
}
