// Which of the captions that the model knows do a visitor's words mean? As `e2ed2.reading.reader`.

import { Asking } from "./asking.js";
import { Characters } from "./characters.js";
import { Colours } from "./colours.js";
import { Scenes } from "./scene.js";
import { Speller } from "./spelling.js";

export class Reader {
  // `table`: `e2ed2.web.tables.reader_table`; `judge`: text => { logits, likeness }.
  // `paintsColours`: the model has seen things in other colours than their own.
  constructor(table, words, paintsColours, judge) {
    Object.assign(this, table, { words, paintsColours, judge });
    this.speller = new Speller(table.vocabulary, table.names, table.english.split(" "), table.spelling);
    this.colours = new Colours(table.colours);
    this.asking = new Asking(table.asking);
    this.scenes = new Scenes(table.scene);
    this.characters = new Characters(table.characters, words);
    this.exactly = new Map(table.names.map((name, i) => [name.toLowerCase(), i]));
    this.strangeWord = new RegExp(table.strange_word);
    this.neverDrawn = new Set(table.never_drawn);
  }

  // { candidates: [{ name, probability, called: the name in the colour that is asked for }], the likeliest first; style; colour; nearest: [name]; text }
  async read(prompt) {
    const [given, style] = this.words.splitStyle(prompt);
    const typed = this.speller.corrected(this.asking.inUsualWords(this.asking.wanted(given)));
    const text = this.characters.spelt(typed), whole = await this.#meanings(text);
    const scene = this.scenes.isKnown(text) ? null : this.scenes.of(text);
    const own = scene ? (await this.#meanings(scene.subject)).candidates : [];
    const about = own.length && this.scenes.isAboutItsSubject(scene, whole.candidates[0], own[0]);
    const [candidates, of] = about ? [own, scene.subject] : [whole.candidates, typed];
    const colour = this.paintsColours ? this.colours.asked(this.#colourful(of)) : "";
    candidates.forEach((one) => Object.assign(one, { called: this.called(one.name, colour) }));
    const neverShown = this.neverShown(typed, text.toLowerCase());
    return { candidates, style, colour, nearest: whole.nearest, text, neverShown };
  }

  // { candidates, the likeliest first, none if the text is far from everything; nearest: [name] }
  async #meanings(text) {
    let probabilities = softmax((await this.judge(text)).logits);
    const index = this.exactly.get(text.toLowerCase());
    if (index !== undefined) probabilities = probabilities.map((p, i) => (i === index ? 1 - this.doubt : 0) + this.doubt * p);
    const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
    const candidates = order.slice(0, this.shown).map((i) => ({ name: this.names[i], probability: probabilities[i] }));
    const nearest = await this.#nearest(text);
    const far = this.characters.sayNothing(text) || this.far.some(([near, sure]) => nearest[0].likeness < near && candidates[0].probability < sure);
    return { candidates: far ? [] : candidates, nearest: nearest.map((one) => one.name) };
  }

  // What the words name of which no training saw a drawing; not where it is part of a known name.
  neverShown(typed, text) {
    const strange = this.characters.named(typed).find((name) => this.neverDrawn.has(name));
    if (strange) return strange;
    const found = this.strangeWord.exec(text)?.slice(1).find(Boolean);
    if (!found) return "";
    return [...this.exactly.keys()].some((name) => name.includes(found) && text.includes(name)) ? "" : found;
  }

  // The words in which a colour may stand: those of an emoji where it is no known name, such as 📗.
  #colourful(typed) {
    const known = this.characters.named(typed).some((name) => this.exactly.has(name.toLowerCase()));
    return known ? typed : this.characters.spelt(typed);
  }

  called(name, colour) {
    return colour ? this.colours.turned(name, colour) : name;
  }

  async #nearest(text) {
    const { likeness } = await this.judge(this.words.splitStyle(text.toLowerCase())[0]);
    const best = new Float32Array(this.things.length).fill(-1);
    likeness.forEach((value, i) => {
      const thing = this.thing_of_word[i];
      best[thing] = Math.max(best[thing], value);
    });
    const order = [...best.keys()].sort((a, b) => best[b] - best[a]).slice(0, 3);
    return order.map((i) => ({ name: this.things[i], likeness: best[i] }));
  }
}

function softmax(logits) {
  const values = Array.from(logits), most = values.reduce((a, b) => Math.max(a, b));
  const each = values.map((value) => Math.exp(value - most));
  const total = each.reduce((a, b) => a + b);
  return each.map((value) => value / total);
}
