import { createReadStream, createWriteStream } from "node:fs";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { type Pack, pack } from "tar-stream";
import { throwIfAborted } from "../base/abort.ts";
import { toHex } from "../base/bytes.ts";
import { type Digest, digestFromHex } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";
import { createSha256 } from "../codec/digest.ts";

/** A blob's chunk information as the bootstrap layer carries it. */
export interface BlobMeta {
  /** 64 hex digits. */
  readonly blobId: string;
  readonly metaFile: Uint8Array;
}

/** The written layer. */
export interface BootstrapLayer {
  readonly path: string;
  readonly digest: Digest;
  /** Bytes of the compressed file. */
  readonly size: number;
  /** Digest of the uncompressed tar. */
  readonly diffId: Digest;
}

/**
 * Writes the layer that holds the merged bootstrap: a gzipped tar with `image/image.boot` and one
 * `image/HEX.blob.meta` for each blob, all owned by root, all times zero.
 *
 * The same input gives the same bytes under one version of zlib.
 *
 * @throws {CodedError} ERR_TARGET_IO, ERR_ABORTED.
 */
export async function writeBootstrapLayer(
  path: string,
  bootstrap: Uint8Array,
  metas: readonly BlobMeta[],
  signal: AbortSignal,
): Promise<BootstrapLayer> {
  const uncompressed = digestTap();
  const compressed = digestTap((first) => {
    // zlib names its host's system here, which would make the digest depend on where it ran.
    first[GZIP_SYSTEM_OFFSET] = GZIP_SYSTEM_UNKNOWN;
  });
  const tar = pack();
  const gzip = createGzip({ level: 6 });
  throwIfAborted(signal);
  const file = createWriteStream(path, { flags: "wx", mode: 0o600 });
  // The pipeline reports the first error; those of streams that it then destroys are nobody's news.
  for (const stream of [uncompressed.stream, gzip, compressed.stream, file]) stream.on("error", () => {});
  tar.on("error", () => {});
  try {
    await Promise.all([
      pipeline(tar, uncompressed.stream, gzip, compressed.stream, file, { signal }),
      packFiles(tar, bootstrap, metas).catch((error: Error) => tar.destroy(error)),
    ]);
  } catch (cause) {
    throwIfAborted(signal);
    throw new CodedError("ERR_TARGET_IO", `cannot write ${path}`, { cause });
  }
  return { path, digest: compressed.digest(), size: compressed.size(), diffId: uncompressed.digest() };
}

const GZIP_SYSTEM_OFFSET = 9;
const GZIP_SYSTEM_UNKNOWN = 255;

async function packFiles(tar: Pack, bootstrap: Uint8Array, metas: readonly BlobMeta[]): Promise<void> {
  const common = { uid: 0, gid: 0, mtime: new Date(0) };
  const packFile = (name: string, bytes: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      tar.entry(
        { ...common, name, mode: 0o444 },
        Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length),
        (error) => (error ? reject(error) : resolve()),
      );
    });
  tar.entry({ ...common, name: "image", type: "directory", mode: 0o755 });
  await packFile("image/image.boot", bootstrap);
  for (const { blobId, metaFile } of metas) await packFile(`image/${blobId}.blob.meta`, metaFile);
  tar.finalize();
}

interface DigestTap {
  readonly stream: Transform;
  readonly digest: () => Digest;
  readonly size: () => number;
}

/** Passes pieces on and takes their digest; `onFirst` may change the first piece before. */
function digestTap(onFirst?: (piece: Buffer) => void): DigestTap {
  const sha256 = createSha256();
  let size = 0;
  const stream = new Transform({
    transform(piece: Buffer, _encoding, done) {
      if (size === 0) onFirst?.(piece);
      size += piece.length;
      sha256.update(piece);
      done(null, piece);
    },
  });
  return { stream, size: () => size, digest: () => digestFromHex(toHex(sha256.digest())) };
}

/** Opens the bytes of a file in the work directory; may be called again for a retry. */
export function openFile(path: string): AsyncIterable<Uint8Array> {
  return createReadStream(path, { highWaterMark: 2 ** 20 });
}
