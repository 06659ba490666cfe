// Typing mistakes, as `e2ed2.reading.spelling` corrects them.

const WORD = /[A-Za-z]+/g, WHOLE = /(?<!\p{L})[A-Za-z]+(?!\p{L})/gu;

export class Speller {
  // `english`: words that are no mistakes; `settings`: `e2ed2.web.tables.spelling_table`.
  constructor(vocabulary, names, english, settings) {
    const named = new Set(wordsOf(names.join(" "), settings.shortest));
    this.worth = new Map(vocabulary.map((word) => [word, named.has(word) ? settings.named : 0]));
    this.joined = new Map(names.filter((name) => name.includes(" ")).map((name) => [name.replaceAll(" ", "").toLowerCase(), name]));
    this.english = new Set(english);
    this.settings = settings;
  }

  corrected(text) {
    const meant = new Map();
    for (const word of wordsOf(text, this.settings.shortest, WHOLE)) {
      const found = this.joined.get(word) ?? (this.worth.has(word) || this.english.has(word) ? "" : this.#mostLike(word));
      if (found) meant.set(word, found);
    }
    return text.replace(WHOLE, (word) => meant.get(word.toLowerCase()) ?? word);
  }

  #mostLike(word) {
    let best = -1, found = "";
    for (const [known, worth] of this.worth) {
      const longest = Math.max(word.length, known.length);
      if (1 - Math.abs(word.length - known.length) / longest < this.settings.like) continue;
      const likeness = 1 - distance(word, known) / longest;
      if (likeness < this.settings.like) continue;
      const value = likeness + worth + this.settings.first * (known[0] === word[0]);
      if (value > best || (value === best && known > found)) [best, found] = [value, known];
    }
    return found;
  }
}

function wordsOf(text, shortest, word = WORD) {
  return new Set((text.match(word) ?? []).filter((word) => word.length >= shortest).map((word) => word.toLowerCase()));
}

// How many letters to insert, drop, replace or swap with the next: the optimal string alignment distance.
function distance(a, b) {
  let before = [], last = [], now = [...Array(b.length + 1).keys()];
  for (let i = 1; i <= a.length; i++) {
    [before, last, now] = [last, now, [i]];
    for (let j = 1; j <= b.length; j++) {
      now[j] = Math.min(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] !== b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) now[j] = Math.min(now[j], before[j - 2] + 1);
    }
  }
  return now[b.length];
}
