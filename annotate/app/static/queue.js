// The queue: one tracklet, and the identities that it might be.

import { attempt, decide, get, post, session } from "./api.js";
import { action, h, identityName, inPlainWords, key } from "./dom.js";
import { moved, picture, plural, say, stillHere, toast } from "./dom.js";
import { filterBar } from "./filters.js";
import { askThough, showFrame, showScene } from "./frame.js";
import { showLightbox } from "./lightbox.js";
import { go, link, linkToPerson, linkToTracklet } from "./route.js";
import { showStrip } from "./strip.js";

const SHOWN = 4; // crops on a candidate's card
const KINDS = [
  ["", "all that wait"],
  ["open", "never asked"],
  ["skipped", "not sure"],
];
const KEYS = 9; // candidates that a digit chooses; a page of more of them is a wall of smaller cards

// Why it is hardly the same: the reason for people to read.
const together = (candidate) => `seen together in frame ${candidate.together.frame}`;

// The similarity, from 0 to 1, in words.
function howAlike(share) {
  if (share >= 0.75) return "very alike";
  if (share >= 0.6) return "alike";
  return share >= 0.4 ? "somewhat alike" : "hardly alike";
}

export class Queue {
  #item = null;
  #chosen = 0;
  #offset = 0;
  #busy = false;

  constructor(main) {
    this.main = main;
    this.keys = {
      Enter: () => this.#same(this.#chosen),
      " ": () => this.#same(this.#chosen),
      d: () => this.#move(1),
      ArrowRight: () => this.#move(1),
      ArrowDown: () => this.#move(this.#rowLength()),
      ArrowLeft: () => this.#move(-1),
      ArrowUp: () => this.#move(-this.#rowLength()),
      m: () => this.#more(),
      n: () => this.#isNew(),
      s: () => this.#mark("skipped"),
      j: () => this.#mark("junk"),
      x: () => this.#mark("distractor"),
      v: () => this.#strip(),
      f: () => this.#frame(),
      l: () => this.#lookCloser(),
      "/": () => this.#openFilters(),
    };
    for (let digit = 1; digit <= KEYS; digit++) this.keys[digit] = () => this.#same(digit - 1);
  }

