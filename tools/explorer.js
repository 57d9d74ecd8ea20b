/* The explorer of chapter 3b: the attention weights of every head, to choose from.

   The page holds one choice that bertcore/book/diagram.py drew, and beside it the
   weights of all layers and heads, a byte each. This script puts the choice into the
   reader's hands: the same boxes, the same sentence. tests/test_explorer.py compares
   both with Python's for every sentence, layer, head and token. */
"use strict";

(() => {
  const BLUE = [47, 127, 208]; // of the book's palette
  const TOP = 3; // shares that the sentence names
  const PAUSE = 150; // milliseconds of rest before the sentence is said anew

  // Words ------------------------------------------------------------------------

  const percent = (share) => `${Math.round((100 * share) / 255)}%`;

  /* The piece in quotes, with a number where the sentence has it more than once. */
  function name(pieces, place) {
    const same = [...pieces.keys()].filter((i) => pieces[i] === pieces[place]);
    const number = same.length > 1 ? ` no. ${same.indexOf(place) + 1}` : "";
    return `“${pieces[place]}”${number}`;
  }

  function listed(parts) {
    if (parts.length < 2) return parts.join("");
    return `${parts.slice(0, -1).join(", ")} and ${parts[parts.length - 1]}`;
  }

  /* The largest shares of a row, or of a column, in words. */
  function summary(pieces, shares, token, column) {
    const chosen = name(pieces, token);
    const top = [...shares.keys()]
      .sort((a, b) => shares[b] - shares[a])
      .slice(0, TOP)
      .filter((place) => percent(shares[place]) !== "0%")
      .map((place) => [name(pieces, place), percent(shares[place])]);
    if (!column) {
      const taken = listed(top.map(([piece, share]) => `${share} from ${piece}`));
      return `${chosen} takes ${taken || "less than 1% from every token"}.`;
    }
    if (!top.length) return `every token takes less than 1% from ${chosen}.`;
    const [[first, most], ...others] = top;
    const rest = others.map((pair) => pair.join(" "));
    return (
      `${listed([`${first} takes ${most} from ${chosen}`, ...rest])}. ` +
      "Each is a share of another row, so a column does not sum to 100%."
    );
  }

  function plain(pieces) {
    const words = pieces.filter((piece) => !["[CLS]", "[SEP]"].includes(piece));
    return words.join(" ").replace(/ ##| (?=[.,;:!?])/g, "");
  }

  // Parts of the page --------------------------------------------------------------

  function element(kind, properties = {}, children = []) {
    const { role, label, ...others } = properties;
    const made = Object.assign(document.createElement(kind), others);
    if (role) made.setAttribute("role", role);
    if (label) made.setAttribute("aria-label", label);
    made.append(...children);
    return made;
  }

  function select(label, options, chosen, choose) {
    const made = element("select", { onchange: () => choose(made.selectedIndex) });
    made.append(...options.map((text) => element("option", { textContent: text })));
    made.selectedIndex = chosen;
    return element("label", {}, [`${label} `, made]);
  }

  function radio(group, label, checked, choose) {
    const properties = { type: "radio", name: group, checked, onchange: choose };
    return element("label", {}, [element("input", properties), ` ${label}`]);
  }

  function box(piece) {
    const code = element("code", { textContent: piece });
    const parts = [element("small"), code, element("small")];
    return element("button", { type: "button" }, parts);
  }

  // The explorer -------------------------------------------------------------------

  class Explorer {
    constructor(holder, number) {
      this.data = JSON.parse(holder.querySelector("script").textContent);
      for (const example of this.data.examples) {
        const bytes = atob(example.weights);
        example.weights = Uint8Array.from(bytes, (byte) => byte.charCodeAt(0));
      }
      Object.assign(this, this.data.first, { column: false, held: false });
      const toolbar = { className: "tokens", role: "toolbar", label: "Tokens" };
      this.row = element("div", toolbar);
      this.canvas = element("canvas");
      this.line = element("span");
      this.status = holder.querySelector("p");
      this.status.setAttribute("role", "status");
      this.hint = element("p", { className: "hint" });
      const key = element("small", { textContent: "rows ask, columns are asked" });
      const matrix = element("div", {}, [this.canvas, this.line]);
      const picture = element("div", { className: "matrix" }, [matrix, key]);
      picture.setAttribute("aria-hidden", "true"); // the boxes say the same
      holder.querySelector("ul").replaceWith(
        this.choices(number),
        this.row,
        element("div", { className: "reading" }, [
          picture,
          element("div", {}, [this.status, this.hint]),
        ]),
      );
      this.listen();
      this.drawSentence();
    }

    choices(number) {
      const counted = (count) => Array.from({ length: count }, (_, i) => i + 1);
      const { examples, layers, heads } = this.data;
      const set = (what, draw) => (chosen) => {
        this[what] = chosen;
        draw.call(this);
      };
      const turn = set("column", this.paint);
      const sentences = examples.map((example) => plain(example.pieces));
      const sentence = set("sentence", this.drawSentence);
      const group = `explorer-${number}`;
      return element("div", { className: "choices" }, [
        select("Sentence", sentences, this.sentence, sentence),
        select("Layer", counted(layers), this.layer, set("layer", this.drawHead)),
        select("Head", counted(heads), this.head, set("head", this.drawHead)),
        element("fieldset", {}, [
          element("legend", { textContent: "The token" }),
          radio(group, "takes from", true, () => turn(false)),
          radio(group, "is asked by", false, () => turn(true)),
        ]),
      ]);
    }

    // What is shown

    get pieces() {
      return this.data.examples[this.sentence].pieces;
    }

    get weights() {
      const size = this.pieces.length ** 2;
      const start = (this.layer * this.data.heads + this.head) * size;
      return this.data.examples[this.sentence].weights.subarray(start, start + size);
    }

    get shares() {
      const { token, column, weights } = this;
      const count = this.pieces.length;
      const at = (i) => weights[column ? i * count + token : token * count + i];
      return Array.from({ length: count }, (_, i) => at(i));
    }

    drawSentence() {
      this.token = Math.min(this.token, this.pieces.length - 1);
      this.row.replaceChildren(...this.pieces.map(box));
      this.drawHead();
    }

    /* The whole matrix, a pixel a weight; the style sheet enlarges it. */
    drawHead() {
      const count = this.pieces.length;
      const image = new ImageData(count, count);
      this.weights.forEach((share, i) => image.data.set([...BLUE, share], 4 * i));
      this.canvas.width = this.canvas.height = count;
      this.canvas.getContext("2d").putImageData(image, 0, 0);
      this.paint();
    }

    paint() {
      const { token, column, held, pieces, shares } = this;
      [...this.row.children].forEach((button, place) => {
        const chosen = place === token;
        const word = column ? "asked" : "asks";
        button.firstChild.textContent = chosen ? word : "\u00a0";
        button.lastChild.textContent = percent(shares[place]);
        button.style.setProperty("--share", shares[place] / 255);
        button.tabIndex = chosen ? 0 : -1;
        button.setAttribute("aria-current", chosen);
        button.setAttribute("aria-pressed", chosen && held);
      });
      this.line.className = column ? "down" : "across";
      this.line.style.setProperty("--before", token / pieces.length);
      this.line.style.setProperty("--after", 1 - (token + 1) / pieces.length);
      this.hint.textContent = held
        ? `${name(pieces, token)} is held. Click it again or press Escape to let it go.`
        : "Point at a token, tap it, or use Tab and the arrow keys. A click holds it.";
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => {
        const where = `Layer ${this.layer + 1}, head ${this.head + 1}: `;
        this.status.textContent = where + summary(pieces, shares, token, column);
      }, PAUSE);
    }

    // What the reader does

    listen() {
      const place = (event) =>
        [...this.row.children].indexOf(event.target.closest("button"));
      const point = (event) => {
        if (place(event) >= 0 && !this.held) this.ask(place(event));
      };
      this.row.addEventListener("focusin", point);
      this.row.addEventListener("pointerover", (event) => {
        if (event.pointerType === "mouse") point(event); // a tap is a click
      });
      this.row.addEventListener("click", (event) => {
        if (place(event) < 0) return;
        this.held = !(this.held && place(event) === this.token);
        this.ask(place(event));
      });
      this.row.addEventListener("keydown", (event) => this.press(event, place(event)));
    }

    press(event, here) {
      if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      const last = this.pieces.length - 1;
      const next = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: last };
      if (event.key === "Escape") {
        this.held = false;
        this.paint();
      } else if (event.key in next) {
        event.preventDefault(); // the page does not scroll
        this.ask(Math.max(0, Math.min(next[event.key], last)));
        this.row.children[this.token].focus();
      }
    }

    ask(token) {
      this.token = token;
      this.paint();
    }
  }

  document.addEventListener("DOMContentLoaded", () =>
    document
      .querySelectorAll(".bertcore-explorer")
      .forEach((holder, number) => new Explorer(holder, number)),
  );
})();
