// Which of the captions that the model knows do a visitor's words mean? As `e2ed2.reading.reader`.

import { spellings } from "./spelling.js";

export class Reader {
  // `table`: `e2ed2.web.tables.reader_table`; `judge`: text => { logits, likeness }.
  constructor(table, words, judge) {
    Object.assign(this, table, { words, judge });
    this.vocabulary = new Set(table.vocabulary);
    this.english = new Set(table.english.split(" "));
    this.exactly = new Map(table.names.map((name, i) => [name.toLowerCase(), i]));
  }

  // { candidates: [{ name, probability }], the likeliest first; style; nearest: [name]; text }
  async read(prompt) {
    const [typed, style] = this.words.splitStyle(this.words.stripped(this.words.speltOut(prompt)));
    let text = typed, probabilities = [], surest = -1;
    for (const one of spellings(typed, this.vocabulary, this.english, this.spelling)) {
      const each = softmax((await this.judge(one)).logits), best = each.reduce((a, b) => Math.max(a, b));
      if (best > surest) [text, probabilities, surest] = [one, each, best];
    }
    const index = this.exactly.get(text.toLowerCase());
    if (index !== undefined) probabilities = probabilities.map((p, i) => (i === index ? 1 - this.doubt : 0) + this.doubt * p);
    const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
    const candidates = order.slice(0, this.shown).map((i) => ({ name: this.names[i], probability: probabilities[i] }));
    const nearest = await this.#nearest(text);
    const far = this.far.some(([near, sure]) => nearest[0].likeness < near && candidates[0].probability < sure);
    return { candidates: far ? [] : candidates, style, nearest: nearest.map((one) => one.name), text };
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
