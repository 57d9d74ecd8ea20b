/* WordPiece in the page, as bertcore/text/wordpiece.py cuts: for the playground of
   chapter 1, with BERT's own vocabulary, and for the live model, with its own.

   Browsers know another version of Unicode than Python does, so the tables of
   characters come from Python (tools/playground.py). tests/test_playground.py compares
   words and pieces with Python's, for every character that Python knows. */
"use strict";

/* A tokenizer from a list of pieces and, for each kind of character, the sorted ranges
   of its code points. */
function bertcoreWordPiece(vocabulary, tables) {
  const LONGEST_WORD = 200; // characters, as in google-research/bert
  const ids = new Map(vocabulary.map((piece, id) => [piece, id]));

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

  return { ids, words, steps, pieces };
}
