// From a prompt to a picture: the chain of `e2ed2.diffusion.sampler`, along uniform levels of the flow path.

import { chosen, normal } from "./chance.js";
import { Reader } from "./reader.js";
import { Words } from "./words.js";

const round = Math.fround;

export class Painter {
  // `ort`: onnxruntime-web; `Tokenizer`: of @huggingface/tokenizers; `store`: a `Store`.
  constructor(manifest, ort, Tokenizer, store) {
    Object.assign(this, { manifest, ort, Tokenizer, store });
    this.embedded = new Map();
  }

  // Fetch everything and make it ready.
  async load() {
    const { ort, store, manifest } = this;
    ort.env.wasm.wasmBinary = await store.bytes("vendor/onnxruntime.wasm.bin");
    const [tokenizer, text] = [await store.json("data/tokenizer.json.bin"), await store.json("data/text.json.bin")];
    this.tokenizer = new this.Tokenizer(tokenizer.tokenizer, tokenizer.settings);
    this.words = new Words(text);
    if (manifest.reads) this.readerTable = await store.json("data/reader.json.bin");
    this.sessions = {};
    for (const path of Object.keys(manifest.files).filter((path) => path.endsWith(".onnx.bin"))) {
      const name = path.slice("data/".length, -".onnx.bin".length);
      const options = { executionProviders: ["wasm"], logSeverityLevel: 3 };
      this.sessions[name] = await ort.InferenceSession.create(await store.bytes(path), options);
    }
    if (manifest.reads) this.reader = new Reader(this.readerTable, this.words, manifest.colours, (text) => this.#judged(text));
  }

  // What the prompt may mean; null where the model knows no names.
  async read(prompt) {
    return this.reader ? this.reader.read(prompt) : null;
  }

  // What the model is given: `{ prompt, style, seed, exactly, readAs }` and what `read` says of the prompt.
  caption({ prompt, style, seed, exactly, readAs }, reading) {
    const known = this.reader?.exactly.has(readAs?.toLowerCase()) && readAs;
    const name = known || reading?.candidates[0]?.name;
    if (exactly || !name) return this.words.stripped(prompt);
    const asked = style === this.words.by_seed ? chosen(seed, "style", this.words.styles) : style || this.words.best;
    return this.words.inStyle(this.reader.called(name, reading?.colour), reading?.style || asked);
  }

  // Whether the end of the text is not read.
  tooLong(text) {
    return this.#tokens(text).length > this.manifest.most_tokens;
  }

  // RGBA `[side, side, 4]`; `onStep`: (steps that are done).
  async paint(caption, seed, steps, onStep = () => {}) {
    const { shape } = this.manifest, size = [1, ...shape];
    const noise = this.#tensor(normal(seed, shape.reduce((a, b) => a * b)), size);
    const { tokens, pooled } = await this.#embed(caption);
    const { coarse, choice } = await this.sessions.coarse.run({ z: noise, pooled });
    let x = noise;
    for (let i = 0; i < steps; i++) {
      const t = 1 - i / steps, s = i + 1 < steps ? 1 - (i + 1) / steps : 0, kept = s / t;
      const given = { x, t: this.#tensor([t], [1]), tokens, pooled, coarse, choice };
      const session = this.sessions[`step-${this.manifest.transformers > 1 ? i : 0}`];
      const { clean } = await session.run(given);
      const [old, estimate] = [await x.getData(), await clean.getData()];
      const [a, b] = [round(kept), round(1 - s - (1 - t) * kept)];
      x = this.#tensor(old.map((value, place) => round(a * value) + round(b * estimate[place])), size);
      onStep(i + 1);
    }
    const { image } = await this.sessions.decoder.run({ latents: x });
    return pixels(await image.getData());
  }

  #tensor(values, shape) {
    return new this.ort.Tensor("float32", Float32Array.from(values), shape);
  }

  #tokens(text) {
    return this.tokenizer.encode(this.words.speltOut(text)).ids;
  }

  async #embed(text) {
    const all = this.#tokens(text), most = this.manifest.most_tokens;
    const ids = all.length > most ? [...all.slice(0, most - 1), all.at(-1)] : all;
    const key = ids.join();
    if (!this.embedded.has(key)) {
      if (this.embedded.size > 64) this.embedded.clear();
      const given = new this.ort.Tensor("int64", BigInt64Array.from(ids.map(BigInt)), [1, ids.length]);
      this.embedded.set(key, await this.sessions.text.run({ ids: given }));
    }
    return this.embedded.get(key);
  }

  async #judged(text) {
    const { pooled } = await this.#embed(text);
    const { logits, likeness } = await this.sessions.reader.run({ pooled });
    return { logits: logits.data, likeness: likeness.data };
  }
}

// `[3, H, W]`, about [-1, 1] => RGBA.
function pixels(image) {
  const count = image.length / 3, out = new Uint8ClampedArray(4 * count).fill(255);
  for (let i = 0; i < count; i++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = image[channel * count + i];
      if (!Number.isFinite(value)) throw new Error("the picture has values that are no numbers");
      out[4 * i + channel] = Math.round(round(Math.min(1, Math.max(-1, value)) + 1) * 127.5);
    }
  }
  return out;
}
