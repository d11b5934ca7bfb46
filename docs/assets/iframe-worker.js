// Browsers start no worker from a file. Where the site is opened as files, the search runs in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    #frame = document.createElement("iframe");
    #inside;

    constructor(url) {
      super();
      this.#inside = new Promise((ready) => {
        this.#frame.onload = () => {
          const inside = this.#frame.contentWindow;
          inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
          const script = inside.document.createElement("script");
          script.src = url;
          script.onload = () => ready(inside);
          inside.document.body.append(script);
        };
      });
      this.#frame.hidden = true;
      this.#frame.srcdoc = "<!doctype html><body>";
      document.documentElement.append(this.#frame);
    }

    async postMessage(data) {
      (await this.#inside).dispatchEvent(new MessageEvent("message", { data }));
    }

    terminate() {
      this.#frame.remove();
    }
  };
}
