// What the visitor sees and presses; worker.js paints.

import { withSettings } from "./png.js";

const IDEAS = ["red apple", "a happy cat", "🚀", "birthday cake", "snowy mountain", "my grandma's house"];
const KEPT = 24; // earlier pictures
const at = (id) => document.getElementById(id);
const base = new URL("./", location).href;
const megabytes = (bytes) => (bytes / 1e6).toFixed(0);

const manifest = await (await fetch(new URL("paint.json", base))).json();
const { styles, best } = manifest;
const worker = new Worker(new URL("worker.js", base), { type: "module" });
const jobs = new Map();
const page = { ready: false, count: 0, current: null };

// --- what can be chosen -------------------------------------------------------------------------------------------

function chips(fieldset, name, values, chosen) {
  for (const value of values) {
    const label = document.createElement("label"), input = document.createElement("input");
    label.className = "chip";
    Object.assign(input, { type: "radio", name, value, checked: String(value) === String(chosen) });
    label.append(input, document.createElement("span"));
    label.lastChild.textContent = value;
    fieldset.append(label);
  }
}

const picked = (name) => at("ask").elements[name].value;

function pick(name, value) {
  const input = [...at("ask").elements[name]].find((one) => one.value === String(value));
  if (input) input.checked = true;
}

function pressable(text, act) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", textContent: text, onclick: act });
  return button;
}

// --- asking -------------------------------------------------------------------------------------------------------

// What is wrong with what was asked for; empty where nothing is.
function refusal({ prompt, seed }) {
  const length = [...prompt].length, { most_characters: most, last_seed: last } = manifest;
  if (!prompt.trim()) return "Type what you would like to see, for example “red apple”.";
  if (length > most) return `That has ${length} characters: use at most ${most}.`;
  if (!Number.isInteger(seed) || seed < 0 || seed > last) return `The seed is a whole number from 0 to ${last}.`;
  return "";
}

function asked() {
  const seed = at("seed").value.trim() === "" ? NaN : Number(at("seed").value);
  const [style, steps] = [manifest.reads ? picked("style") : "", Number(picked("steps"))];
  return { prompt: at("prompt").value, style, seed, steps, exactly: at("exactly").checked };
}

// `opening`: nobody has pressed anything yet.
function paint(request, opening = false) {
  const wrong = refusal(request);
  if (wrong) return say(wrong, true);
  const id = ++page.count;
  jobs.set(id, { request, opening });
  at("others").hidden = true;
  if (page.ready) busy(0, request.steps);
  worker.postMessage({ kind: "paint", id, request });
}

function showAsked(request) {
  at("prompt").value = request.prompt;
  at("seed").value = request.seed;
  at("exactly").checked = Boolean(request.exactly);
  if (manifest.reads) pick("style", request.style);
  pick("steps", request.steps);
}

// The same words are read as before.
function another() {
  at("seed").value = Math.floor(Math.random() * 1e6);
  const request = asked(), before = page.current?.request;
  paint(before?.readAs && before.prompt === request.prompt ? { ...request, readAs: before.readAs } : request);
}

function anew() {
  const untouched = at("seed").value === String(page.current?.request.seed);
  if (at("fresh").checked && untouched) another();
  else paint(asked());
}

// --- answers ------------------------------------------------------------------------------------------------------

function say(text, wrong = false) {
  const line = document.createElement("span");
  line.textContent = text;
  line.className = wrong ? "wrong" : "";
  at("status").replaceChildren(line);
}

function wait(share, stage) {
  at("wait").hidden = false;
  at("bar").value = share;
  at("stage").textContent = stage;
}

function busy(step, steps) {
  if (page.current) at("frame").dataset.state = "busy";
  wait(step / (steps + 1), `Step ${Math.min(step + 1, steps)} of ${steps}`);
}

function wrote({ reading, caption, unread, request }) {
  const told = document.createDocumentFragment();
  if (request.exactly || !manifest.reads) told.append("Your own words.");
  else if (!reading.candidates.length && !request.readAs) {
    const names = reading.nearest.map((name) => `“${name}”`).join(", ");
    told.append(`This is far from all that the model knows (${names} come nearest), so your own words are painted.`);
  } else {
    const name = document.createElement("strong");
    name.textContent = caption;
    told.append("Read as ", name, ".");
    if (reading?.neverShown) told.append(` The model was never shown “${reading.neverShown}”.`);
  }
  if (unread) told.append(" Only about the first twenty words are read.");
  return told;
}

function offer({ reading, caption, request }) {
  const others = (reading?.candidates ?? []).filter(
    ({ called }) => caption !== called && !caption.startsWith(`${called}, `),
  );
  const buttons = others.map(({ name }) => pressable(name, () => paint({ ...request, readAs: name })));
  at("others").replaceChildren(at("others").firstElementChild, ...buttons);
  at("others").hidden = !buttons.length;
}

