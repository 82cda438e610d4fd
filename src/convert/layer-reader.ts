import { type Extract, extract } from "tar-stream";
import { CodedError, isCoded } from "../base/errors.ts";
import type { LayerEntry } from "../image/layer-entry.ts";
import { ByteReader } from "./byte-reader.ts";
import { entryOfMember, isEstargzPath } from "./tar-entry.ts";
import { plainTar, type TarMember } from "./tar-members.ts";
import { expandSparse } from "./tar-sparse.ts";
import type { LayerWarning } from "./xattrs.ts";

/** One entry of a layer with the bytes of its file. */
export interface LayerItem {
  readonly entry: LayerEntry;
  /**
   * Set for files. To be read before the next item is asked for, once or not at all; the pieces must not
   * be changed, and stay valid.
   */
  readonly content: AsyncIterable<Uint8Array> | undefined;
}

export interface LayerReaderOptions {
  /** Told of everything that is left out. Nothing else is ever left out silently. */
  readonly onWarning?: (warning: LayerWarning) => void;
}

/** v7 headers (no magic) are fine, and names are bytes. tar-stream's own types do not list its options. */
const TAR_STREAM_OPTIONS = { allowUnknownFormat: true, filenameEncoding: "latin1" } as Parameters<
  typeof extract
>[0];

/**
 * Reads the entries of an uncompressed OCI layer, in order, as they stream in. Memory does not grow with
 * the layer: the source is read only as fast as items and contents are taken. It is read to its end.
 *
 * tar-stream frames and streams the members; everything that it would mangle (bytes that are not UTF-8,
 * sparse files, numbers and times beyond ustar) is taken out of its way by tar-members.ts.
 *
 * @param layer Uncompressed tar bytes. Its own errors come through unchanged.
 * @throws {CodedError} ERR_LAYER_INVALID, ERR_FEATURE_UNSUPPORTED, ERR_LIMIT_EXCEEDED (tar-limits.ts).
 */
export async function* readLayer(
  layer: AsyncIterable<Uint8Array>,
  options: LayerReaderOptions = {},
): AsyncGenerator<LayerItem, void, undefined> {
  const warn = options.onWarning ?? (() => {});
  const members: TarMember[] = [];
  const reader = new ByteReader(layer);
  const tar = extract(TAR_STREAM_OPTIONS);
  const streams = tar[Symbol.asyncIterator]();
  let failure: unknown;
  const pumped = pump(plainTar(reader, members), tar).catch((error: unknown) => {
    failure = error;
    tar.destroy(error as Error);
  });
  try {
    for (let next = await streams.next(); next.done !== true; next = await streams.next()) {
      const { header } = next.value;
      const member = members.shift();
      if (member === undefined) throw new TypeError("tar-stream found a member that tar-members did not");
      const plain = { name: header.name, linkname: header.linkname ?? "", size: header.size ?? 0 };
      const entry = entryOfMember(member, plain, warn);
      const pieces = (next.value as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
      if (!isEstargzPath(entry.path)) {
        const stored = withoutReturn(pieces);
        const content = member.sparse === undefined ? stored : expandSparse(member.sparse, stored);
        yield { entry, content: entry.type === "file" ? content : undefined };
      }
      // What the caller did not read stands before the next header.
      while ((await pieces.next()).done !== true);
    }
    await pumped;
    if (failure !== undefined) throw failure;
  } catch (error) {
    throw failure ?? (isCoded(error) || error instanceof TypeError ? error : brokenLayer(error));
  } finally {
    tar.destroy(null);
    await pumped;
    await reader.close();
  }
}

async function pump(source: AsyncIterable<Uint8Array>, tar: Extract): Promise<void> {
  for await (const piece of source) {
    if (tar.destroyed) return;
    if (!tar.write(piece)) await drained(tar);
  }
  tar.end(null);
}

function drained(stream: Extract): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    stream.on("drain", done);
    stream.on("close", done);
  });
}

/** The same pieces; leaving the loop early does not destroy the stream, which would take the archive along. */
async function* withoutReturn(pieces: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) yield next.value;
}

function brokenLayer(cause: unknown): CodedError {
  const what = cause instanceof Error ? cause.message : String(cause);
  return new CodedError("ERR_LAYER_INVALID", `layer cannot be read as a tar: ${what}`, { cause });
}
