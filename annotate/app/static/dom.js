// Making elements. Text is always text: what a user typed never becomes markup.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

export function key(name) {
  return h("kbd", {}, name);
}

// A button that names its key. `what` is the action in words.
export function action(name, what, run, properties = {}) {
  return h("button", { type: "button", onclick: run, ...properties }, key(name), " ", what);
}

// `what`: whose it is; "" where that is written beside it. `onclick`: for the pointer; there is a key for it, too.
export function picture(crop, what, onclick) {
  const note = crop.suspect ? ", which may be wrong: the video is damaged there" : "";
  const alt = what && `${what}, frame ${crop.frame}${note}`;
  return h("img", {
    src: crop.url,
    alt,
    title: note ? `Frame ${crop.frame}${note}` : null,
    class: [note && "suspect", onclick && "zooms"].filter(Boolean).join(" "),
    onclick,
    loading: "lazy",
    draggable: "false",
  });
}

// A figure that the server drew: HTML, in which names are text.
export function figure(drawn) {
  return new DOMParser().parseFromString(drawn, "text/html").body.firstElementChild;
}

export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

// A label without an identity, as the buttons call it.
export function inPlainWords(mark) {
  return { junk: "not a person", skipped: "not sure" }[mark] ?? mark;
}

export function identityName(identity) {
  return identity.name ? `${identity.name} (${identity.identity})` : `Person ${identity.identity}`;
}

// For those who hear the page: what is new on it.
export function say(text) {
  document.getElementById("said").textContent = text;
}

let shown = 0; // counts what was shown

// The labeller has something else before them.
export function moved() {
  shown++;
}

// Gives a function: whether what is shown is still the same, with the same dialog on top.
export function stillHere() {
  const [now, open] = [shown, topDialog()];
  return () => now === shown && open === topDialog();
}

const OPEN = [];

// A dialog over the page. `keys`: what keys do while it is open. Resolves when it is closed.
export function dialog(title, content, keys = {}) {
  return new Promise((resolve) => {
    const heading = h("h2", { id: `dialog-${OPEN.length}` }, title);
    const close = h("button", { type: "button", class: "close", "aria-label": "Close" }, "×");
    const row = h("div", { class: "row heading" }, heading, close);
    const box = h("dialog", { "aria-labelledby": heading.id, closedby: "any" }, row, content);
    close.addEventListener("click", () => box.close());
    const entry = { box, keys };
    box.addEventListener("close", () => {
      OPEN.splice(OPEN.indexOf(entry), 1);
      box.remove();
      resolve(box.returnValue);
    });
    document.body.append(box);
    OPEN.push(entry);
    box.showModal();
    box.querySelector("input")?.select();
  });
}

export function closeDialogs() {
  for (const { box } of [...OPEN]) box.close();
}

export function topDialog() {
  return OPEN.findLast(({ box }) => box.open); // one that closes is still in the list for a moment
}

const MESSAGES = 2; // at a time: more would cover the page

export function toast(message, kind = "info") {
  const box = h("p", { class: `toast ${kind}` }, message);
  const messages = document.getElementById("toasts");
  messages.append(box);
  while (messages.children.length > MESSAGES) messages.firstChild.remove();
  // Shown again each time: a dialog that was opened since would cover it.
  messages.hidePopover();
  messages.showPopover();
  setTimeout(() => box.remove(), kind === "error" ? 9000 : 3500);
}
