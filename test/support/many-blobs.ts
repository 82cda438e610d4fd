import { digestChunk } from "#src/codec/digest.js";
import { ChunkTable } from "#src/format/blob/chunk-table.js";
import { writeBootstrap } from "#src/image/bootstrap-writer.js";
import type { Blob } from "#src/image/chunk.js";
import type { Attributes, Inode } from "#src/image/tree.js";
import { ImageChunks } from "#src/mount/image-chunks.js";
import { CachedBlobs } from "#src/store/cached-blobs.js";
import type { CacheableBlob } from "#src/store/chunk-cache.js";
import { sharedCopy } from "./mounted-image.ts";
import { buildBlob, buildChunk } from "./random-image.ts";

const SIZE = 4096;
const ATTRIBUTES: Attributes = {
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { seconds: 1, nanoseconds: 0 },
  xattrs: new Map(),
};

/** What the file that lies in blob `row` holds: its row, as often as it fits. */
export function contentOf(row: number): Buffer {
  return Buffer.alloc(SIZE, `${row},`);
}

/** An image with a file of one chunk in each of `count` blobs, named by their rows. */
export function imageOfManyBlobs(count: number, cacheFolder: string) {
  const rows = Array.from({ length: count }, (_, row) => row);
  const idOf = (row: number): string => (row + 1).toString(16).padStart(64, "0");
  const digestOf = (row: number): Uint8Array => digestChunk("blake3", contentOf(row));
  const children = rows.map((row): [string, Inode] => {
    const chunk = { ...buildChunk(row, 0, SIZE), digest: digestOf(row) };
    return [String(row), { ...ATTRIBUTES, type: "file", size: SIZE, chunks: [chunk] }];
  });
  const { bytes, blobs } = writeBootstrap({
    root: { ...ATTRIBUTES, type: "dir", children: new Map(children) },
    blobs: rows.map((row): Blob => {
      const chunkInformation = {
        compressor: "none",
        offset: 2 * SIZE,
        storedSize: 16,
        decodedSize: 16,
      } as const;
      return {
        ...buildBlob(1, 0),
        compressor: "none",
        id: idOf(row),
        storedSize: 8 * SIZE,
        chunkInformation,
      };
    }),
    chunkSize: SIZE,
    compressor: "none",
    digester: "blake3",
    prefetch: [],
  });
  const cached = new CachedBlobs({
    async load(index): Promise<CacheableBlob> {
      const id = blobs[index]?.id ?? "";
      const table = new ChunkTable(1);
      table.decodedSizes[0] = SIZE;
      const digests = digestOf(Number.parseInt(id, 16) - 1);
      return { id, compressor: "none", digester: "blake3", table, digests, decodedSize: SIZE };
    },
    source: {
      name: "memory",
      fetch: async ({ id }, _run, _options, sink) => sink(0, contentOf(Number.parseInt(id, 16) - 1)),
    },
    directory: cacheFolder,
  });
  return {
    name: `${count} blobs`,
    bootstrap: sharedCopy(bytes),
    blobs: cached,
    chunks: new ImageChunks(cached, count),
  };
}
