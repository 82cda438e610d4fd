// OCI layouts that a benchmark makes: of layers that exist, and of layers that are large in one way.
import { createHash } from "node:crypto";
import { createWriteStream, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { pack } from "tar-stream";

const GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";

/** A layout whose one image, `x`, has these layers: `{ digest, size, diffId, path }`. */
export function makeLayout(directory, layers) {
  const blobs = join(directory, "blobs/sha256");
  mkdirSync(blobs, { recursive: true });
  for (const { digest, path } of layers) symlinkSync(path, join(blobs, digest.slice(7)));
  const add = (document, mediaType) => {
    const bytes = JSON.stringify(document);
    const hex = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(blobs, hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const diffIds = layers.map(({ diffId }) => diffId);
  const config = add(
    { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: diffIds } },
    "application/vnd.oci.image.config.v1+json",
  );
  const rows = layers.map(({ digest, size }) => ({ mediaType: GZIP, digest, size }));
  const manifest = add(
    { schemaVersion: 2, config, layers: rows },
    "application/vnd.oci.image.manifest.v1+json",
  );
  const row = { ...manifest, annotations: { "org.opencontainers.image.ref.name": "x" } };
  writeFileSync(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(directory, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [row] }));
  return `oci:${directory}:x`;
}

/** A gzipped tar with files of these sizes; no chunk repeats, and everything compresses well. */
export async function makeLayer(path, prefix, sizes) {
  const tar = pack();
  const [uncompressed, compressed] = [createHash("sha256"), createHash("sha256")];
  let size = 0;
  const writing = pipeline(
    tar,
    async function* (pieces) {
      for await (const piece of pieces) {
        uncompressed.update(piece);
        yield piece;
      }
    },
    createGzip({ level: 1 }),
    async function* (pieces) {
      for await (const piece of pieces) {
        compressed.update(piece);
        size += piece.length;
        yield piece;
      }
    },
    createWriteStream(path),
  );
  for (const [index, fileSize] of sizes.entries()) {
    const entry = tar.entry({ name: `${prefix}/${index % 100}/${index}`, size: fileSize });
    await pipeline(Readable.from(contentOf(`${prefix}/${index}`, fileSize)), entry);
  }
  tar.finalize();
  await writing;
  const digest = `sha256:${compressed.digest("hex")}`;
  return { digest, size, diffId: `sha256:${uncompressed.digest("hex")}`, path };
}

const PIECE = Buffer.from("a line of a text that compresses to next to nothing\n".repeat(20_000)).subarray(
  0,
  2 ** 20,
);

function* contentOf(name, size) {
  for (let offset = 0; offset < size; offset += PIECE.length) {
    const piece = Buffer.from(PIECE.subarray(0, Math.min(PIECE.length, size - offset)));
    piece.write(`${name} at ${offset} `);
    yield piece;
  }
}
