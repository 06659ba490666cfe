// Typing mistakes, as `e2ed2.reading.spelling` mends them.

const WORD = /[A-Za-z]+/g;

// How many characters two texts have in common, in blocks of the same order: `difflib.SequenceMatcher`.
function inCommon(a, b) {
  const parts = [[0, a.length, 0, b.length]];
  let total = 0;
  while (parts.length) {
    const [aFrom, aTo, bFrom, bTo] = parts.pop();
    let size = 0, aBest = aFrom, bBest = bFrom, before = new Map();
    for (let i = aFrom; i < aTo; i++) {
      const now = new Map();
      for (let j = bFrom; j < bTo; j++) {
        if (a[i] !== b[j]) continue;
        const length = (before.get(j - 1) ?? 0) + 1;
        now.set(j, length);
        if (length > size) [size, aBest, bBest] = [length, i - length + 1, j - length + 1];
      }
      before = now;
    }
    if (!size) continue;
    total += size;
    parts.push([aFrom, aBest, bFrom, bBest], [aBest + size, aTo, bBest + size, bTo]);
  }
  return total;
}

// At least as large as what two texts have in common, and soon counted.
function atMost(a, b) {
  const left = new Map();
  for (const letter of b) left.set(letter, (left.get(letter) ?? 0) + 1);
  let total = 0;
  for (const letter of a) {
    const count = left.get(letter) ?? 0;
    left.set(letter, count - 1);
    if (count > 0) total += 1;
  }
  return total;
}

// `difflib.get_close_matches`: the most alike first.
function closest(word, vocabulary, { like, tried }) {
  const found = [];
  for (const known of vocabulary) {
    const length = known.length + word.length;
    if ((2 * Math.min(known.length, word.length)) / length < like || (2 * atMost(known, word)) / length < like) continue;
    const ratio = (2 * inCommon(known, word)) / length;
    if (ratio >= like) found.push([ratio, known]);
  }
  found.sort((x, y) => y[0] - x[0] || (x[1] < y[1] ? 1 : -1));
  return found.slice(0, tried).map(([, known]) => known);
}

// The text as it is, then with its mistakes corrected, the likeliest words first.
export function spellings(text, vocabulary, english, settings) {
  const words = [...new Set((text.match(WORD) ?? []).map((word) => word.toLowerCase()))];
  const mistaken = words.filter((word) => word.length >= settings.shortest && !english.has(word) && !vocabulary.has(word));
  const likely = new Map();
  for (const word of mistaken) {
    const found = closest(word, vocabulary, settings);
    if (found.length) likely.set(word, found);
  }
  const corrected = (choice) =>
    text.replace(WORD, (word) => {
      const found = likely.get(word.toLowerCase());
      return found ? found[Math.min(choice, found.length - 1)] : word;
    });
  const most = Math.max(0, ...[...likely.values()].map((found) => found.length));
  return [text, ...Array.from({ length: most }, (_, choice) => corrected(choice))];
}
