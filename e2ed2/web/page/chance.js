// Chance, to the last bit as in Python: torch.randn on the CPU, and random.Random.choice with a hashed seed.

const SIZE = 624, SHIFT = 397;
const TURN = Math.fround(2 * Math.PI);

// MT19937 (Matsumoto and Nishimura 1998).
export class MersenneTwister {
  constructor(seed) {
    this.state = new Uint32Array(SIZE);
    this.next = SIZE;
    if (Array.isArray(seed)) this.#seedWith(seed);
    else this.#seed(seed);
  }

  #seed(seed) {
    const state = this.state;
    state[0] = seed;
    for (let i = 1; i < SIZE; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  }

  #seedWith(key) {
    this.#seed(19650218);
    const state = this.state;
    let i = 1, j = 0;
    const forward = () => {
      i += 1;
      if (i >= SIZE) { state[0] = state[SIZE - 1]; i = 1; }
    };
    const mixed = (factor) => state[i] ^ Math.imul(state[i - 1] ^ (state[i - 1] >>> 30), factor);
    for (let k = Math.max(SIZE, key.length); k; k--) {
      state[i] = mixed(1664525) + key[j] + j;
      forward();
      j = (j + 1) % key.length;
    }
    for (let k = SIZE - 1; k; k--) {
      state[i] = mixed(1566083941) - i;
      forward();
    }
    state[0] = 0x80000000;
  }

  #twist() {
    const state = this.state;
    for (let i = 0; i < SIZE; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % SIZE] & 0x7fffffff);
      state[i] = state[(i + SHIFT) % SIZE] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.next = 0;
  }

  // A whole number from 0 to 2^32 - 1.
  draw() {
    if (this.next >= SIZE) this.#twist();
    let y = this.state[this.next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }
}

// What torch.randn(count, generator=torch.Generator().manual_seed(seed)) gives, up to the last digit of a float:
// Box and Muller's, eight pairs at a time. From 16 numbers on; fewer torch draws otherwise.
export function normal(seed, count) {
  if (count < 16) throw new RangeError("at least 16 numbers");
  const twister = new MersenneTwister(seed);
  const out = new Float32Array(count);
  const uniform = () => (twister.draw() & 0xffffff) / 0x1000000;
  const pairUp = (start) => {
    for (let i = start; i < start + 8; i++) {
      const radius = Math.fround(Math.sqrt(Math.fround(-2 * Math.fround(Math.log(1 - out[i])))));
      const angle = Math.fround(TURN * out[i + 8]);
      out[i] = radius * Math.cos(angle);
      out[i + 8] = radius * Math.sin(angle);
    }
  };
  for (let i = 0; i < count; i++) out[i] = uniform();
  for (let start = 0; start + 16 <= count; start += 16) pairUp(start);
  if (count % 16) {
    for (let i = count - 16; i < count; i++) out[i] = uniform();
    pairUp(count - 16);
  }
  return out;
}

const WORD = (1n << 64n) - 1n;
const START = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
];
const ORDER = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4], [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13], [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11], [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5], [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
const MIXED = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
];

// BLAKE2b (RFC 7693) of a text of at most 128 bytes, its first 8 bytes.
function blake2b(text) {
  const message = new Uint8Array(128), bytes = new TextEncoder().encode(text);
  message.set(bytes);
  const view = new DataView(message.buffer);
  const words = Array.from({ length: 16 }, (_, i) => view.getBigUint64(8 * i, true));
  const first = [...START];
  first[0] ^= 0x01010000n ^ 8n;
  const v = [...first, ...START];
  v[12] ^= BigInt(bytes.length);
  v[14] ^= WORD;
  const turned = (x, by) => ((x >> by) | (x << (64n - by))) & WORD;
  for (let round = 0; round < 12; round++) {
    MIXED.forEach(([a, b, c, d], i) => {
      const order = ORDER[round % 10];
      v[a] = (v[a] + v[b] + words[order[2 * i]]) & WORD;
      v[d] = turned(v[d] ^ v[a], 32n);
      v[c] = (v[c] + v[d]) & WORD;
      v[b] = turned(v[b] ^ v[c], 24n);
      v[a] = (v[a] + v[b] + words[order[2 * i + 1]]) & WORD;
      v[d] = turned(v[d] ^ v[a], 16n);
      v[c] = (v[c] + v[d]) & WORD;
      v[b] = turned(v[b] ^ v[c], 63n);
    });
  }
  const digest = new DataView(new ArrayBuffer(8));
  digest.setBigUint64(0, first[0] ^ v[0] ^ v[8], true);
  return digest.getBigUint64(0, false);
}

// `e2ed2.seeds.number`.
export const number = (seed, purpose) => blake2b(`${seed}/${purpose}`) >> 1n;

// `random.Random(number(seed, purpose)).choice(things)`.
export function chosen(seed, purpose, things) {
  const key = number(seed, purpose), high = Number(key >> 32n);
  const twister = new MersenneTwister(high ? [Number(key & 0xffffffffn), high] : [Number(key)]);
  const bits = 32 - Math.clz32(things.length);
  let place = things.length;
  while (place >= things.length) place = twister.draw() >>> (32 - bits);
  return things[place];
}
