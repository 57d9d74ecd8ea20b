/* The live model: `english-mini` run in the page, in a worker, so the page stays awake.

   tools/live.py exports its weights: int8 with one scale for each row of a matrix,
   float32 for biases and LayerNorm. tools/live.js asks by messages {number, task,
   given}; the answers have the same number and a result, a progress, or a fault, which
   is one sentence for the reader. tests/test_live.py compares pieces, logits and
   attention with Python's. */
"use strict";

importScripts(`wordpiece.js${self.location.search}`);

const STORE = "bertcore-live"; // of the browser's Cache API; it holds one version
const GAP = /\[MASK\]|_{2,}/i;
const TOP = 8; // pieces that are shown for a gap
const LONGEST = { attend: 32, compare: 40 }; // tokens; `fill` takes all positions
const DOWNLOAD =
  "The model could not be downloaded: check the connection, then try again.";

class Refusal extends Error {} // its message is for the reader

// Download ---------------------------------------------------------------------------

/* A file's bytes, from the browser's store or over the network, and where from. */
async function fetched(url, store, tell) {
  let response = store && (await store.match(url));
  const kept = Boolean(response);
  if (!kept) response = await fetch(url);
  if (!response.ok) throw new Error(`status ${response.status}`);
  const parts = [];
  let length = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    tell((length += value.length));
  }
  const bytes = new Uint8Array(length);
  let start = 0;
  for (const part of parts) {
    bytes.set(part, start);
    start += part.length;
  }
  return { bytes, kept };
}

async function intact(bytes, manifest) {
  if (bytes.length !== manifest.bytes) return false;
  if (!self.crypto.subtle) return true; // only pages of https or localhost have it
  const digest = new Uint8Array(await self.crypto.subtle.digest("SHA-256", bytes));
  const hex = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex === manifest.sha256;
}

async function load({ url, total }, tell) {
  const store = self.caches ? await caches.open(STORE).catch(() => null) : null;
  try {
    const described = await fetched(url, store, (length) => tell(length, total));
    const manifest = JSON.parse(new TextDecoder().decode(described.bytes));
    const address = new URL(manifest.weights, url).href;
    const before = described.bytes.length;
    const weights = await fetched(address, store, (length) =>
      tell(before + length, total),
    );
    if (!(await intact(weights.bytes, manifest))) throw new Error("damaged");
    if (store && !(described.kept && weights.kept)) await keep();
    model = new Model(manifest, weights.bytes.buffer);
    return { kept: described.kept && weights.kept };

    async function keep() {
      try {
        for (const old of await store.keys()) await store.delete(old);
        await store.put(url, new Response(described.bytes));
        await store.put(address, new Response(weights.bytes));
      } catch {} // a full disk: then it is downloaded again next time
    }
  } catch (error) {
    if (store) await caches.delete(STORE); // what is damaged must not stay
    throw new Refusal(
      error.message === "damaged"
        ? "The download arrived damaged: try again."
        : DOWNLOAD,
    );
  }
}

// Arithmetic: states are rows of a flat array, `s w` ----------------------------------

/* The error function to 1.2e-7 (Numerical Recipes, erfc by Chebyshev's polynomials). */
function erf(x) {
  const z = Math.abs(x);
  const t = 1 / (1 + z / 2);
  const inner =
    1.00002368 +
    t *
      (0.37409196 +
        t *
          (0.09678418 +
            t *
              (-0.18628806 +
                t *
                  (0.27886807 +
                    t *
                      (-1.13520398 +
                        t * (1.48851587 + t * (-0.82215223 + t * 0.17087277)))))));
  const rest = t * Math.exp(-z * z - 1.26551223 + t * inner);
  return x >= 0 ? 1 - rest : rest - 1;
}

function gelu(values) {
  for (let i = 0; i < values.length; i += 1)
    values[i] *= 0.5 * (1 + erf(values[i] * Math.SQRT1_2));
  return values;
}

function softmax(values) {
  let most = -Infinity;
  for (const value of values) most = Math.max(most, value);
  let sum = 0;
  for (let i = 0; i < values.length; i += 1)
    sum += values[i] = Math.exp(values[i] - most);
  for (let i = 0; i < values.length; i += 1) values[i] /= sum;
  return values;
}

function add(values, others) {
  for (let i = 0; i < values.length; i += 1) values[i] += others[i];
  return values;
}

// The model --------------------------------------------------------------------------

