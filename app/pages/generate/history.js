// The pictures of this browser: kept in its storage, shown as a gallery, the same in every tab.
// `element` and `trigger` are Gradio's.
const KEY = "e2ed2-pictures", MOST = 120;
const PNG = [137, 80, 78, 71]; // how such a file begins
const SETTINGS = ["prompt", "model", "steps", "seed", "caption"];
const same = (one, other) => SETTINGS.every((name) => String(one[name]) === String(other[name]));
let chosen = []; // two of them, to go from one to the other
let session = []; // where the browser keeps nothing

function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((one) => one && [...SETTINGS, "picture"].every((name) => name in one)) : [];
  } catch { return session; }
}

function write(kept) {
  session = kept;
  for (let all = kept; ; all = all.slice(0, -1)) { // a full storage forgets the oldest
    try { localStorage.setItem(KEY, JSON.stringify(all)); break; }
    catch (error) { if (error.name !== "QuotaExceededError" || !all.length) break; }
  }
  show();
}

function add(made) {
  const old = read();
  const isNew = made.map((one) => ({ ...one, starred: old.find((other) => same(one, other))?.starred ?? false }));
  const all = [...isNew.reverse(), ...old.filter((one) => !made.some((other) => same(one, other)))];
  let room = MOST - all.filter((one) => one.starred).length;
  write(all.filter((one) => one.starred || room-- > 0));
}

function button(label, sign, pressed, act) {
  const made = Object.assign(document.createElement("button"), { type: "button", title: label, textContent: sign });
  made.ariaLabel = label;
  if (pressed !== null) made.ariaPressed = String(pressed);
  made.addEventListener("click", act);
  return made;
}

function tile(one) {
  const name = one.caption || one.prompt;
  const use = button(`Make again: ${name}, seed ${one.seed}`, "", null, () => { trigger("select", { settings: settingsOf(one) }); toTop(); });
  use.className = "use";
  use.append(Object.assign(document.createElement("img"), { src: one.picture, alt: "" }));
  const change = (act) => () => { write(read().flatMap((other) => (same(one, other) ? act(other) : [other]))); };
  const acts = Object.assign(document.createElement("div"), { className: "acts" });
  acts.append(
    button(`Favourite: ${name}`, one.starred ? "★" : "☆", one.starred, change((it) => [{ ...it, starred: !it.starred }])),
    button(`One of two to go between: ${name}`, "⇄", chosen.some((it) => same(it, one)), () => choose(one)),
    button(`Delete: ${name}`, "✕", null, change(() => [])),
  );
  const figure = document.createElement("figure");
  figure.append(use, Object.assign(document.createElement("figcaption"), { textContent: one.prompt }), acts);
  return figure;
}

function toTop() { // where the picture will be
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  document.querySelector("#generate")?.scrollIntoView({ behavior: still ? "instant" : "smooth" });
}

function settingsOf(one) { return Object.fromEntries(SETTINGS.map((name) => [name, one[name] ?? ""])); }

function choose(one) {
  const without = chosen.filter((it) => !same(it, one));
  chosen = without.length < chosen.length ? without : [...chosen, one].slice(-2);
  show();
}

function show() {
  const kept = read(), onlyStars = element.querySelector(".stars").checked;
  chosen = chosen.filter((one) => kept.some((it) => same(it, one)));
  for (const one of element.querySelectorAll(".some")) one.hidden = !kept.length;
  element.querySelector(".none").hidden = kept.length > 0;
  element.querySelector(".between").disabled = chosen.length < 2;
  element.querySelector(".tiles").replaceChildren(...kept.filter((one) => one.starred || !onlyStars).map(tile));
}

function shownOnes() {
  const onlyStars = element.querySelector(".stars").checked;
  return read().filter((one) => one.starred || !onlyStars);
}

element.addEventListener("change", (event) => {
  if (event.target.matches(".stars")) show();
  if (event.target.matches(".open") && event.target.files[0]) open(event.target.files[0]);
});
element.addEventListener("click", (event) => {
  if (event.target.matches(".between")) { trigger("submit", { two: chosen.map(settingsOf) }); toTop(); }
  if (event.target.matches(".all")) trigger("upload", { pictures: shownOnes() });
  if (event.target.matches(".forget") && confirm("Forget all of your pictures but the favourites?"))
    write(read().filter((one) => one.starred));
});
document.addEventListener("e2ed2-made", (event) => add(event.detail));
window.addEventListener("storage", (event) => { if (event.key === KEY) show(); });

// A picture of ours says how it was made: in text chunks of its PNG file.
async function open(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const texts = PNG.every((byte, at) => bytes[at] === byte) ? textsOf(bytes) : {};
  if (SETTINGS.every((name) => name in texts)) trigger("select", { settings: texts });
  else trigger("clear");
}

function textsOf(bytes) {
  const texts = {}, view = new DataView(bytes.buffer), utf8 = new TextDecoder();
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    const kind = utf8.decode(bytes.subarray(at + 4, at + 8));
    if (kind !== "iTXt") continue;
    const data = bytes.subarray(at + 8, at + 8 + view.getUint32(at));
    const keyword = data.indexOf(0), language = data.indexOf(0, keyword + 3), translated = data.indexOf(0, language + 1);
    texts[utf8.decode(data.subarray(0, keyword))] = utf8.decode(data.subarray(translated + 1));
  }
  return texts;
}

const dropped = (event) => event.dataTransfer?.files?.[0];
document.addEventListener("dragover", (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); });
document.addEventListener("drop", (event) => {
  const file = dropped(event);
  if (!file) return;
  event.preventDefault(); // else the browser would show the file, and this page would be gone
  event.stopPropagation();
  if (/\.(txt|csv)$/i.test(file.name)) file.text().then((text) => trigger("input", { text })); // a list of prompts
  else open(file);
}, true);
show();
