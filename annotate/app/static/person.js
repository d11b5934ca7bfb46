// Everything about one person: pictures, notes and tags, each sighting, who was seen with them.

import { attempt, decide, get, newest } from "./api.js";
import { action, figure, h, identityName, picture, plural, toast } from "./dom.js";
import { showFrame } from "./frame.js";
import { showLightbox } from "./lightbox.js";
import { chooseOther, mergePeople, renamePerson } from "./people.js";
import { go, link, linkToPerson, linkToTracklet } from "./route.js";
import { showStrip } from "./strip.js";

export class PersonView {
  #person = null;
  #rows = [];
  #at = 0;

  constructor(main) {
    this.main = main;
    this.keys = {
      ArrowDown: () => this.#move(1),
      ArrowUp: () => this.#move(-1),
      u: () => this.#takeOut(),
      v: () => this.#strip(),
      f: () => this.#frame(),
      l: () => this.#lookCloser(),
      r: () => this.#rename(),
      m: () => this.#merge(),
      Escape: () => history.back(),
    };
  }

  async show() {
    const number = Number(this.route.parts[0]);
    const same = this.#person?.identity === number;
    const person = await newest(this, () => get(`/api/identities/${number}`));
    if (person === undefined) return;
    this.#person = person;
    if (!same) this.#at = 0;
    if (!person) return this.#nobody(number);
    document.title = `uavpipe: ${identityName(person)}`;
    this.#draw();
    this.#tellSightings(number);
  }

