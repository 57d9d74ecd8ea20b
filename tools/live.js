/* The live model's page: fill a gap, see attention, compare two sentences.

   The page holds examples that tools/live.py computed when the book was built. This
   script draws them, and puts the model into the reader's hands: tools/live-model.js
   runs it in a worker, and loads it when it is first asked for. Without this script
   tables and a picture stay. tools/live-attention.js has the part that shows attention.
   tests/test_live.py uses it all in a browser. */
"use strict";

const bertcoreLive = (() => {
  const LONGEST_TEXT = 1000; // characters
  const BUILT = "Computed when the book was built, from the same weights.";
  const OLD =
    "This browser is too old to run the model, so the examples stay as they are.";
  const FILE =
    "A page opened from a file may not start the model: use make serve, or the site.";
  const GONE =
    "The model's script could not be loaded: check the connection and try again.";
  const NEEDED = [
    "Worker",
    "fetch",
    "Promise",
    "ReadableStream",
    "TextDecoder",
    "Int8Array",
  ];
  const here = document.currentScript.src;

  // Words ------------------------------------------------------------------------

  const percent = (share) => {
    const whole = Math.round(100 * share);
    return whole ? `${whole}%` : "less than 1%";
  };
  const signed = (value, digits = 2) => value.toFixed(digits).replace("-", "−");
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  const time = (ms) =>
    ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;

  // Parts of the page --------------------------------------------------------------

  function element(kind, properties = {}, children = []) {
    const { role, label, style, hide, ...others } = properties;
    const made = Object.assign(document.createElement(kind), others);
    if (role) made.setAttribute("role", role);
    if (label) made.setAttribute("aria-label", label);
    if (hide) made.setAttribute("aria-hidden", "true");
    for (const [key, value] of Object.entries(style ?? {}))
      made.style.setProperty(key, value);
    made.append(...children);
    return made;
  }

  const cell = (text) => element("td", { textContent: text });
  const header = (text, scope) => element("th", { textContent: text, scope });

  function table(caption, heads, rows) {
    const top = element(
      "tr",
      {},
      heads.map((head) => header(head, "col")),
    );
    return element("table", {}, [
      element("caption", { textContent: caption }),
      element("thead", {}, [top]),
      element(
        "tbody",
        {},
        rows.map(([first, ...others]) =>
          element("tr", {}, [
            header(first, "row"),
            ...others.map((each) =>
              each instanceof Node ? element("td", {}, [each]) : cell(each),
            ),
          ]),
        ),
      ),
    ]);
  }

  // The model, in its worker ---------------------------------------------------------

  class Engine {
    constructor(data) {
      Object.assign(this, { data, number: 0, waiting: new Map(), loading: null });
      this.watch = () => {}; // told of each step: "idle", "loading" or "ready"
    }

    start() {
      if (NEEDED.some((what) => !(what in window))) throw new Error(OLD);
      if (location.protocol === "file:") throw new Error(FILE);
      const { code } = this.data;
      this.worker = new Worker(here.replace(/live\.js.*/, `live-model.js?v=${code}`));
      this.worker.onmessage = ({ data }) => this.receive(data);
      this.worker.onerror = (event) => {
        event.preventDefault();
        this.worker = null;
        for (const { reject } of this.waiting.values()) reject(new Error(GONE));
        this.waiting.clear();
      };
    }

    receive({ number, progress, result, fault }) {
      const { resolve, reject, tell } = this.waiting.get(number);
      if (progress) return tell(progress);
      this.waiting.delete(number);
      return fault ? reject(new Error(fault)) : resolve(result);
    }

    ask(task, given, tell = () => {}) {
      return new Promise((resolve, reject) => {
        if (!this.worker) this.start(); // what it throws is a rejection
        this.waiting.set((this.number += 1), { resolve, reject, tell });
        this.worker.postMessage({ number: this.number, task, given });
      });
    }

    /* Once; after a failure the next call tries again. */
    load() {
      const { manifest, bytes } = this.data;
      const url = new URL(manifest, here).href;
      const tell = (progress) => this.watch("loading", progress);
      this.loading ??= (async () => {
        this.watch("loading", { done: 0, total: bytes });
        try {
          const result = await this.ask("load", { url, total: bytes }, tell);
          this.watch("ready", result);
        } catch (error) {
          this.loading = null;
          this.watch("idle");
          throw error;
        }
      })();
      return this.loading;
    }
  }

  // Loading --------------------------------------------------------------------------

  function drawLoader(holder, engine) {
    const { bytes, parameters } = engine.data;
    const status = element("p", { role: "status" });
    const bar = element("progress", {
      label: "Download of the model",
      max: 1,
      value: 0,
      hidden: true,
    });
    const button = element("button", {
      type: "button",
      textContent: `Load the model (${megabytes(bytes)})`,
    });
    let ready = false;
    button.onclick = () => {
      if (ready) return;
      engine.load().catch((error) => {
        status.textContent = error.message;
        status.className = "fault";
      });
    };
    engine.watch = (state, { done, total, milliseconds, kept } = {}) => {
      bar.hidden = state !== "loading";
      ready = state === "ready";
      status.className = "";
      if (state === "loading") {
        bar.value = Math.min(1, done / total);
        if (!done) status.textContent = "Loading the model …";
      } else if (state === "idle") status.textContent = "";
      else {
        button.setAttribute("aria-disabled", "true");
        button.textContent = "The model is loaded";
        const source = kept
          ? "from this browser's store"
          : `${megabytes(bytes)} downloaded`;
        status.textContent =
          `${parameters.toLocaleString("en")} weights, ${source} in ` +
          `${time(milliseconds)}. ` +
          "What you type stays in this page.";
      }
    };
    holder.append(element("div", { className: "actions" }, [button, bar]), status);
  }

  // What all three have ------------------------------------------------------------

  /* Examples, fields, a button, what is said of the result, and the result. */
  class Part {
    constructor(holder, engine, examples) {
      const { labels } = this.constructor;
      Object.assign(this, { engine, busy: false });
      this.status = element("p", { role: "status" });
      this.bar = element("progress", { label: "Progress", max: 1, hidden: true });
      this.output = element("div", { className: "output" });
      this.button = element("button", {
        type: "submit",
        textContent: this.constructor.action,
      });
      this.fields = labels.map(() =>
        element("input", {
          type: "text",
          maxLength: LONGEST_TEXT,
          autocomplete: "off",
        }),
      );
      const form = element("form", { onsubmit: (event) => this.submit(event) }, [
        ...this.fields.map((field, i) => element("label", {}, [labels[i], field])),
        element("div", { className: "actions" }, [this.button, this.bar]),
      ]);
      const choices = examples.map((example) =>
        element("button", {
          type: "button",
          textContent: this.texts(example).join(" / "),
          onclick: () => this.show(example, BUILT),
        }),
      );
      const group = element(
        "div",
        { className: "examples", role: "group", label: "Examples" },
        choices,
      );
      holder.append(group, form, this.status, this.output);
      this.show(examples[0], BUILT);
    }

    texts(result) {
      return [result.text];
    }

    show(result, source) {
      this.fields.forEach((field, i) => (field.value = this.texts(result)[i]));
      this.output.replaceChildren(...this.draw(result));
      this.say(`${this.summary(result)} ${source}`);
    }

    say(text, fault = false) {
      this.status.textContent = text;
      this.status.className = fault ? "fault" : "";
    }

    work(busy) {
      this.busy = busy;
      this.bar.hidden = true;
      this.button.setAttribute("aria-disabled", busy);
      this.output.setAttribute("aria-busy", busy);
    }

    async submit(event) {
      event.preventDefault();
      if (this.busy) return;
      this.work(true);
      try {
        if (!this.engine.loading) this.say("The model is loaded first …");
        await this.engine.load();
        const result = await this.engine.ask(
          this.constructor.task,
          this.given(),
          ({ done, total }) => {
            this.bar.hidden = false;
            this.bar.value = done / total;
          },
        );
        this.show(result, `Computed in your browser in ${time(result.milliseconds)}.`);
      } catch (error) {
        this.say(error.message, true);
      }
      this.work(false);
    }

    given() {
      return { text: this.fields[0].value };
    }
  }

  // Fill a gap ---------------------------------------------------------------------

  class Fill extends Part {
    static labels = ["A sentence with a gap, written ___ or [MASK]"];
    static action = "Fill the gap";
    static task = "fill";

    summary({ gaps }) {
      const said = gaps.map(([[piece, share]], i) => {
        const which = gaps.length > 1 ? `For gap ${i + 1}` : "For the gap";
        return `${which} the likeliest is “${piece}”, with ${percent(share)}.`;
      });
      return said.join(" ");
    }

    draw({ gaps }) {
      return gaps.map((found, i) => {
        const rows = found.map(([piece, share]) => {
          const bar = element("span", {
            className: "bar",
            style: { "--share": share },
          });
          return [piece, `${(100 * share).toFixed(1)}%`, bar];
        });
        const which = gaps.length > 1 ? `Gap ${i + 1} of ${gaps.length}` : "The gap";
        const made = table(
          `${which}: the likeliest pieces`,
          ["Piece", "Probability", ""],
          rows,
        );
        made.querySelector("th:last-child").replaceWith(element("td", { hide: true }));
        for (const bar of made.querySelectorAll(".bar"))
          bar.parentNode.setAttribute("aria-hidden", "true"); // the number says it
        return made;
      });
    }
  }

  // Compare two sentences ------------------------------------------------------------

  class Compare extends Part {
    static labels = ["One sentence", "Another, that differs in little"];
    static action = "Compare them";
    static task = "compare";

    given() {
      return { texts: this.fields.map((field) => field.value) };
    }

    texts(result) {
      return result.texts.map(({ text }) => text);
    }

    sums({ texts }) {
      return texts.map(({ pieces }) =>
        pieces.reduce((sum, [, score]) => sum + score, 0),
      );
    }

    summary(result) {
      const [one, other] = this.sums(result);
      const by = Math.abs(one - other).toFixed(2);
      const better = this.texts(result)[one > other ? 0 : 1];
      if (by === "0.00") return "Neither is preferred: the sums are equal.";
      return `Preferred, by ${by} nats: “${better}”`;
    }

    draw(result) {
      const sums = this.sums(result);
      return result.texts.map(({ text, pieces }, i) => {
        const boxes = pieces.map(([piece, score]) =>
          element("li", { style: { "--share": Math.min(1, -score / 12) } }, [
            element("code", { textContent: piece }),
            element("small", { textContent: signed(score) }),
          ]),
        );
        const better = sums[i] > sums[1 - i] ? " · preferred" : "";
        return element("div", { className: "scored" }, [
          element("p", {}, [
            element("strong", { textContent: text }),
            ` sum ${signed(sums[i])} nats${better}`,
          ]),
          element("ul", {}, boxes),
        ]);
      });
    }
  }

  // The page -------------------------------------------------------------------------

  const parts = { fill: Fill, compare: Compare }; // and attend, by its own script

  function unpacked(example) {
    const numbers = (text) =>
      new Float32Array(
        Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0)).buffer,
      );
    if (!example.query) return example;
    return { ...example, query: numbers(example.query), key: numbers(example.key) };
  }

  document.addEventListener("DOMContentLoaded", () => {
    let engine = null; // of all parts of the page
    for (const holder of document.querySelectorAll(".bertcore-live")) {
      const data = JSON.parse(holder.querySelector("script").textContent);
      engine ??= new Engine(data);
      holder.querySelector(".fallback").remove();
      if (data.part === "load") drawLoader(holder, engine);
      else new parts[data.part](holder, engine, data.examples.map(unpacked));
    }
  });

  return { Part, parts, element, header, table, percent, signed };
})();
