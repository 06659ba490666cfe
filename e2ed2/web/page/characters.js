// Emoji and emoticons in a prompt, by the names that drawings have: as `e2ed2.reading.characters`.

export class Characters {
  // `table`: `e2ed2.web.tables.character_table`; `words`: a `Words`.
  constructor(table, words) {
    Object.assign(this, table, { words });
    this.any = new RegExp(table.any, "gu");
    this.drawn = new RegExp(table.drawn, "gu");
  }

  spelt(text) {
    if (Object.hasOwn(this.emoticons, text)) return this.emoticons[text];
    const named = text.replace(this.drawn, "").replace(this.any, (one) => ` ${this.emoji[one]} `);
    return this.words.stripped(this.words.speltOut(named));
  }

  // What the emoji in it are called.
  named(text) {
    return (text.replace(this.drawn, "").match(this.any) ?? []).map((one) => this.emoji[one]);
  }

  // Is it but punctuation?
  sayNothing(text) {
    return [...text].every((one) => this.words.spaces.includes(one) || /\p{P}/u.test(one));
  }
}