  // A merge or its undoing can leave nobody of this number.
  #nobody(number) {
    this.#rows = [];
    this.main.replaceChildren(
      h(
        "section",
        { class: "empty" },
        h("h1", {}, `There is no person ${number || ""}.`),
        h("p", {}, h("a", { href: link("gallery") }, "All people")),
      ),
    );
  }

  get #member() {
    return this.#person?.members[this.#at];
  }

  #draw() {
    const person = this.#person;
    this.#rows = person.members.map((member, place) => this.#row(member, place));
    this.main.replaceChildren(
      h(
        "section",
        { class: "person" },
        h(
          "article",
          { class: "panel", "aria-label": "The person" },
          this.#heading(person),
          this.#known(person),
          h("div", { class: "maps" }),
        ),
        h(
          "article",
          { class: "panel", "aria-label": "Sightings" },
          h("h2", {}, `Seen ${plural(person.members.length, "time")}, in ${person.flights.join(", ")}`),
          h(
            "div",
            { class: "actions", role: "group", "aria-label": "The marked sighting" },
            action("U", "take out", () => this.#takeOut()),
            action("V", "all crops, split", () => this.#strip()),
            action("F", "frame", () => this.#frame()),
            action("L", "look closer", () => this.#lookCloser()),
          ),
          h(
            "ol",
            { class: "members" },
            this.#rows.map((row) => h("li", {}, row)),
          ),
        ),
        h(
          "article",
          { class: "panel", "aria-label": "Seen with" },
          h("h2", {}, person.companions.length ? "Seen with" : "No other labelled person is in a frame with them."),
          h(
            "ul",
            { class: "wall" },
            person.companions.map((each) => h("li", {}, companion(each))),
          ),
        ),
      ),
    );
    this.#move(0);
  }

  #heading(person) {
    return [
      h("h1", {}, identityName(person)),
      h(
        "div",
        { class: "crops large" },
        person.crops.map((crop, place) =>
          picture(crop, identityName(person), () => showLightbox([{ ...this.#side, at: place }])),
        ),
      ),
      h(
        "div",
        { class: "actions", role: "group", "aria-label": "The person" },
        action("R", "rename", () => this.#rename()),
        action("M", "merge with …", () => this.#merge()),
        h("a", { class: "button", href: link("queue", [], { person: person.identity }) }, "find more of them"),
      ),
    ];
  }

  get #side() {
    return { name: identityName(this.#person), crops: this.#person.crops };
  }

  // Notes and tags.
  #known({ identity, note, tags }) {
    const tagged = h("input", { type: "text", value: tags.join(", "), placeholder: "child, red jacket" });
    const noted = h("textarea", { rows: 3, maxlength: 4000 }, note);
    return h(
      "form",
      {
        class: "known",
        onsubmit: (event) => {
          event.preventDefault();
          this.#save(identity, noted.value, tagged.value);
        },
      },
      h("label", {}, "Tags, separated by commas ", tagged),
      h("label", {}, "Notes ", noted),
      h("button", { class: "primary" }, "Save"),
    );
  }

  async #save(identity, note, typed) {
    const { note: before, tags: known } = this.#person;
    const text = note
      .replace(/[\t\u00a0]/g, " ") // as pasted from elsewhere
      .split("\n")
      .map((line) => line.trimEnd())
      .join("\n")
      .trim();
    const tags = [...new Set(typed.split(/[,;]/).map((tag) => tag.trim().replace(/\s+/g, " ")))].filter(Boolean);
    tags.sort(byCodePoint);
    const changes = [];
    if (tags.join() !== known.join()) changes.push({ op: "tags", identity, tags });
    if (text !== before) changes.push({ op: "note", identity, text });
    for (const operation of changes) if (!(await decide(operation, { seen: this.#person.seen }))) return;
    toast(changes.length ? "saved; Z takes it back" : "nothing was changed");
    await this.show();
  }

  #row({ tracklet, detections, crops }, place) {
    return h(
      "div",
      { class: "member", tabindex: "-1", onclick: () => this.#move(place - this.#at) },
      h(
        "span",
        { class: "row" },
        h("span", { class: "quiet" }, `${place + 1}`),
        h("a", { href: linkToTracklet(tracklet) }, tracklet),
        h("span", { class: "quiet" }, plural(detections, "detection")),
        h("span", { class: "quiet", data: { sighting: tracklet } }),
      ),
      h(
        "span",
        { class: "crops" },
        crops.map((crop) => picture(crop, tracklet)),
      ),
    );
  }

  // They come later: tables are read for them.
  async #tellSightings(number) {
    const found = await attempt(() => get(`/api/identities/${number}/sightings`));
    for (const place of this.main.querySelectorAll("[data-sighting]"))
      place.textContent = sightingInWords(found?.sightings[place.dataset.sighting]);
    if (found && this.#person?.identity === number)
      this.main.querySelector(".maps")?.replaceChildren(...found.maps.map(figure));
  }

  #move(step) {
    this.#at = Math.max(0, Math.min(this.#rows.length - 1, this.#at + step));
    this.#rows.forEach((row, place) => {
      row.classList.toggle("chosen", place === this.#at);
      if (place === this.#at) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    });
    if (step) this.#rows[this.#at]?.focus();
  }

  async #takeOut() {
    if (!this.#member) return;
    const { tracklet } = this.#member;
    const operation = { op: "mark", tracklets: [tracklet], mark: "open" };
    if (!(await decide(operation, { seen: this.#person.seen }))) return;
    toast(`${tracklet} waits in the queue again; Z takes it back`);
    await this.show();
  }

  async #strip() {
    if (this.#member && (await showStrip(this.#member.tracklet, this.#person.seen))) await this.show();
  }

  #frame() {
    const { flight, tracklet, crops } = this.#member ?? { crops: [] };
    if (crops.length) showFrame(flight, crops[Math.floor(crops.length / 2)].frame, [tracklet]);
  }

  #lookCloser() {
    if (this.#member) showLightbox([{ name: this.#member.tracklet, crops: this.#member.crops }, this.#side]);
  }

  async #rename() {
    if (this.#person && (await renamePerson(this.#person))) await this.show();
  }

  async #merge() {
    if (!this.#person) return;
    const { identity } = this.#person;
    const other = await chooseOther(this.#person);
    if (other === null || other === identity) return;
    const into = Math.min(identity, other);
    if (await mergePeople(Math.max(identity, other), into)) go(linkToPerson(into));
  }
}

export function sightingInWords(sighting) {
  if (!sighting) return "";
  const { time, video, place } = sighting;
  return [time, video, place].filter((each) => each && each !== "-").join(" · ");
}

// As Python sorts: the server takes tags in this order only.
function byCodePoint(one, other) {
  const [a, b] = [one, other].map((text) => [...text].map((each) => each.codePointAt(0)));
  const at = a.findIndex((each, place) => each !== b[place]);
  return at < 0 ? a.length - b.length : a[at] - (b[at] ?? -1);
}

function companion(each) {
  return h(
    "a",
    { class: "card", href: linkToPerson(each.identity) },
    h("strong", {}, identityName(each)),
    h(
      "span",
      { class: "crops" },
      each.crops.slice(0, 3).map((crop) => picture(crop, "")),
    ),
    h("small", { class: "quiet" }, `in ${plural(each.frames, "frame")} of ${each.in.join(", ")}`),
  );
}
