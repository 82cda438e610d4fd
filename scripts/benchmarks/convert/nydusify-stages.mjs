// What `nydusify convert` does, by hand: pull, each layer through nydus-image, merge, push.
import { createHash } from "node:crypto";
import {
  createReadStream,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { timed } from "../support.mjs";

/** Arguments of nydus-image for one layer, as nydusify gives them. */
export function createArguments(compressor, blob, bootstrap, type = "tar-rafs") {
  return [
    ...["create", "--log-level", "warn", "--prefetch-policy", "none", "--whiteout-spec", "none"],
    ...["--fs-version", "6", "--type", type, "--compressor", compressor, "--features", "blob-toc"],
    ...["--blob", blob, "--bootstrap", bootstrap],
  ];
}

/** Converts `source` (HOST/REPOSITORY:TAG) to `target`; gives what the steps cost together, and the bytes of the blobs. */
export async function convertByStages(source, target, compressor, work) {
  mkdirSync(work, { recursive: true });
  const steps = {};
  const step = (name, command) => {
    const cost = timed(command);
    const known = steps[name] ?? { wallSeconds: 0, cpuSeconds: 0, peakBytes: 0 };
    steps[name] = {
      wallSeconds: known.wallSeconds + cost.wallSeconds,
      cpuSeconds: known.cpuSeconds + cost.cpuSeconds,
      peakBytes: Math.max(known.peakBytes, cost.peakBytes),
    };
  };
  const layout = join(work, "pulled");
  step("pull", ["skopeo", "copy", "-q", "--src-tls-verify=false", `docker://${source}`, `oci:${layout}:x`]);
  const pathOf = (digest) => join(layout, "blobs", digest.replace(":", "/"));
  const [{ digest }] = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")).manifests;
  const manifest = JSON.parse(readFileSync(pathOf(digest), "utf8"));
  const blobs = [];
  const bootstraps = [];
  for (const [index, layer] of manifest.layers.entries()) {
    const [blob, bootstrap] = [join(work, `blob-${index}`), join(work, `bootstrap-${index}`)];
    const create = createArguments(compressor, blob, bootstrap).join(" ");
    step("layers", ["sh", "-c", `gzip -dc ${pathOf(layer.digest)} | nydus-image ${create} /dev/stdin`]);
    blobs.push(blob);
    bootstraps.push(bootstrap);
  }
  const image = join(work, "image");
  mkdirSync(image);
  const merged = ["merge", "--log-level", "warn", "--bootstrap", join(image, "image.boot"), ...bootstraps];
  step("merge", ["nydus-image", ...merged]);
  step("merge", ["sh", "-c", `tar -C ${work} -c image | gzip > ${work}/bootstrap.tar.gz`]);

  // Putting the layout together is not timed: nydusify has the digests when the blobs are written.
  const out = join(work, "out");
  mkdirSync(join(out, "blobs/sha256"), { recursive: true });
  const add = async (path, mediaType) => {
    const hex = await sha256Of(path);
    const { size } = statSync(path);
    renameSync(path, join(out, "blobs/sha256", hex));
    return { mediaType, digest: `sha256:${hex}`, size };
  };
  const addBytes = (bytes, mediaType) => {
    writeFileSync(join(work, "document"), bytes);
    return add(join(work, "document"), mediaType);
  };
  const layers = [];
  for (const blob of blobs) layers.push(await add(blob, "application/vnd.oci.image.layer.v1.tar"));
  layers.push(await add(join(work, "bootstrap.tar.gz"), "application/vnd.oci.image.layer.v1.tar+gzip"));
  const size = layers.reduce((sum, layer) => sum + layer.size, 0);
  const config = await addBytes(readFileSync(pathOf(manifest.config.digest)), manifest.config.mediaType);
  const document = JSON.stringify({ schemaVersion: 2, config, layers });
  const top = await addBytes(document, "application/vnd.oci.image.manifest.v1+json");
  writeFileSync(join(out, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  const row = { ...top, annotations: { "org.opencontainers.image.ref.name": "x" } };
  writeFileSync(join(out, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [row] }));

  step("push", ["skopeo", "copy", "-q", "--dest-tls-verify=false", `oci:${out}:x`, `docker://${target}`]);
  rmSync(work, { recursive: true });
  const all = Object.values(steps);
  return {
    steps,
    size,
    wallSeconds: all.reduce((sum, cost) => sum + cost.wallSeconds, 0),
    cpuSeconds: all.reduce((sum, cost) => sum + cost.cpuSeconds, 0),
    peakBytes: Math.max(...all.map((cost) => cost.peakBytes)),
  };
}

async function sha256Of(path) {
  const sha256 = createHash("sha256");
  for await (const piece of createReadStream(path, { highWaterMark: 2 ** 20 })) sha256.update(piece);
  return sha256.digest("hex");
}
