// Pushes the one image of an OCI layout to a registry on loopback, over plain http.
// Usage: node scripts/push-layout.mjs DIR HOST:PORT REPOSITORY TAG
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [layout, host, repository, tag] = process.argv.slice(2);
const base = `http://${host}/v2/${repository}`;
const read = (digest) => readFileSync(join(layout, "blobs", digest.replace(":", "/")));

async function call(method, url, body, headers = {}) {
  const response = await fetch(url, { method, body, headers, redirect: "error" });
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`);
  return response;
}

const [row] = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")).manifests;
const manifest = JSON.parse(read(row.digest));
for (const { digest } of [...manifest.layers, manifest.config]) {
  const started = await call("POST", `${base}/blobs/uploads/`);
  const location = new URL(started.headers.get("location"), base);
  location.searchParams.set("digest", digest);
  await call("PUT", location, read(digest), { "content-type": "application/octet-stream" });
}
await call("PUT", `${base}/manifests/${tag}`, read(row.digest), { "content-type": row.mediaType });
