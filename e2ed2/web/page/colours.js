// Which colour a prompt asks for, and the names of things in it: as `e2ed2.data.colours`.

export class Colours {
  // `table`: `e2ed2.web.tables.colour_table`.
  constructor(table) {
    this.words = table.words;
    [this.first, this.article, ...this.patterns] = [table.first, table.article, ...table.asked].map((one) => new RegExp(one, "iu"));
    [this.known, this.without] = [new Set(table.known), table.without];
  }

  // As captions call it; empty where the text asks for none.
  asked(text) {
    if (this.known.has(text.toLowerCase().replace(this.article, ""))) return "";
    for (const pattern of this.patterns) {
      const found = pattern.exec(text);
      if (found) return this.words[found[1].toLowerCase()];
    }
    return "";
  }

  // `red apple` in green => `green apple`.
  turned(name, colour) {
    return this.without[name]?.includes(colour) ? name : `${colour} ${name.replace(this.first, "")}`;
  }
}
