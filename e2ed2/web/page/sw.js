// Offline, once loaded: the page's own files are kept here, the model's by store.js, which names the cache the same.

const OURS = `e2ed2 ${new URL("./", location).pathname} `;
const CACHE = OURS + "VERSION"; // written by the export, as is the list
const SHELL = ["SHELL"];

addEventListener("install", (event) => {
  const fresh = SHELL.map((path) => new Request(path, { cache: "no-cache" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(fresh)));
});

addEventListener("activate", (event) => {
  const tidy = async () => {
    const old = (await caches.keys()).filter((name) => name.startsWith(OURS) && name !== CACHE);
    await Promise.all(old.map((name) => caches.delete(name)));
    await clients.claim();
  };
  event.waitUntil(tidy());
});

addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  const kept = async () => {
    const cache = await caches.open(CACHE);
    return (await cache.match(event.request, { ignoreSearch: true })) ?? fetch(event.request);
  };
  event.respondWith(kept());
});
