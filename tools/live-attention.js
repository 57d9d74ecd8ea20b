/* The live model's attention: every head in small, one in large, and behind a cell the
   query and the key whose products make it.

   Drawn from queries and keys alone: the sums and the softmax are computed here, as the
   page explains them. tests/test_live.py compares the weights with Python's. */
"use strict";

(() => {
  const { Part, parts, element, header, table, percent, signed } = bertcoreLive;
  const BLUE = [47, 127, 208]; // of the book's palette
  const PAUSE = 150; // milliseconds of rest before a sentence is said anew

  /* The piece in quotes, with a number where the sentence has it more than once. */
  function name(pieces, place) {
    const same = [...pieces.keys()].filter((i) => pieces[i] === pieces[place]);
    const number = same.length > 1 ? ` no. ${same.indexOf(place) + 1}` : "";
    return `“${pieces[place]}”${number}`;
  }

  class Attend extends Part {
    static labels = ["A sentence of your own (a gap is allowed)"];
    static action = "Show its attention";
    static task = "attend";

    summary({ pieces }) {
      const { layers, heads } = this.engine.data;
      return `${pieces.length} tokens, ${layers} layers of ${heads} heads.`;
    }

    draw(result) {
      const { layers, heads } = this.engine.data;
      const size = result.query.length / layers / result.pieces.length / heads;
      Object.assign(this, result, { layers, heads, size });
      this.layer = Math.min(this.layer ?? 0, layers - 1);
      Object.assign(this, { head: this.head ?? 0, q: 1, k: 1, held: false });
      this.row = element("div", {
        className: "thumbnails",
        role: "toolbar",
        label: "Layers and heads",
      });
      this.row.style.setProperty("--heads", heads);
      for (let layer = 0; layer < layers; layer += 1)
        for (let head = 0; head < heads; head += 1)
          this.row.append(this.thumbnail(layer, head));
      this.caption = element("p", { className: "caption", hide: true });
      this.grid = element("table", { className: "head", role: "grid" });
      this.said = element("p", { role: "status" });
      this.strips = element("div", { className: "strips", hide: true });
      this.numbers = ["The products as numbers", "The row: sums and weights"].map(
        (title) =>
          element("details", { ontoggle: () => this.drawNumbers() }, [
            element("summary", { textContent: title }),
            element("div"),
          ]),
      );
      this.listen();
      this.drawHead();
      const scroll = element("div", { className: "scroll" }, [this.grid]);
      const large = element("div", {}, [this.caption, scroll]);
      return [
        element("div", { className: "pictures" }, [this.row, large]),
        this.said,
        this.strips,
        ...this.numbers,
      ];
    }

    vector(what, layer, head, place) {
      const { pieces, heads, size } = this;
      const start = ((layer * pieces.length + place) * heads + head) * size;
      return [...this[what].subarray(start, start + size)];
    }

    /* Query · key, divided, of one row; then the softmax makes the weights. */
    sums(layer, head, q) {
      const query = this.vector("query", layer, head, q);
      return this.pieces.map((_, k) => {
        const key = this.vector("key", layer, head, k);
        return (
          query.reduce((sum, value, i) => sum + value * key[i], 0) /
          Math.sqrt(this.size)
        );
      });
    }

    weights(layer, head, q) {
      const sums = this.sums(layer, head, q);
      const most = Math.max(...sums);
      const raised = sums.map((value) => Math.exp(value - most));
      const total = raised.reduce((a, b) => a + b);
      return raised.map((value) => value / total);
    }

    thumbnail(layer, head) {
      const count = this.pieces.length;
      const image = new ImageData(count, count);
      for (let q = 0; q < count; q += 1)
        this.weights(layer, head, q).forEach((share, k) =>
          image.data.set([...BLUE, 255 * share], 4 * (q * count + k)),
        );
      const canvas = element("canvas", { width: count, height: count });
      canvas.getContext("2d").putImageData(image, 0, 0);
      return element(
        "button",
        {
          type: "button",
          label: `Layer ${layer + 1}, head ${head + 1}`,
          title: `Layer ${layer + 1}, head ${head + 1}`,
          onclick: () => this.choose(layer, head),
        },
        [canvas],
      );
    }

    choose(layer, head) {
      Object.assign(this, { layer, head });
      this.drawHead();
    }

    drawHead() {
      const { layer, head, pieces } = this;
      this.caption.textContent =
        `Layer ${layer + 1}, head ${head + 1}: what a row's token takes from each ` +
        "column's, in per cent";
      this.grid.setAttribute("aria-label", this.caption.textContent);
      [...this.row.children].forEach((button, i) => {
        const chosen = i === layer * this.heads + head;
        button.setAttribute("aria-pressed", chosen);
        button.tabIndex = chosen ? 0 : -1;
      });
      const rows = pieces.map((piece, q) => {
        const cells = this.weights(layer, head, q).map((share, k) =>
          element("td", {
            textContent: share >= 0.005 ? Math.round(100 * share) : "",
            label: `${name(pieces, q)} takes ${percent(share)} from ${name(pieces, k)}`,
            style: { "--share": share },
          }),
        );
        return element("tr", {}, [header(piece, "row"), ...cells]);
      });
      const top = pieces.map((piece) =>
        element("th", { scope: "col" }, [element("span", { textContent: piece })]),
      );
      this.grid.replaceChildren(
        element("thead", {}, [element("tr", {}, [element("td"), ...top])]),
        element("tbody", {}, rows),
      );
      this.paint();
    }

    at(q, k) {
      return this.grid.tBodies[0].rows[q].cells[k + 1];
    }

    /* The chosen cell, and what makes it. */
    paint() {
      const { layer, head, pieces, q, k, held } = this;
      for (const old of this.grid.querySelectorAll("[tabindex='0'], .chosen")) {
        old.removeAttribute("aria-selected");
        old.classList.remove("chosen", "held");
        if (old.tagName === "TD") old.tabIndex = -1;
      }
      const chosen = this.at(q, k);
      chosen.tabIndex = 0;
      chosen.setAttribute("aria-selected", "true");
      chosen.classList.add("chosen", ...(held ? ["held"] : []));
      this.grid.tBodies[0].rows[q].cells[0].classList.add("chosen");
      this.grid.tHead.rows[0].cells[k + 1].classList.add("chosen");
      const query = this.vector("query", layer, head, q);
      const key = this.vector("key", layer, head, k);
      const products = query.map((value, i) => value * key[i]);
      const most = Math.max(...query.map(Math.abs), ...key.map(Math.abs));
      this.strips.replaceChildren(
        ...strip(`query of ${name(pieces, q)}`, query, most),
        ...strip(`key of ${name(pieces, k)}`, key, most),
        ...strip("their products", products, Math.max(...products.map(Math.abs))),
      );
      this.drawNumbers();
      clearTimeout(this.pause);
      this.pause = setTimeout(() => {
        const sum = products.reduce((a, b) => a + b);
        const root = Math.sqrt(this.size);
        this.said.textContent =
          `Layer ${layer + 1}, head ${head + 1}: the ${this.size} products of the ` +
          `query of ${name(pieces, q)} and the key of ${name(pieces, k)} sum to ` +
          `${signed(sum)}; divided by √${this.size} = ${root} that is ` +
          `${signed(sum / root)}, and the softmax ` +
          `over the row makes it ${percent(this.weights(layer, head, q)[k])}.`;
      }, PAUSE);
    }

    /* The alternative to the strips, and the rest of the row; only where it is open. */
    drawNumbers() {
      const { layer, head, pieces, q, k } = this;
      const [products, row] = this.numbers;
      if (products.open) {
        const key = this.vector("key", layer, head, k);
        const rows = this.vector("query", layer, head, q).map((value, i) => [
          i + 1,
          signed(value),
          signed(key[i]),
          signed(value * key[i]),
        ]);
        const heads = ["Feature", "Query", "Key", "Product"];
        products.lastChild.replaceChildren(
          table(`${name(pieces, q)} and ${name(pieces, k)}`, heads, rows),
        );
      }
      if (row.open) {
        const sums = this.sums(layer, head, q);
        const rows = this.weights(layer, head, q).map((share, i) => [
          pieces[i],
          signed(sums[i]),
          `${(100 * share).toFixed(1)}%`,
        ]);
        const heads = ["Key", `Sum ÷ ${Math.sqrt(this.size)}`, "Weight"];
        row.lastChild.replaceChildren(
          table(`The row of ${name(pieces, q)}`, heads, rows),
        );
      }
    }

    // What the reader does

    listen() {
      const place = (event) => {
        const found = event.target.closest("tbody td");
        return found && [found.parentNode.rowIndex - 1, found.cellIndex - 1];
      };
      const point = (event) => {
        if (place(event) && !this.held) this.select(...place(event));
      };
      this.grid.addEventListener("pointerover", (event) => {
        if (event.pointerType === "mouse") point(event); // a tap is a click
      });
      this.grid.addEventListener("focusin", point);
      this.grid.addEventListener("click", (event) => {
        const found = place(event);
        if (!found) return;
        this.held = !(this.held && found[0] === this.q && found[1] === this.k);
        this.select(...found);
      });
      this.grid.addEventListener("keydown", (event) => {
        if (event.key === "Escape") this.held = false;
        const moved = step(
          event,
          this.q,
          this.k,
          this.pieces.length,
          this.pieces.length,
        );
        if (moved) this.select(...moved, true);
      });
      this.row.addEventListener("keydown", (event) => {
        const moved = step(event, this.layer, this.head, this.layers, this.heads);
        if (!moved) return;
        this.choose(...moved);
        this.row.children[this.layer * this.heads + this.head].focus();
      });
    }

    select(q, k, focus = false) {
      Object.assign(this, { q, k });
      this.paint();
      if (focus) this.at(q, k).focus();
    }
  }

  /* Where a key leads in a grid of so many rows and columns; null for other keys. */
  function step(event, row, column, rows, columns) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return null;
    const steps = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
      Home: [0, -columns],
      End: [0, columns],
    };
    if (!(event.key in steps)) return null;
    event.preventDefault(); // the page does not scroll
    const [down, right] = steps[event.key];
    const within = (place, count) => Math.max(0, Math.min(place, count - 1));
    return [within(row + down, rows), within(column + right, columns)];
  }

  /* A label and a row of bars, up for positive numbers and down for negative ones. */
  function strip(label, values, most) {
    const bars = values.map((value) =>
      element("i", {
        className: value < 0 ? "down" : "up",
        style: { "--size": Math.abs(value) / most },
      }),
    );
    return [element("small", { textContent: label }), element("div", {}, bars)];
  }

  parts.attend = Attend;
})();
