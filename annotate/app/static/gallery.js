// The gallery: all identities as a wall. Merge by dragging or selecting; open one to split and take out.

import { attempt, decide, get } from "./api.js";
import { action, dialog, h, identityName, picture, plural, toast, topDialog } from "./dom.js";
import { askThough, showFrame } from "./frame.js";
import { showStrip } from "./strip.js";

const PAGE = 60;

export class Gallery {
  #identities = [];
  #total = 0;
  #find = "";
  #at = 0;
  #selected = new Set();
  #request = 0;

  constructor(main) {
    this.main = main;
    this.keys = {
      ArrowRight: () => this.#move(1),
      ArrowLeft: () => this.#move(-1),
      ArrowDown: () => this.#move(this.#rowLength()),
      ArrowUp: () => this.#move(-this.#rowLength()),
      " ": () => this.#select(this.#at),
      Enter: () => this.#open(this.#at),
      m: () => this.#mergeSelected(),
      r: () => this.#rename(this.#at),
      "/": () => this.main.querySelector("input[type=search]")?.focus(),
      Escape: () => this.#clear(),
    };
  }

  async show() {
    this.#draw();
    await this.#load(Math.max(PAGE, this.#identities.length));
  }

  async #load(count, offset = 0) {
    const request = ++this.#request; // of two answers the later question's counts
    const query = new URLSearchParams({ offset, limit: Math.min(count, 500), find: this.#find });
    const answer = await attempt(() => get(`/api/identities?${query}`));
    if (!answer || request !== this.#request) return;
    this.#identities = offset ? this.#identities.concat(answer.identities) : answer.identities;
    this.#total = answer.total;
    const there = new Set(this.#identities.map((each) => each.identity));
    for (const number of this.#selected) if (!there.has(number)) this.#selected.delete(number);
    this.#fill();
  }

  #draw() {
    const search = h("input", {
      type: "search",
      placeholder: "Find a name or number ( / )",
      "aria-label": "Find a name or number",
      value: this.#find,
    });
    search.addEventListener("input", () => {
      this.#find = search.value;
      this.#at = 0;
      this.#load(PAGE);
    });
    search.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") this.#focus();
    });
    this.main.replaceChildren(
      h(
        "section",
        { class: "gallery" },
        h(
          "div",
          { class: "row" },
          h("h1", {}, "Identities"),
          search,
          h("span", { class: "quiet", id: "gallery-count", role: "status" }),
          action("M", "merge selected", () => this.#mergeSelected(), { id: "merge" }),
          action("R", "rename", () => this.#rename(this.#at)),
          action("↵", "open", () => this.#open(this.#at)),
        ),
        h("ul", { class: "wall", "aria-label": "Identities" }),
        action("↓", "show more", () => this.#load(PAGE, this.#identities.length), { id: "more", hidden: true }),
      ),
    );
  }

  #fill() {
    const wall = this.main.querySelector(".wall");
    if (!wall) return;
    wall.replaceChildren(...this.#identities.map((identity, place) => this.#card(identity, place)));
    if (!this.#identities.length)
      wall.append(
        h(
          "li",
          { class: "empty" },
          this.#find ? "Nobody is called so." : "Nobody yet: label some tracklets first.",
        ),
      );
    this.main.querySelector("#more").hidden = this.#identities.length >= this.#total;
    this.#at = Math.max(0, Math.min(this.#at, this.#identities.length - 1));
    this.#count();
    // An answer that comes while the user types must not take the keyboard focus from the search.
    if (document.activeElement !== this.main.querySelector("input[type=search]")) this.#focus();
    else this.#mark();
  }

  #card(identity, place) {
    const name = identityName(identity);
    const card = h(
      "button",
      {
        type: "button",
        class: "card",
        draggable: "true",
        "aria-pressed": String(this.#selected.has(identity.identity)),
        data: { identity: identity.identity },
        onclick: (event) => {
          this.#at = place;
          if (event.ctrlKey || event.metaKey || event.shiftKey) this.#select(place);
          else this.#focus();
        },
        ondblclick: () => this.#open(place),
        ondragstart: (event) => event.dataTransfer.setData("text/plain", String(identity.identity)),
        ondragover: (event) => {
          event.preventDefault();
          card.classList.add("target");
        },
        ondragleave: () => card.classList.remove("target"),
        ondrop: (event) => {
          event.preventDefault();
          card.classList.remove("target");
          this.#merge([Number(event.dataTransfer.getData("text/plain"))], identity.identity);
        },
      },
      h("span", { class: "row" }, h("strong", {}, name)),
      h(
        "span",
        { class: "crops" },
        identity.crops.slice(0, 3).map((crop) => picture(crop, "")),
      ),
      h(
        "small",
        { class: "quiet" },
        `${plural(identity.tracklets, "tracklet")} · ${plural(identity.flights.length, "flight")}`,
      ),
    );
    // A finger has no Ctrl key and no Space.
    const pick = h(
      "button",
      {
        type: "button",
        class: "pick",
        "aria-pressed": String(this.#selected.has(identity.identity)),
        onclick: () => this.#select(place),
      },
      "select",
      h("span", { class: "unseen" }, ` ${name}`),
    );
    return h("li", {}, card, pick);
  }

  #cards() {
    return [...this.main.querySelectorAll(".wall .card")];
  }

  #mark() {
    this.#cards().forEach((card, place) => card.classList.toggle("chosen", place === this.#at));
  }

  #focus() {
    this.#mark();
    this.#cards()[this.#at]?.focus();
  }

  #move(step) {
    const last = this.#identities.length - 1;
    if (this.#at + step > last && this.#identities.length < this.#total) this.#load(PAGE, this.#identities.length);
    this.#at = Math.max(0, Math.min(last, this.#at + step));
    this.#focus();
  }

  #rowLength() {
    const cards = this.#cards();
    const second = cards.findIndex(
      (card) => card.getBoundingClientRect().top > cards[0].getBoundingClientRect().top + 5,
    );
    return second < 0 ? cards.length : second;
  }

  #select(place) {
    const number = this.#identities[place]?.identity;
    if (number === undefined) return;
    if (!this.#selected.delete(number)) this.#selected.add(number);
    this.#markSelected();
    this.#count();
  }

  #clear() {
    this.#selected.clear();
    this.#markSelected();
    this.#count();
  }

  #markSelected() {
    this.#identities.forEach(({ identity }, place) => {
      const item = this.#cards()[place].parentElement;
      for (const button of item.children) button.setAttribute("aria-pressed", String(this.#selected.has(identity)));
    });
  }

  #count() {
    const chosen = this.#selected.size ? `, ${this.#selected.size} selected` : "";
    this.main.querySelector("#gallery-count").textContent = plural(this.#total, "identity", "identities") + chosen;
    this.main.querySelector("#merge").disabled = this.#selected.size < 2;
  }

  #mergeSelected() {
    const [into, ...sources] = [...this.#selected].sort((one, other) => one - other);
    if (!sources.length) return toast("Select two or more people first (Space, or select).");
    this.#clear(); // at once: the key may be pressed again before the question is away
    return this.#merge(sources, into);
  }

  async #merge(sources, into) {
    for (const source of sources) {
      if (source === into || !source) continue;
      const known = await attempt(() => get(`/api/together/${source}/${into}`));
      if (!known) break;
      const question = `Are person ${source} and person ${into} one person all the same?`;
      if (known.together && !(await askThough(question, known.together))) break;
      if (!(await decide({ op: "merge", source, into }))) break;
      toast(`${source} is ${into}; Z takes it back`);
    }
    await this.#load(Math.max(PAGE, this.#identities.length));
  }

