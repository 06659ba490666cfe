// The settings as text inside a PNG, as `e2ed2.inference.request.png_info` writes them.

const SIGNATURE = 8, HEADER = 25; // bytes, of the file and of its first chunk

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

// An iTXt chunk: uncompressed, of no language.
function chunk(name, text) {
  const body = new TextEncoder().encode(`iTXt${name}\0\0\0\0\0${text}`);
  const bytes = new Uint8Array(body.length + 8), view = new DataView(bytes.buffer);
  view.setUint32(0, body.length - 4);
  bytes.set(body, 4);
  view.setUint32(body.length + 4, crc(body));
  return bytes;
}

export async function withSettings(png, settings) {
  const bytes = new Uint8Array(await png.arrayBuffer()), end = SIGNATURE + HEADER;
  const chunks = Object.entries(settings).map(([name, value]) => chunk(name, String(value)));
  return new Blob([bytes.slice(0, end), ...chunks, bytes.slice(end)], { type: "image/png" });
}