async function show(job) {
  const { request, caption, rgba, seconds } = job, { side } = manifest, canvas = at("picture");
  Object.assign(canvas, { width: side, height: side });
  canvas.getContext("2d").putImageData(new ImageData(rgba, side), 0, 0);
  canvas.setAttribute("aria-label", caption);
  page.current = job;
  at("frame").dataset.state = "painted";
  at("wait").hidden = true;
  const steps = `${request.steps} ${request.steps > 1 ? "steps" : "step"}`;
  const mistaken = job.opening && at("status").querySelector(".wrong"); // said meanwhile, and to be read
  if (!mistaken) at("status").replaceChildren(wrote(job), ` Seed ${request.seed}, ${steps}, ${seconds.toFixed(1)} s.`);
  job.opening = false;
  offer(job);
  for (const id of ["again", "share", "download"]) at(id).disabled = false;
  history.replaceState(null, "", `#${new URLSearchParams(Object.entries(request).filter(([, value]) => value !== ""))}`);
  job.png ??= await new Promise((done) => canvas.toBlob(done, "image/png"));
  keep(job);
}

function keep(job) {
  if (job.kept) return;
  job.kept = true;
  const tile = pressable("", () => { showAsked(job.request); show(job); }), image = new Image();
  image.src = URL.createObjectURL(job.png);
  image.alt = `${job.caption}, seed ${job.request.seed}`;
  tile.append(image);
  const tiles = at("past").querySelector("div");
  tiles.prepend(tile);
  if (tiles.children.length > KEPT) {
    URL.revokeObjectURL(tiles.lastChild.firstChild.src);
    tiles.lastChild.remove();
  }
  at("past").hidden = tiles.children.length < 2;
}

const answers = {
  progress({ here, total }) {
    const there = here >= total;
    wait(here / total, there ? "Getting ready …" : `Fetching the model: ${megabytes(here)} of ${megabytes(total)} MB`);
  },
  ready() {
    page.ready = true;
    at("wait").hidden = true;
    const waiting = [...jobs.values()].find((job) => !job.rgba);
    if (waiting) busy(0, waiting.request.steps);
    document.documentElement.dataset.ready = "";
  },
  read: ({ id, ...read }) => Object.assign(jobs.get(id), read),
  step: ({ id, step }) => busy(step, jobs.get(id).request.steps),
  painted({ id, rgba, seconds }) {
    const job = Object.assign(jobs.get(id), { rgba, seconds });
    jobs.delete(id);
    return show(job);
  },
  failed({ id, reason }) {
    jobs.delete(id);
    at("wait").hidden = true;
    if (page.current) at("frame").dataset.state = "painted";
    const what = page.ready ? "That could not be painted" : "The model could not be loaded";
    say(`${what}: ${reason}. Reload the page to try again.`, true);
  },
};

// --- opening ------------------------------------------------------------------------------------------------------

async function download() {
  const { request, caption, png } = page.current;
  const settings = { prompt: request.prompt, model: manifest.model, steps: request.steps, seed: request.seed, caption };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await withSettings(png, settings));
  link.download = `${request.prompt.toLowerCase().match(/[\p{L}\p{N}]+/gu)?.join("-").slice(0, 40) ?? "picture"}-${request.seed}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function share() {
  const copied = await navigator.clipboard?.writeText(location.href).then(() => true, () => false);
  say(copied ? "The link is copied: whoever opens it sees this picture painted." : `The link: ${location.href}`);
}

// What a link asks for.
function linked() {
  const words = new URLSearchParams(location.hash.slice(1));
  if (!words.get("prompt")) return null;
  const number = (name, usual) => (words.has(name) ? Number(words.get(name)) : usual);
  const steps = number("steps"), style = words.get("style");
  return {
    prompt: words.get("prompt"),
    style: styles.includes(style) ? style : best,
    seed: number("seed", 7),
    steps: manifest.steps.includes(steps) ? steps : manifest.steps.at(-1),
    exactly: words.get("exactly") === "true",
    ...(manifest.reads && words.get("readAs") ? { readAs: words.get("readAs") } : {}),
  };
}

function begin() {
  document.title = `${manifest.model} · paint in your browser`;
  at("frame").dataset.state = "empty";
  chips(at("style"), "style", styles, best);
  chips(at("steps"), "steps", manifest.steps, manifest.steps.at(-1));
  at("style").hidden = at("words").hidden = !manifest.reads;
  at("ideas").append(...IDEAS.map((idea) => pressable(idea, () => { at("prompt").value = idea; anew(); })));
  at("seed").max = manifest.last_seed;
  at("about").textContent = `The model is ${manifest.model}, a few-step painter that was trained end to end.`;
  at("again").onclick = another;
  at("share").onclick = share;
  at("download").onclick = download;
  at("ask").onsubmit = (event) => {
    event.preventDefault();
    anew();
  };
  worker.onmessage = ({ data }) => answers[data.kind](data);
  worker.onerror = () => answers.failed({ reason: "this browser is too old for it, or a file is missing" });
  wait(0, "Fetching the model …");
  worker.postMessage({ kind: "load", manifest, base });
  const first = linked();
  if (first) showAsked(first);
  else at("prompt").value = IDEAS[0];
  paint(first ?? asked(), true);
}

begin();
navigator.serviceWorker?.register(new URL("sw.js", base), { scope: base }).catch(() => {}); // without it: only online
