import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { DirectorySource } from "../backend/directory-source.ts";
import { toHex } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import type { ChunkWorkers } from "../codec/chunk-workers.ts";
import { sha256 } from "../codec/digest.ts";
import type { ServedImage } from "../daemon/served-image.ts";
import type { ImageBlobs, SharedBlobs } from "../daemon/shared-blobs.ts";
import { MAX_CHUNK_COUNT } from "../format/blob/chunk-table.ts";
import { BOOTSTRAP_LIMITS } from "../image/bootstrap-limits.ts";
import { writeDurably } from "../layout/durable-file.ts";
import type { MountRequest } from "../node/control-messages.ts";
import type { SavedImage } from "../node/state-file.ts";
import { composeNodeSource } from "./compose-source.ts";
import { platformOrHost } from "./host-platform.ts";
import type { ImageAccess } from "./image-access.ts";
import { mountableBootstrap } from "./mountable-bootstrap.ts";
import type { NydusImage } from "./nydus-image.ts";
import { type LocatedImage, locateNydusImage, openLocatedImage } from "./open-nydus-image.ts";
import { prefetch } from "./prefetch.ts";

/** Bytes of a `.blob.meta` file that are read back: a header page and the largest chunk information. */
const MAX_META_SIZE = 4096 + 24 * MAX_CHUNK_COUNT;

/** What the images of a node are opened with. */
export interface NodeImageParts {
  readonly access: ImageAccess;
  readonly blobs: SharedBlobs;
  /** Threads that decode and verify chunks, for all images together. */
  readonly workers: ChunkWorkers;
  /** Folder with a folder for every image: its bootstrap and chunk tables. Absent when nothing is kept. */
  readonly directory: string | undefined;
}

/** An image of a node, with what is written down of it. */
export interface OpenNodeImage extends ServedImage {
  readonly blobId: string | undefined;
  readonly blobDirs: readonly string[] | undefined;
}

/**
 * Finds and opens the image of a mount request.
 *
 * @throws {CodedError} as locateNydusImage and openLocatedImage; ERR_OPTION_INVALID when the request names none.
 */
export async function openNodeImage(
  request: MountRequest,
  parts: NodeImageParts,
  signal: AbortSignal,
): Promise<OpenNodeImage> {
  const { image, bootstrap, blobDirs = [], blobId } = request;
  const platform = platformOrHost(request.platform);
  if ((image === undefined) === (bootstrap === undefined)) {
    throw new CodedError("ERR_OPTION_INVALID", "either an image or a bootstrap file must be given");
  }
  if (bootstrap !== undefined) {
    const file = { bootstrap, blobDirs, ...(blobId !== undefined && { blobId }) };
    return serveLocated(await locateNydusImage(file, { signal, platform }), parts, blobDirs);
  }
  const source = parts.access.openSource(image ?? "");
  const located = await locateNydusImage(source, { signal, platform });
  return serveLocated({ ...located, name: image ?? "", resources: source }, parts, undefined);
}

/**
 * Opens an image out of what {@link ServedImage.keep} kept; no network is needed.
 *
 * @throws {CodedError} ERR_STATE_CORRUPT when it is not what was kept, and as openLocatedImage.
 */
export async function reopenNodeImage(saved: SavedImage, parts: NodeImageParts): Promise<OpenNodeImage> {
  const folder = join(parts.directory ?? "", String(saved.number));
  const bootstrapBytes = await readBounded(join(folder, "bootstrap"), BOOTSTRAP_LIMITS.size);
  if (bootstrapBytes === undefined || toHex(sha256(bootstrapBytes)) !== saved.bootstrapDigest) {
    throw new CodedError("ERR_STATE_CORRUPT", `${folder} does not hold the bootstrap of ${saved.name}`);
  }
  const { blobDirs, blobId, name } = saved;
  const directories = blobDirs === undefined ? undefined : new DirectorySource(blobDirs);
  const source = directories === undefined ? parts.access.openSource(name) : undefined;
  const located = {
    name,
    bootstrapBytes,
    blobId,
    source: directories ?? source?.blobs,
    metaFiles: new Map<string, Uint8Array>(),
    selected: undefined,
    imageSource: source,
    resources: directories ?? source,
  } as LocatedImage & { readonly metaFiles: Map<string, Uint8Array> };
  const { outline } = openLocatedImage(located);
  for (const { id } of outline.blobs) {
    // What the image brought, or else what was fetched for the cache: the digests of the bootstrap judge both.
    const meta =
      (await readMetaFile(join(folder, `${id}.blob.meta`))) ??
      (await readMetaFile(join(parts.blobs.directory, `${id}.blob.meta`)));
    if (meta !== undefined) located.metaFiles.set(id, meta);
  }
  return serveLocated(located, parts, blobDirs);
}