  async #rename(place) {
    const identity = this.#identities[place];
    if (!identity) return;
    const input = h("input", {
      type: "text",
      value: identity.name,
      maxlength: 200,
      "aria-label": "Name",
      autofocus: true,
    });
    const form = h(
      "form",
      { method: "dialog", class: "actions", onsubmit: () => (form.closest("dialog").returnValue = "yes") },
      input,
      h("button", { class: "primary", value: "yes" }, "Rename"),
    );
    if ((await dialog(`Name of person ${identity.identity}`, form)) !== "yes") return this.#focus();
    await decide({ op: "rename", identity: identity.identity, name: input.value.trim() });
    await this.#load(Math.max(PAGE, this.#identities.length));
  }

  async #open(place) {
    const identity = this.#identities[place];
    if (!identity) return;
    await new Detail(identity.identity).show();
    await this.#load(Math.max(PAGE, this.#identities.length));
  }
}

// One identity with all its tracklets.
class Detail {
  #content = null;
  #at = 0;
  #rows = [];

  constructor(number) {
    this.number = number;
    this.list = h("ul", { class: "members" });
  }

  async show() {
    if (!(await this.#load())) return;
    const body = h(
      "div",
      {},
      h(
        "div",
        { class: "actions" },
        action("U", "take out", () => this.#takeOut()),
        action("V", "all crops, split", () => this.#strip()),
        action("F", "frame", () => this.#frame()),
        action("Esc", "close", () => topDialog().box.close()),
      ),
      this.list,
    );
    const closed = dialog(identityName(this.#content), body, {
      ArrowDown: () => this.#move(1),
      ArrowUp: () => this.#move(-1),
      u: () => this.#takeOut(),
      v: () => this.#strip(),
      f: () => this.#frame(),
    });
    this.#move(0);
    await closed;
  }

  async #load() {
    this.#content = await attempt(() => get(`/api/identities/${this.number}`));
    if (!this.#content) return false;
    this.#rows = this.#content.members.map((member, place) =>
      h(
        "button",
        { type: "button", class: "member", onclick: () => this.#move(place - this.#at) },
        h(
          "span",
          { class: "row" },
          h("strong", {}, member.tracklet),
          h("span", { class: "quiet" }, plural(member.detections, "detection")),
        ),
        h(
          "span",
          { class: "crops" },
          member.crops.map((crop) => picture(crop, member.tracklet)),
        ),
      ),
    );
    this.list.replaceChildren(...this.#rows.map((row) => h("li", {}, row)));
    return true;
  }

  get #member() {
    return this.#content.members[this.#at];
  }

  #move(step) {
    this.#at = Math.max(0, Math.min(this.#rows.length - 1, this.#at + step));
    this.#rows.forEach((row, place) => row.classList.toggle("chosen", place === this.#at));
    this.#rows[this.#at]?.focus();
  }

  async #takeOut() {
    if (!this.#member) return;
    const { tracklet } = this.#member;
    if (!(await decide({ op: "mark", tracklets: [tracklet], mark: "open" }, { seen: this.#content.seen }))) return;
    toast(`${tracklet} waits in the queue again`);
    await this.#again();
  }

  // Somebody without a tracklet is nobody.
  async #again() {
    if (this.#content.members.length === 1) topDialog().box.close();
    else if (await this.#load()) this.#move(0);
  }

  async #strip() {
    if (this.#member && (await showStrip(this.#member.tracklet, this.#content.seen)) && (await this.#load()))
      this.#move(0);
  }

  #frame() {
    const { flight, tracklet, crops } = this.#member ?? { crops: [] };
    if (crops.length) showFrame(flight, crops[Math.floor(crops.length / 2)].frame, [tracklet]);
  }
}
