// The reviews: decisions of others, confirmed or questioned one by one; and how far labellers agree.

import { decide, get, newest, session } from "./api.js";
import { action, h, identityName, inPlainWords, moved, picture, plural, say, toast } from "./dom.js";
import { filterBar } from "./filters.js";
import { showFrame } from "./frame.js";
import { showLightbox } from "./lightbox.js";
import { ask } from "./people.js";
import { go, link, linkToPerson, linkToTracklet } from "./route.js";

export class Reviews {
  #item = null;
  #agreement = [];
  #left = 0;
  #seen = 0;
  #busy = false;

  constructor(main) {
    this.main = main;
    this.keys = {
      Enter: () => this.#judge("confirmed"),
      y: () => this.#judge("confirmed"),
      n: () => this.#question(),
      s: () => this.#load(this.#item?.tracklet),
      f: () => this.#frame(),
      l: () => this.#lookCloser(),
    };
  }

  show() {
    return this.#load();
  }

  // `after`: the tracklet that is passed over.
  async #load(after = "") {
    const query = new URLSearchParams({ user: session.user, flight: this.route.query.flight ?? "", after });
    const answer = await newest(this, () => get(`/api/review?${query}`));
    if (!answer) return;
    this.#item = answer.item;
    this.#agreement = answer.agreement;
    this.#left = answer.left;
    this.#seen = answer.seen;
    moved();
    this.#draw();
    say(this.main.querySelector("h1").textContent);
  }

  async #judge(verdict, reason = "") {
    if (!this.#item || this.#busy) return;
    this.#busy = true;
    const { tracklet, decision } = this.#item;
    const done = await decide({ op: "review", tracklet, decision, verdict, reason }, { seen: this.#seen });
    this.#busy = false;
    if (done) toast(`${tracklet}: ${verdict}; Z takes it back`);
    await this.#load();
  }

  async #question() {
    if (!this.#item) return;
    const input = h("input", {
      type: "text",
      maxlength: 1000,
      placeholder: "for those who correct it",
      "aria-label": "Why",
      autofocus: true,
    });
    const reason = await ask(`What is wrong with ${this.#item.tracklet}?`, input, "Question it");
    if (reason !== null) await this.#judge("questioned", reason.trim());
  }

  #frame() {
    const { flight, tracklet, crops } = this.#item ?? { crops: [] };
    if (crops.length) showFrame(flight, crops[Math.floor(crops.length / 2)].frame, [tracklet]);
  }

  #lookCloser() {
    if (!this.#item) return;
    const { tracklet, crops, person } = this.#item;
    const sides = [{ name: tracklet, crops }];
    if (person) sides.push({ name: identityName(person), crops: person.crops, at: 0 });
    return showLightbox(sides);
  }

  #draw() {
    const change = (query) => go(link("review", [], query));
    this.main.replaceChildren(
      h(
        "section",
        { class: "review" },
        h(
          "article",
          { class: "panel", "aria-label": "The decision to review" },
          this.#item ? this.#decision(this.#item) : h("h1", {}, "Nothing is left for you to review."),
          filterBar(this.route.query, { flight: true }, change),
        ),
        h(
          "article",
          { class: "panel", "aria-label": "Agreement" },
          h("h2", {}, "Agreement"),
          this.#agreement.length ? this.#table() : h("span", { class: "quiet" }, "Nothing is labelled yet."),
        ),
      ),
    );
  }

  #decision({ tracklet, label, crops, person, labeller, decided, reasons }) {
    const what = person ? identityName(person) : inPlainWords(label);
    const when = decided.slice(0, 16).replace("T", " ");
    return [
      h("h1", {}, person ? `Is this ${what}?` : `Is this “${what}”?`),
      h(
        "p",
        { class: "quiet" },
        h("a", { href: linkToTracklet(tracklet) }, tracklet),
        ` · decided by ${labeller}, ${when} UTC · ${plural(this.#left, "decision")} to review`,
      ),
      h(
        "div",
        { class: "crops" },
        crops.map((crop) => picture(crop, tracklet)),
      ),
      person?.crops.length
        ? h(
            "section",
            { "aria-label": what },
            h("h2", {}, h("a", { href: linkToPerson(person.identity) }, what), " in other tracklets"),
            h(
              "div",
              { class: "crops" },
              person.crops.map((crop) => picture(crop, what)),
            ),
          )
        : null,
      h(
        "ul",
        { "aria-label": "How it was decided" },
        reasons.map((each) => h("li", {}, each)),
      ),
      h(
        "div",
        { class: "actions", role: "group", "aria-label": "Answers" },
        action("↵", "yes, right", () => this.#judge("confirmed"), { class: "primary" }),
        action("N", "no, or in doubt", () => this.#question()),
        action("S", "pass over", () => this.keys.s()),
        action("F", "frame", () => this.#frame()),
        action("L", "look closer", () => this.#lookCloser()),
      ),
    ];
  }

  #table() {
    const names = ["labeller", "labels", "confirmed", "questioned", "alike", "otherwise"];
    const heads = ["labeller", "labels", "confirmed", "questioned", "second look: same", "second look: other"];
    return h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Agreement by labeller" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            heads.map((each) => h("th", { scope: "col" }, each)),
          ),
        ),
        h(
          "tbody",
          {},
          this.#agreement.map((row) =>
            h(
              "tr",
              {},
              names.map((name) => h("td", {}, row[name].toLocaleString("en"))),
            ),
          ),
        ),
      ),
    );
  }
}
