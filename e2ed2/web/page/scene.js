// What a scene is about, as `e2ed2.reading.scene`: `a dog running on the beach` is a dog.

export class Scenes {
  // `table`: `e2ed2.web.tables.scene_table`.
  constructor(table) {
    Object.assign(this, table);
    [this.token, this.place] = [new RegExp(table.token, "gi"), new RegExp(table.place, "i")];
    [this.known, this.nouns] = [new Set(table.known), new Set(table.nouns)];
  }

  isKnown(text) {
    return this.known.has(text.toLowerCase().replace(/^(a|an|the) /, ""));
  }

  // { subject, rest }; none where the text does not begin with a known thing.
  of(text) {
    const tokens = [...text.matchAll(this.token)], words = tokens.map((token) => token[0].toLowerCase());
    const first = this.articles.includes(words[0]) ? 1 : 0;
    for (let end = first + 1; end < Math.min(first + this.longest + 2, words.length - 1); end++) {
      if (!this.places.includes(words[end]) && words[end] !== this.company && !this.#isAction(words[end])) continue;
      if (words[end - 1].endsWith("ed") && end - 1 > first) end--;
      const last = tokens[end - 1], starts = [...Array(end - first).keys()];
      if (!starts.some((i) => this.known.has(words.slice(first + i, end).join(" ")))) return null;
      return { subject: text.slice(tokens[first].index, last.index + last[0].length), rest: text.slice(tokens[end].index) };
    }
    return null;
  }

  // Whether the subject, read as `own`, says better what a scene shows than all of its words, read as `whole`.
  isAboutItsSubject(scene, whole, own) {
    const saysPlace = this.place.test(scene.rest);
    if (own.probability < this.certain) return false;
    if (whole?.name === own.name && saysPlace) return true;
    if (!this.things.includes(own.name)) return false;
    const elsewhere = Boolean(whole) && this.#comesFrom(whole.name, scene), living = this.living.includes(own.name);
    if (scene.rest.toLowerCase().startsWith(`${this.company} `)) return elsewhere && living;
    if (elsewhere) return living || saysPlace || !this.#isAction(scene.rest.split(/\s+/)[0].toLowerCase());
    return !whole || (whole.probability < this.uncertain && saysPlace && !this.#shared(whole.name, scene.subject));
  }

  #isAction(word) {
    return word.endsWith("ing") && !this.nouns.has(word);
  }

  #comesFrom(name, scene) {
    const rest = scene.rest.split(/\s+/).filter((word) => !this.#isAction(word.toLowerCase())).join(" ");
    return this.#shared(name, rest) && !this.#shared(name, scene.subject);
  }

  #shared(first, second) {
    const [one, other] = [first, second].map((text) => [...text.matchAll(this.token)].map((token) => token[0].toLowerCase().replace(/s$/, "")));
    return one.some((word) => other.includes(word));
  }
}
