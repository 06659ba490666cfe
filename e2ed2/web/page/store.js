// The page's large files: fetched once with progress, kept for offline, unpacked.

export class Store {
  // `base`: the page's address; `onProgress`: (bytes that are here, bytes in all).
  constructor(manifest, base, onProgress = () => {}) {
    this.files = manifest.files;
    this.base = base;
    this.cache = globalThis.caches?.open(cacheName(base, manifest.version)).catch(() => null);
    this.total = Object.values(this.files).reduce((a, b) => a + b);
    this.here = 0;
    this.onProgress = onProgress;
  }

  async bytes(path) {
    const packed = await this.#packed(path);
    // Some hosts unpack what they know to be packed.
    if (packed[0] !== 0x1f || packed[1] !== 0x8b) return packed;
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  async json(path) {
    return JSON.parse(new TextDecoder().decode(await this.bytes(path)));
  }

  async #packed(path) {
    const address = new URL(path, this.base).href, cache = await this.cache;
    const kept = await cache?.match(address);
    if (kept) {
      this.#arrived(this.files[path]);
      return new Uint8Array(await kept.arrayBuffer());
    }
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${path} could not be fetched (${answer.status})`);
    const packed = await this.#received(answer, this.files[path]);
    // Without room to keep it the page works all the same, as long as there is a network.
    await cache?.put(address, new Response(packed)).catch(() => {});
    return packed;
  }

  async #received(answer, expected) {
    const pieces = [], reader = answer.body.getReader();
    let size = 0;
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
      pieces.push(value);
      this.#arrived(Math.min(value.length, expected - Math.min(size, expected)));
      size += value.length;
    }
    return new Uint8Array(await new Blob(pieces).arrayBuffer());
  }

  #arrived(bytes) {
    this.here += bytes;
    this.onProgress(this.here, this.total);
  }
}

// Pages of one origin share their caches: each has its own by its address. sw.js names it the same.
export const cacheName = (base, version) => `e2ed2 ${new URL("./", base).pathname} ${version}`;