/**
 * Opens an image that was found.
 *
 * @param blobDirs Directories of the blobs of a bare image.
 * @throws {CodedError} as openLocatedImage.
 */
export function serveLocated(
  located: LocatedImage,
  parts: NodeImageParts,
  blobDirs: readonly string[] | undefined,
): OpenNodeImage {
  // Shared once and for all: a node holds hundreds of them.
  const image = openLocatedImage({ ...located, bootstrapBytes: shareBytes(located.bootstrapBytes) });
  const { bytes, blobRows, hasChunksInPlace } = mountableBootstrap(image.outline, image.bootstrapBytes);
  const { blobs, network } = composeNodeSource(image, parts.blobs, blobRows, parts.workers);
  return {
    name: image.name,
    blobId: located.blobId,
    blobDirs,
    bootstrapDigest: toHex(sha256(image.bootstrapBytes)),
    bootstrap: shareBytes(bytes),
    hasChunksInPlace,
    blobIds: blobRows.map((row) => image.outline.blobs[row]?.id ?? ""),
    blobs,
    counts: network.counts,
    async keep(number) {
      if (parts.directory !== undefined) await keep(image, join(parts.directory, String(number)));
    },
    async forget(number) {
      if (parts.directory === undefined) return;
      await rm(join(parts.directory, String(number)), { recursive: true, force: true });
    },
    prefetch: (kind, signal) => fetchAhead(kind, image, blobs, blobRows, signal),
    async [Symbol.asyncDispose]() {
      await blobs[Symbol.asyncDispose]();
      await image[Symbol.asyncDispose]();
    },
  };
}

function shareBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer instanceof SharedArrayBuffer) return bytes;
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  return shared;
}

async function fetchAhead(
  kind: "none" | "hints" | "all",
  image: NydusImage,
  blobs: ImageBlobs,
  blobRows: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  await prefetch({ choice: kind }, image, blobs, (row) => blobRows.indexOf(row), signal);
  if (kind !== "all") return;
  // With a record of it the kernel may have the cache file at the next mount.
  for (const row of blobRows.keys()) await (await blobs.open(row, { signal })).verifyWhole(signal);
}

async function keep(image: NydusImage, folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { mode: 0o700 });
  } catch (cause) {
    throw new CodedError("ERR_TARGET_IO", `folder ${folder}`, { cause });
  }
  for (const { id } of image.outline.blobs) {
    const meta = image.metaFiles.get(id);
    if (meta !== undefined) await writeDurably(join(folder, `${id}.blob.meta`), folder, [meta]);
  }
  await writeDurably(join(folder, "bootstrap"), folder, [image.bootstrapBytes]);
}

/**
 * The bytes of a `.blob.meta` file; undefined when it is not there.
 *
 * @throws {CodedError} ERR_STATE_CORRUPT when it is too large, ERR_TARGET_IO.
 */
export function readMetaFile(path: string): Promise<Uint8Array | undefined> {
  return readBounded(path, MAX_META_SIZE);
}

async function readBounded(path: string, limit: number): Promise<Uint8Array | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const { size } = await file.stat();
    if (size > limit) throw new CodedError("ERR_STATE_CORRUPT", `${path} has ${size} bytes`);
    return await file.readFile();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    if (cause instanceof CodedError) throw cause;
    throw new CodedError("ERR_TARGET_IO", path, { cause });
  } finally {
    await file?.close();
  }
}