class Model {
  constructor(manifest, buffer) {
    this.manifest = manifest;
    this.tokenizer = bertcoreWordPiece(manifest.vocabulary, manifest.tables);
    this.tensors = {};
    for (const [name, { shape, offset, scales }] of Object.entries(manifest.tensors)) {
      const size = shape.reduce((a, b) => a * b);
      this.tensors[name] =
        scales === undefined
          ? { values: new Float32Array(buffer, offset, size) }
          : {
              values: new Int8Array(buffer, offset, size),
              scales: new Float32Array(buffer, scales, shape[0]),
              shape,
            };
    }
  }

  /* A row of a table, added to a state. */
  addRow(name, row, state) {
    const { values, scales, shape } = this.tensors[name];
    const start = row * shape[1];
    for (let i = 0; i < state.length; i += 1)
      state[i] += values[start + i] * scales[row];
  }

  /* Every row of the input times every row of the matrix, plus the bias: `s in` to
     `s out`. Four rows of the input and two of the matrix at a time, because a number
     that is read once and used often makes it three times as quick. */
  product(matrix, bias, input) {
    const { values, scales, shape } = this.tensors[matrix];
    const shift = this.tensors[bias].values;
    const [outputs, width] = shape; // an even number of outputs
    const rows = input.length / width;
    const output = new Float64Array(rows * outputs);
    const states = new Float64Array(Math.ceil(rows / 4) * 4 * width);
    states.set(input);
    const one = new Float64Array(width);
    const two = new Float64Array(width);
    for (let o = 0; o < outputs; o += 2) {
      for (let i = 0, at = o * width; i < width; i += 1, at += 1) {
        one[i] = values[at];
        two[i] = values[at + width];
      }
      for (let r = 0; r < rows; r += 4) {
        const [s, t, u, v] = [
          r * width,
          (r + 1) * width,
          (r + 2) * width,
          (r + 3) * width,
        ];
        let [a, b, c, d, e, f, g, h] = [0, 0, 0, 0, 0, 0, 0, 0];
        for (let i = 0; i < width; i += 1) {
          const first = one[i];
          const second = two[i];
          a += first * states[s + i];
          b += first * states[t + i];
          c += first * states[u + i];
          d += first * states[v + i];
          e += second * states[s + i];
          f += second * states[t + i];
          g += second * states[u + i];
          h += second * states[v + i];
        }
        const sums = [a, e, b, f, c, g, d, h];
        for (let k = 0; k < 4 && r + k < rows; k += 1) {
          const at = (r + k) * outputs + o;
          output[at] = sums[2 * k] * scales[o] + shift[o];
          output[at + 1] = sums[2 * k + 1] * scales[o + 1] + shift[o + 1];
        }
      }
    }
    return output;
  }

  linear(name, input) {
    return this.product(`${name}.weight`, `${name}.bias`, input);
  }

  /* LayerNorm of each state, in place. */
  norm(name, states) {
    const gain = this.tensors[`${name}.weight`].values;
    const shift = this.tensors[`${name}.bias`].values;
    const { width, epsilon } = this.manifest;
    for (let start = 0; start < states.length; start += width) {
      const state = states.subarray(start, start + width);
      let mean = 0;
      for (const value of state) mean += value / width;
      let variance = 0;
      for (const value of state) variance += (value - mean) ** 2 / width;
      const scale = 1 / Math.sqrt(variance + epsilon);
      for (let i = 0; i < width; i += 1)
        state[i] = (state[i] - mean) * scale * gain[i] + shift[i];
    }
    return states;
  }

  /* Every head's weighted sum of the values, heads side by side: `s w`. */
  mix(query, key, value) {
    const { width, heads } = this.manifest;
    const size = width / heads;
    const count = query.length / width;
    const mixed = new Float64Array(query.length);
    const weights = new Float64Array(count);
    for (let head = 0; head < width; head += size) {
      for (let q = head; q < query.length; q += width) {
        for (let k = 0; k < count; k += 1) {
          let sum = 0;
          for (let i = 0, at = k * width + head; i < size; i += 1)
            sum += query[q + i] * key[at + i];
          weights[k] = sum / Math.sqrt(size);
        }
        softmax(weights);
        for (let k = 0; k < count; k += 1)
          for (let i = 0, at = k * width + head; i < size; i += 1)
            mixed[q + i] += weights[k] * value[at + i];
      }
    }
    return mixed;
  }

