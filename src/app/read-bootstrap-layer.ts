import type { ByteString } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { decompressLayer } from "../codec/layer-stream.ts";
import { readLayer } from "../convert/layer-reader.ts";
import { BOOTSTRAP_LIMITS } from "../image/bootstrap-limits.ts";

/** What the bootstrap layer of an image holds. */
export interface BootstrapLayerFiles {
  readonly bootstrap: Uint8Array;
  /** By blob id: chunk information, as blob-meta-file.ts reads it. Not checked yet. */
  readonly metaFiles: ReadonlyMap<string, Uint8Array>;
}

/** Bytes of all files of the layer that are kept. */
const MAX_KEPT_SIZE = BOOTSTRAP_LIMITS.size;
/** Files in the layer; real ones have the bootstrap and one for each blob. */
const MAX_FILES = 4096;
/** Where the bootstrap stands: today, and as the first tools wrote it. */
const BOOTSTRAP_PATHS: readonly ByteString[] = ["image/image.boot", "image.boot"];
const META_PATH = /^image\/([0-9a-f]{64})\.blob\.meta$/;

/**
 * Reads the bootstrap layer of an image, a tar in any compression.
 *
 * @param layer The stored bytes; read to their end, so that whoever verifies them sees all.
 * @param what Names the layer in messages.
 * @throws {CodedError} ERR_IMAGE_INVALID when it holds no bootstrap, ERR_LIMIT_EXCEEDED when it holds more
 *   than any image needs, ERR_LAYER_INVALID when it is no tar, and what `layer` throws.
 */
export async function readBootstrapLayer(
  layer: AsyncIterable<Uint8Array>,
  what: string,
): Promise<BootstrapLayerFiles> {
  let bootstrap: Uint8Array | undefined;
  const metaFiles = new Map<string, Uint8Array>();
  let keptSize = 0;
  let files = 0;
  for await (const { entry, content } of readLayer(decompressLayer(layer))) {
    if (++files > MAX_FILES) {
      throw new CodedError("ERR_LIMIT_EXCEEDED", `${what} has over ${MAX_FILES} files`);
    }
    if (entry.type !== "file" || content === undefined) continue;
    const blobId = META_PATH.exec(entry.path)?.[1];
    const isBootstrap = BOOTSTRAP_PATHS.includes(entry.path);
    if (!isBootstrap && blobId === undefined) continue;
    keptSize += entry.size;
    if (keptSize > MAX_KEPT_SIZE) {
      throw new CodedError("ERR_LIMIT_EXCEEDED", `${what} has files of over ${MAX_KEPT_SIZE} bytes`);
    }
    const bytes = await collect(content, entry.size);
    if (blobId !== undefined) metaFiles.set(blobId, bytes);
    else bootstrap = bytes;
  }
  if (bootstrap === undefined) throw new CodedError("ERR_IMAGE_INVALID", `${what} holds no image/image.boot`);
  return { bootstrap, metaFiles };
}

async function collect(content: AsyncIterable<Uint8Array>, size: number): Promise<Uint8Array> {
  // Grown with the bytes that come, not with what the header promises.
  const parts: Uint8Array[] = [];
  for await (const part of content) parts.push(part);
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
