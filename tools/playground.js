/* The playground of chapter 1: WordPiece in the page, with BERT's own vocabulary.

   The page holds a picture that bertcore/book/walk.py drew. This script puts a text
   box above it and draws it anew for what the reader types: the same boxes, the same
   table. Vocabulary and character tables come from Python (tools/playground.py), in a
   file of this site, when the box is first used. tests/test_playground.py compares
   words and pieces with Python's, for every character that Python knows. */
"use strict";

const bertcorePlayground = (() => {
  const LONGEST_WORD = 200; // characters, as in google-research/bert
  const SHOWN = 6; // tries at either end of a long row
  const LONGEST_TEXT = 1000; // characters; more would be a long table
  const COLOURS = ["#2f7fd0", "#14946b"]; // blue and green of the book's palette
  const here = document.currentScript.src;
  let ids = null; // piece -> id
  let tables = null; // name -> sorted ranges of code points

  // Words ------------------------------------------------------------------------

  function within(ranges, code) {
    let low = 0;
    let high = ranges.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (code < ranges[middle][0]) high = middle - 1;
      else if (code > ranges[middle][1]) low = middle + 1;
      else return true;
    }
    return false;
  }

  function replaced(text, rule) {
    let out = "";
    for (const character of text) out += rule(character, character.codePointAt(0));
    return out;
  }

  function clean(character, code) {
    if (within(tables.dropped, code)) return "";
    if (within(tables.spaces, code)) return " ";
    return within(tables.chinese, code) ? ` ${character} ` : character;
  }

  function words(text, lowercase) {
    let normal = replaced(text, clean);
    if (lowercase) normal = normal.toLowerCase().normalize("NFD");
    const parts = [[]];
    for (const character of normal) {
      const code = character.codePointAt(0);
      if (lowercase && within(tables.marks, code)) continue;
      if (within(tables.separators, code)) parts.push([]);
      else if (within(tables.punctuation, code)) parts.push([character], []);
      else parts[parts.length - 1].push(character);
    }
    return parts.filter((part) => part.length).map((part) => part.join(""));
  }

  // Pieces -----------------------------------------------------------------------

  /* The matches of one word; the last has piece null if the word becomes [UNK]. */
  function steps(word) {
    const ends = [0]; // where each character ends, in JavaScript's units
    for (const character of word) ends.push(ends[ends.length - 1] + character.length);
    const length = ends.length - 1;
    if (length > LONGEST_WORD) return [{ rest: word, tries: [], piece: null }];
    const found = [];
    let start = 0;
    while (start < length) {
      const prefix = start ? "##" : "";
      const tries = [];
      let piece = null;
      let end = length;
      for (; end > start && piece === null; end -= 1) {
        tries.push(prefix + word.slice(ends[start], ends[end]));
        if (ids.has(tries[tries.length - 1])) piece = tries[tries.length - 1];
      }
      found.push({ rest: tries[0], tries, piece });
      if (piece === null) break;
      start = end + 1;
    }
    return found;
  }

  function pieces(text, lowercase) {
    return words(text, lowercase).flatMap((word) => {
      const found = steps(word).map((step) => step.piece);
      return found.includes(null) ? ["[UNK]"] : found;
    });
  }

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
      element("small", { textContent: ids.get(piece) }),
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
      found.append(` ${ids.get(step.piece)}`);
    }
    return element("tr", {}, [
      element("td", {}, [element("code", { textContent: step.rest })]),
      element("td", { textContent: tries.join(" · ") }),
      found,
    ]);
  }

  function draw(holder, text, lowercase) {
    const cut = words(text, lowercase);
    const found = pieces(text, lowercase);
    holder.querySelector("ul").replaceWith(boxes(found));
    const rows = cut.flatMap(steps).map(row);
    holder.querySelector("tbody").replaceChildren(...rows);
    const count = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
    holder.querySelector("[role=status]").textContent =
      `${count(cut.length, "word")}, ${count(found.length, "piece")}`;
  }

  // The page ---------------------------------------------------------------------

  function receive(data) {
    ids = new Map(data.vocabulary.map((piece, id) => [piece, id]));
    tables = data.tables;
  }

  let loading = null;
  function load() {
    loading ??= new Promise((resolve, reject) => {
      const source = here.replace(/playground\.js.*/, "playground-data.js");
      const script = element("script", { src: source });
      script.onload = () => (ids ? resolve() : reject(new Error("no vocabulary")));
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

  return { receive, load, words, pieces, steps };
})();
