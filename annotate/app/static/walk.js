// A walk by the arrow keys through cards in rows: one is marked, and has the keyboard's focus.

export class Walk {
  at = 0; // the place of the marked card
  #cards;
  #marked;
  #beyond;

  // `cards`: gives them, in order. `marked`: called when one is. `beyond`: called for a step past the last one.
  constructor(cards, { marked = () => {}, beyond = () => {} } = {}) {
    this.#cards = cards;
    this.#marked = marked;
    this.#beyond = beyond;
    this.keys = {
      ArrowRight: () => this.#step(1),
      ArrowLeft: () => this.#step(-1),
      ArrowDown: () => this.#step(this.#rowLength()),
      ArrowUp: () => this.#step(-this.#rowLength()),
      Home: () => this.to(0),
      End: () => this.to(Infinity),
    };
  }

  // Marks the card at `place`, or the nearest one; without taking the focus from where something is typed.
  to(place, { focus = true } = {}) {
    const cards = this.#cards();
    this.at = Math.max(0, Math.min(cards.length - 1, place));
    cards.forEach((card, other) => card.classList.toggle("chosen", other === this.at));
    if (focus) {
      cards[this.at]?.focus({ preventScroll: true });
      cards[this.at]?.scrollIntoView({ block: "nearest" });
    }
    this.#marked();
  }

  #step(by) {
    if (this.at + by >= this.#cards().length) this.#beyond();
    this.to(this.at + by);
  }

  #rowLength() {
    const tops = this.#cards().map((card) => card.getBoundingClientRect().top);
    const second = tops.findIndex((top) => top > tops[0] + 5);
    return second < 0 ? tops.length : second;
  }
}
