/* The playground of chapter 1: WordPiece in the page, with BERT's own vocabulary.

   The page holds a picture that bertcore/book/walk.py drew. This script puts a text
   box above it and draws it anew for what the reader types: the same boxes, the same
   table. Vocabulary and character tables come from Python (tools/playground.py), in a
   file of this site, when the box is first used; tools/wordpiece.js cuts the text. */
"use strict";

const bertcorePlayground = (() => {
  const SHOWN = 6; // tries at either end of a long row
  const LONGEST_TEXT = 1000; // characters; more would be a long table
  const COLOURS = ["#2f7fd0", "#14946b"]; // blue and green of the book's palette
  const here = document.currentScript.src;
  let tokenizer = null; // of tools/wordpiece.js, once its vocabulary is here

  // The picture ------------------------------------------------------------------

  function element(name, properties = {}, children = []) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function box(piece, colour) {
    const item = element("li", {}, [
      element("code", { textContent: piece }),
      element("br"),
      element("small", { textContent: tokenizer.ids.get(piece) }),
    ]);
    item.style.cssText =
      "display: inline-block; margin: 2px; padding: 2px 7px; text-align: center; " +
      `border: 1.5px solid ${colour}; border-radius: 4px; background: ${colour}22`;
    item.firstChild.style.cssText =
      "background: none; border: 0; color: inherit; padding: 0";
    return item;
  }

  function boxes(found) {
    const list = element("ul");
    list.style.cssText = "list-style: none; padding: 0; margin: 1em 0";
    let begun = 0;
    for (const piece of found) {
      if (!piece.startsWith("##")) begun += 1;
      list.append(box(piece, piece === "[UNK]" ? "#7d7d7d" : COLOURS[begun % 2]));
    }
    return list;
  }

  function row(step) {
    const tries = step.piece === null ? step.tries : step.tries.slice(0, -1);
    const hidden = tries.length - 2 * SHOWN;
    if (hidden > 0) tries.splice(SHOWN, hidden, `… ${hidden} more …`);
    const found = element("td");
    if (step.piece === null) found.textContent = "nothing: the whole word is [UNK]";
    else {
      found.append(element("code", { textContent: step.piece }));
      found.append(` ${tokenizer.ids.get(step.piece)}`);
    }
    return element("tr", {}, [
      element("td", {}, [element("code", { textContent: step.rest })]),
      element("td", { textContent: tries.join(" · ") }),
      found,
    ]);
  }

  function draw(holder, text, lowercase) {
    const cut = tokenizer.words(text, lowercase);
    const found = tokenizer.pieces(text, lowercase);
    holder.querySelector("ul").replaceWith(boxes(found));
    const rows = cut.flatMap(tokenizer.steps).map(row);
    holder.querySelector("tbody").replaceChildren(...rows);
    const count = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
    holder.querySelector("[role=status]").textContent =
      `${count(cut.length, "word")}, ${count(found.length, "piece")}`;
  }

  // The page ---------------------------------------------------------------------

  function receive(data) {
    tokenizer = bertcoreWordPiece(data.vocabulary, data.tables);
  }

  let loading = null;
  function load() {
    loading ??= new Promise((resolve, reject) => {
      const source = here.replace(/playground\.js.*/, "playground-data.js");
      const script = element("script", { src: source });
      script.onload = () => (tokenizer ? resolve() : reject(new Error("no vocabulary")));
      script.onerror = () => reject(new Error("not found"));
      document.head.append(script);
    });
    loading.catch(() => (loading = null)); // the next key tries again
    return loading;
  }

  function enliven(holder) {
    const text = element("textarea", {
      rows: 2,
      maxLength: LONGEST_TEXT,
      value: holder.dataset.text,
    });
    const lowercase = element("input", { type: "checkbox", checked: true });
    const status = element("p");
    status.setAttribute("role", "status");
    const drawNow = () =>
      load().then(
        () => draw(holder, text.value, lowercase.checked),
        () => (status.textContent = "The vocabulary could not be loaded."),
      );
    text.addEventListener("input", drawNow);
    lowercase.addEventListener("change", drawNow);
    text.addEventListener("focus", () => load().catch(() => {}));
    holder.prepend(
      element("label", {}, ["Type a text: ", text]),
      element("label", {}, [lowercase, " lower case and no accents (uncased)"]),
      status,
    );
  }

  document.addEventListener("DOMContentLoaded", () =>
    document.querySelectorAll(".bertcore-playground").forEach(enliven),
  );

  return { receive, load, cut: (what, ...given) => tokenizer[what](...given) };
})();
