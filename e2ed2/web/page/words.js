// How a prompt is written before anything reads it: `spelt_out` of `e2ed2.models.minilm`, styles of `e2ed2.data.emoji`.

const ESCAPED = /[\\\]^-]/g;

export class Words {
  // `table`: `e2ed2.web.tables.text_table`.
  constructor(table) {
    Object.assign(this, table);
    const space = `[${table.spaces.replace(ESCAPED, "\\$&")}]+`;
    this.around = new RegExp(`^${space}|${space}$`, "gu");
    [this.styled, this.before] = [table.styled, table.before].map((one) => new RegExp(one, "iu"));
  }

  // As Python's str.strip.
  stripped(text) {
    return text.replace(this.around, "");
  }

  // Symbols by their Unicode names.
  speltOut(text) {
    return [...text].map((one) => this.symbols[one] ?? one).join("");
  }

  // `red apple, noto style` => [`red apple`, `noto`].
  splitStyle(prompt) {
    const text = this.stripped(prompt);
    const after = this.styled.exec(text), before = this.before.exec(text);
    if (after?.index && this.#isStyle(after[2], after[1] || after[3])) return [text.slice(0, after.index), after[2].toLowerCase()];
    if (before && this.#isStyle(before[1], before[2])) return [text.slice(before[0].length), before[1].toLowerCase()];
    return [text, ""];
  }

  // Whether a word that names a style means it: `flat` only where something else says so.
  #isStyle(word, said) {
    return !this.ordinary.includes(word.toLowerCase()) || Boolean(said);
  }

  inStyle(text, style) {
    return style ? `${text}, ${style} style` : text;
  }
}
