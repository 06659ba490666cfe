// How a prompt is written before anything reads it: `spelt_out` of `e2ed2.models.minilm`, styles of `e2ed2.data.emoji`.

const ESCAPED = /[\\\]^-]/g;

export class Words {
  // `table`: `e2ed2.web.tables.text_table`.
  constructor(table) {
    Object.assign(this, table);
    const space = `[${table.spaces.replace(ESCAPED, "\\$&")}]+`;
    this.around = new RegExp(`^${space}|${space}$`, "gu");
    this.styled = new RegExp(`(,| in)? (${table.styles.join("|")})( style)?$`, "iu");
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
    const match = this.styled.exec(text);
    const style = match?.[2].toLowerCase();
    if (!match?.index || (this.ordinary.includes(style) && !(match[1] || match[3]))) return [text, ""];
    return [text.slice(0, match.index), style];
  }

  inStyle(text, style) {
    return style ? `${text}, ${style} style` : text;
  }
}