  /* Ids to states after the last layer, `s w`; `see` is shown queries and keys. */
  states(ids, see = () => {}) {
    const { width, layers } = this.manifest;
    let states = new Float64Array(ids.length * width);
    ids.forEach((id, place) => {
      const state = states.subarray(place * width, (place + 1) * width);
      this.addRow("bert.embeddings.token.weight", id, state);
      this.addRow("bert.embeddings.position.weight", place, state);
      this.addRow("bert.embeddings.segment.weight", 0, state);
    });
    states = this.norm("bert.embeddings.norm", states);
    for (let layer = 0; layer < layers; layer += 1) {
      const name = `bert.encoder.layers.${layer}`;
      const [query, key, value] = ["query", "key", "value"].map((what) =>
        this.linear(`${name}.attention.${what}`, states),
      );
      see(query, key);
      const mixed = this.linear(
        `${name}.attention.output`,
        this.mix(query, key, value),
      );
      states = this.norm(`${name}.attention_norm`, add(states, mixed));
      const inner = gelu(this.linear(`${name}.feedforward.widen`, states));
      const changed = this.linear(`${name}.feedforward.narrow`, inner);
      states = this.norm(`${name}.feedforward_norm`, add(states, changed));
    }
    return states;
  }

  /* The scores of all pieces at one place, `v`. */
  logits(ids, place) {
    const { width } = this.manifest;
    const state = this.states(ids).slice(place * width, (place + 1) * width);
    return this.scores(state);
  }

  scores(state) {
    const changed = gelu(this.linear("mlm_head.dense", state));
    this.norm("mlm_head.norm", changed);
    return this.product("bert.embeddings.token.weight", "mlm_head.bias", changed);
  }

  /* [CLS], the pieces, [SEP]; a gap is [MASK] where gaps are allowed. */
  pieces(text, gaps, longest) {
    if (!text.trim()) throw new Refusal("There is no sentence yet: type one.");
    if (!gaps && GAP.test(text))
      throw new Refusal(
        "A sentence has a gap: give whole ones, since each piece is hidden in turn.",
      );
    const cut = (part) => this.tokenizer.pieces(part, this.manifest.lowercase);
    const found = text
      .split(GAP)
      .flatMap((part, i) => [...(i ? ["[MASK]"] : []), ...cut(part)]);
    if (!found.length) throw new Refusal("There is no sentence yet: type one.");
    if (found.length + 2 > longest)
      throw new Refusal(
        `A text has ${found.length + 2} tokens, and ${longest} fit here: shorten it.`,
      );
    return ["[CLS]", ...found, "[SEP]"];
  }

  ids(pieces) {
    return pieces.map((piece) => this.tokenizer.ids.get(piece));
  }
}

let model = null;

// What the page asks -----------------------------------------------------------------

const TASKS = {
  load,

  fill({ text }) {
    const { vocabulary, positions, width } = model.manifest;
    if (text.trim() && !GAP.test(text))
      throw new Refusal("The sentence has no gap: write ___ where a word is missing.");
    const pieces = model.pieces(text, true, positions);
    const states = model.states(model.ids(pieces));
    const gaps = [];
    pieces.forEach((piece, place) => {
      if (piece !== "[MASK]") return;
      const shares = softmax(
        model.scores(states.slice(place * width, (place + 1) * width)),
      );
      const best = [...shares.keys()].sort((a, b) => shares[b] - shares[a]);
      gaps.push(best.slice(0, TOP).map((id) => [vocabulary[id], shares[id]]));
    });
    return { text, gaps };
  },

  attend({ text }) {
    const pieces = model.pieces(text, true, LONGEST.attend);
    const query = [];
    const key = [];
    model.states(model.ids(pieces), (queries, keys) => {
      query.push(...queries);
      key.push(...keys);
    });
    return { text, pieces, query: new Float32Array(query), key: new Float32Array(key) };
  },

  /* The pseudo-log-likelihood: each piece is hidden in turn, as `bertcore compare`. */
  compare({ texts }, tell) {
    const cut = texts.map((text) => model.pieces(text, false, LONGEST.compare));
    if (cut[0].join(" ") === cut[1].join(" "))
      throw new Refusal(
        "Both sentences have the same pieces: change a word in one of them.",
      );
    const total = cut[0].length + cut[1].length - 4;
    let done = 0;
    const scored = cut.map((pieces) =>
      pieces.slice(1, -1).map((piece, i) => {
        const hidden = model.ids(pieces);
        const [id] = hidden.splice(i + 1, 1, model.tokenizer.ids.get("[MASK]"));
        const score = Math.log(softmax(model.logits(hidden, i + 1))[id]);
        tell((done += 1), total);
        return [piece, score];
      }),
    );
    return { texts: scored.map((pieces, i) => ({ text: texts[i], pieces })) };
  },
};

self.onmessage = async ({ data: { number, task, given } }) => {
  const tell = (done, total) => self.postMessage({ number, progress: { done, total } });
  try {
    const start = performance.now();
    const result = await TASKS[task](given, tell);
    result.milliseconds = performance.now() - start;
    self.postMessage({ number, result });
  } catch (error) {
    const fault =
      error instanceof Refusal ? error.message : `The model failed: ${error}`;
    self.postMessage({ number, fault });
  }
};
