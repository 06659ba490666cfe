// Everything that takes time, away from the page: it loads once, then paints one picture after the other.

import * as ort from "./vendor/onnxruntime.mjs";
import { Tokenizer } from "./vendor/tokenizers.mjs";
import { Painter } from "./painter.js";
import { Store } from "./store.js";

const TRIAL = ["a", 0, 1]; // caption, seed, steps
let painter;
let last = Promise.resolve();

async function load({ manifest, base }) {
  const store = new Store(manifest, base, (here, total) => postMessage({ kind: "progress", here, total }));
  const made = new Painter(manifest, ort, Tokenizer, store);
  await made.load();
  await made.paint(...TRIAL); // the first picture takes longest
  painter = made;
  postMessage({ kind: "ready" });
}

async function paint({ id, request }) {
  const began = performance.now();
  const reading = request.exactly ? null : await painter.read(request.prompt);
  const caption = painter.caption(request, reading);
  const unread = painter.tooLong(request.prompt);
  postMessage({ kind: "read", id, reading, caption, unread });
  const told = (step) => postMessage({ kind: "step", id, step });
  const rgba = await painter.paint(caption, request.seed, request.steps, told);
  const seconds = (performance.now() - began) / 1000;
  postMessage({ kind: "painted", id, rgba, seconds }, [rgba.buffer]);
}

async function answer(message) {
  try {
    if (message.kind === "paint") return painter && (await paint(message));
    await load(message);
  } catch (error) {
    console.error(error);
    postMessage({ kind: "failed", id: message.id, reason: String(error?.message ?? error) });
  }
}

onmessage = ({ data }) => {
  last = last.then(() => answer(data));
};
