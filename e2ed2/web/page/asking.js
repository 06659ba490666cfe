// What a prompt wants, in words that the reader knows: as `e2ed2.reading.denied` and `e2ed2.reading.usual`.

export class Asking {
  // `table`: `e2ed2.web.tables.asking_table`.
  constructor({ denial, nothing, around, slang, slangy }) {
    [this.denial, this.nothing, this.around, this.slangy] = [denial, nothing, around, slangy].map((one) => new RegExp(one, "gi"));
    this.slang = slang;
  }

  // `no dogs, just a cat` => `just a cat`.
  wanted(text) {
    const rest = text.replace(this.denial, ""), left = rest.replace(this.around, "");
    return rest !== text && left.replace(this.nothing, "") ? left : text;
  }

  // `my telly` => `my television`.
  inUsualWords(text) {
    return text.replace(this.slangy, (_, word) => this.slang[word.toLowerCase()]);
  }
}