  async show() {
    this.#wait(true); // until then the page shows a tracklet that may have an answer already
    const answer = await attempt(() => post("/api/next", { only: this.#only }));
    if (answer) this.#take(answer.item);
    this.#wait(false);
  }

  #take(item) {
    this.#item = item;
    moved();
    this.#offset = 0;
    this.#chosen = item?.candidates.length ? 0 : -1; // who can hardly be meant is not proposed
    this.#draw();
    scrollTo(0, 0); // on a small screen the page was left at the candidates
    const question = item && `Who is this? ${item.tracklet}, ${plural(item.detections, "detection")}`;
    say(question ?? "Nothing is left to label.");
  }

  // One decision at a time: a key that is held down does not label what has not been seen yet.
  async #answer(operation, what) {
    if (this.#busy || !this.#item) return;
    this.#wait(true);
    const done = await decide(operation, { seen: this.#item.seen, next: true, only: this.#only });
    if (done) {
      toast(what(done));
      this.#take(done.item);
    } else await this.show();
    this.#wait(false);
  }

  #wait(busy) {
    this.#busy = busy;
    this.main.setAttribute("aria-busy", busy);
  }

  // What is wanted, by the address.
  get #only() {
    const { flight = "", begin = "", end = "", kind = "", person } = this.route.query;
    return { flight, begin, end, kind, person: Number(person) || null };
  }

  get #filtered() {
    return Object.values(this.#only).some(Boolean);
  }

  #openFilters() {
    const details = this.main.querySelector(".narrow");
    if (!details) return;
    details.open = true;
    details.querySelector("select, input")?.focus();
  }

  #filters() {
    const fields = { flight: true, begin: true, end: true, kind: KINDS, person: true };
    const bar = filterBar(this.route.query, fields, (query) => go(link("queue", [], query)));
    const person = this.#only.person;
    return h(
      "details",
      { class: "narrow", open: this.#filtered },
      h("summary", {}, key("/"), this.#filtered ? " only some" : " filter"),
      bar,
      person ? h("a", { href: linkToPerson(person) }, `Person ${person}`) : null,
    );
  }

  // All that are on the page: those that it might be, and a few that were seen together with it.
  get #people() {
    return this.#item ? [...this.#item.candidates, ...this.#item.excluded] : [];
  }

  async #same(place) {
    const candidate = this.#people[place];
    if (!candidate || this.#busy) return;
    const { tracklet } = this.#item;
    const what = identityName(candidate);
    if (candidate.together) {
      const seen = { tracklets: [tracklet, candidate.together.tracklet], frame: candidate.together.frame };
      if (!(await askThough(`Is ${tracklet} ${what} all the same?`, seen))) return;
    }
    this.#label(candidate.identity, `${tracklet} is ${what}`);
  }

  #isNew() {
    if (this.#item?.second_look) return this.#secondLook("new");
    const tracklets = [this.#item?.tracklet];
    this.#answer({ op: "new_identity", tracklets }, (done) => `${tracklets[0]} is new: person ${done.created}`);
  }

  #mark(mark) {
    if (this.#item?.second_look) return this.#secondLook(mark);
    const tracklets = [this.#item?.tracklet];
    this.#answer({ op: "mark", tracklets, mark }, () => `${tracklets[0]}: ${inPlainWords(mark)}`);
  }

  #label(identity, what) {
    if (this.#item.second_look) return this.#secondLook(identity);
    this.#answer({ op: "assign", tracklets: [this.#item.tracklet], identity }, () => what);
  }

  #secondLook(answer) {
    this.#answer({ op: "second_look", tracklet: this.#item.tracklet, answer }, () => "second look noted");
  }

  #move(step) {
    const count = this.#people.length;
    if (!count) return;
    if (this.#chosen === count - 1 && step > 0) return this.#more();
    this.#chosen = Math.max(0, Math.min(count - 1, this.#chosen + step));
    this.#highlight()?.scrollIntoView({ block: "nearest" });
    const marked = this.#people[this.#chosen];
    const note = marked.together ? `, ${together(marked)}` : "";
    say(`${identityName(marked)}, ${this.#chosen + 1} of ${count}${note}`);
  }

  #rowLength() {
    const wall = this.main.querySelector(".many");
    return wall ? getComputedStyle(wall).gridTemplateColumns.split(" ").length : 1;
  }

  async #more() {
    if (!this.#item) return;
    const size = this.#item.candidates.length || this.#item.excluded.length;
    let offset = this.#offset + size;
    if (offset >= this.#item.total) offset = 0; // round again
    if (offset === this.#offset) return;
    const { tracklet } = this.#item;
    const answer = await attempt(() => post("/api/candidates", { tracklet, offset }));
    if (!answer || this.#item.tracklet !== tracklet) return;
    this.#offset = offset;
    Object.assign(this.#item, answer);
    this.#chosen = 0;
    this.#draw();
  }

  async #strip() {
    if (this.#item && (await showStrip(this.#item.tracklet, this.#item.seen))) this.show();
  }

  #frame() {
    const { flight, tracklet, crops, second_look: blind } = this.#item ?? { crops: [] };
    if (crops.length) showFrame(flight, crops[Math.floor(crops.length / 2)].frame, [tracklet], blind);
  }

  // The tracklet beside the person who is marked.
  #lookCloser(at) {
    if (!this.#item) return;
    const marked = this.#people[this.#chosen];
    const sides = [{ name: this.#item.tracklet, crops: this.#item.crops, at }];
    if (marked) sides.push({ name: identityName(marked), crops: marked.crops, at: 0 });
    return showLightbox(sides);
  }

  #draw() {
    const item = this.#item;
    if (!item) {
      this.main.replaceChildren(
        h(
          "section",
          { class: "empty" },
          h("h1", {}, this.#filtered ? "Nothing of this is left to label." : "Nothing is left to label."),
          this.#filtered ? this.#filters() : null,
          h("p", { class: "skipped", hidden: true }),
          h("p", { class: "elsewhere", hidden: true }),
          h(
            "p",
            {},
            "Look through the ",
            key("G"),
            " gallery and the ",
            key("C"),
            " checks, then run ",
            h("code", {}, "uavpipe dataset"),
            ".",
          ),
        ),
      );
      this.#tellWhatIsLeft();
      return;
    }
    this.main.replaceChildren(h("section", { class: "queue" }, this.#question(item), this.#answers(item)));
    this.#highlight();
    showScene(this.main.querySelector(".scene"), item);
    this.#hint();
  }

  async #tellWhatIsLeft() {
    const now = await attempt(() => get(`/api/progress?${new URLSearchParams({ user: session.user })}`));
    const place = this.main.querySelector(".skipped");
    if (!now || !place) return;
    const elsewhere = this.main.querySelector(".elsewhere");
    elsewhere.hidden = !now.elsewhere;
    elsewhere.textContent =
      `${plural(now.elsewhere, "tracklet is", "tracklets are")} shown in another window just now; ` +
      "what is not answered there comes back within five minutes.";
    if (!now.skipped) return;
    const again = () => {
      session.again = now.seen;
      this.show();
    };
    place.replaceChildren(
      `${plural(now.skipped, "tracklet was", "tracklets were")} skipped. `,
      h("button", { type: "button", class: "primary", onclick: again }, "Look again"),
    );
    place.hidden = false;
  }

  #question(item) {
    const seconds = (item.times[1] - item.times[0]).toFixed(1);
    // A page about the tracklet would tell its label.
    const name = item.second_look ? item.tracklet : h("a", { href: linkToTracklet(item.tracklet) }, item.tracklet);
    return h(
      "article",
      { class: "question", "aria-label": "The tracklet to label" },
      h(
        "div",
        { class: "row" },
        h("h1", {}, item.second_look ? "A second look: who is this?" : "Who is this?"),
        this.#filters(),
      ),
      h("p", { class: "quiet" }, name, ` · ${plural(item.detections, "detection")} · ${seconds} s`),
      h(
        "div",
        { class: "crops large" },
        item.crops.map((crop, place) => picture(crop, item.tracklet, () => this.#lookCloser(place))),
      ),
      h(
        "div",
        { class: "actions", role: "group", "aria-label": "Answers" },
        action("N", "new person", () => this.#isNew()),
        action("J", "not a person", () => this.#mark("junk"), { title: "Shows nobody, or too little" }),
        action("S", "not sure", () => this.#mark("skipped"), { title: "Comes back once more is known" }),
        item.second_look
          ? null
          : action("V", "several people", () => this.#strip(), { title: "All crops, to split where they change" }),
        action("X", "distractor", () => this.#mark("distractor"), { title: "Somebody who is nobody's match" }),
        action("F", "frame", () => this.#frame(), { title: "The whole frame" }),
        action("L", "look closer", () => this.#lookCloser(), { title: "Larger, beside the marked person" }),
      ),
      h("div", { class: "hint", hidden: true }),
      h("div", { class: "scene" }),
    );
  }

  // What can be answered at once takes a moment to find: nobody waits for it.
  async #hint() {
    const wanted = stillHere();
    const { proposed } = await get("/api/proposed").catch(() => ({}));
    const place = this.main.querySelector(".hint");
    if (!proposed || !place || !wanted()) return;
    const open = action("B", `confirm ${plural(proposed, "answer")} at once`, () => go(link("batches")));
    place.replaceChildren(open);
    place.hidden = false;
  }

  #answers(item) {
    const last = this.#offset + item.candidates.length;
    const several = item.total > this.#people.length;
    return h(
      "article",
      { class: "answers", "aria-label": "Who it might be: same as …" },
      h(
        "div",
        { class: "row" },
        h("h2", {}, item.candidates.length ? "Same as …" : "Nobody it could be yet"),
        h("span", { class: "quiet" }, several ? `${this.#offset + 1} to ${last} of ${item.total}` : ""),
        several ? action("M", "more", () => this.#more()) : null,
        this.#people.length ? action("D", "different", () => this.#move(1)) : null,
      ),
      h(
        "ol",
        { class: this.#offset ? "candidates many" : "candidates" },
        item.candidates.map((candidate, place) => this.#card(candidate, place)),
      ),
      this.#aside(item),
    );
  }

  #aside({ candidates, excluded }) {
    if (!excluded.length) return null;
    return h(
      "section",
      { class: "aside", "aria-label": "Seen together with it" },
      h("h3", {}, "Seen together with it, so hardly the same"),
      h(
        "ol",
        { class: "candidates" },
        excluded.map((each, place) => this.#card(each, candidates.length + place)),
      ),
    );
  }

  #card(candidate, place) {
    const share = Math.max(0, Math.min(1, candidate.similarity));
    const what = identityName(candidate);
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: candidate.together ? "card apart" : "card",
          onclick: () => this.#same(place),
        },
        h(
          "span",
          { class: "row" },
          place < KEYS ? key(String(place + 1)) : null,
          h("strong", {}, what),
          h("span", { class: "quiet" }, candidate.flights.join(", ")),
        ),
        h(
          "span",
          { class: "crops" },
          candidate.crops.slice(0, SHOWN).map((crop) => picture(crop, "")),
        ),
        candidate.together ? h("small", { class: "why" }, together(candidate)) : null,
        h(
          "span",
          { class: "row alike", title: `similarity ${candidate.similarity.toFixed(2)}` },
          h("meter", { min: 0, max: 1, value: share, "aria-hidden": "true" }),
          h("small", {}, howAlike(share)),
        ),
      ),
    );
  }

  #highlight() {
    const cards = this.main.querySelectorAll(".card");
    cards.forEach((card, place) => {
      const marked = place === this.#chosen;
      card.classList.toggle("chosen", marked);
      card.querySelector(".enter")?.remove();
      if (!marked) return card.removeAttribute("aria-current");
      card.setAttribute("aria-current", "true");
      card.querySelector(".row").prepend(h("kbd", { class: "enter" }, "↵"));
    });
    return cards[this.#chosen];
  }
}
