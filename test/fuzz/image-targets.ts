import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { chunkTableOfMeta } from "#src/app/blob-meta.js";
import { equalBytes, viewOf } from "#src/base/bytes.js";
import { CodedError } from "#src/base/errors.js";
import { compressChunk } from "#src/codec/compress.js";
import { decompressChunk } from "#src/codec/decompress.js";
import { digestChunk } from "#src/codec/digest.js";
import { decodeBlobMetaFile, encodeBlobMetaFile } from "#src/format/blob/blob-meta-file.js";
import { findBlobSections } from "#src/format/blob/blob-sections.js";
import { decodeChunkTable, encodeChunkTable } from "#src/format/blob/chunk-information.js";
import { decodeChunkMap, encodeChunkMap } from "#src/format/blob/chunk-map.js";
import { decodeToc, encodeToc } from "#src/format/blob/toc.js";
import { decodeXattrs, encodeXattrs, sizeXattrs } from "#src/format/erofs/xattr.js";
import { PLACEHOLDER_BLOB_ID } from "#src/format/rafs/blob-record.js";
import { readBootstrap } from "#src/image/bootstrap-reader.js";
import { isBootstrapV5 } from "#src/image/bootstrap-v5-tables.js";
import { BootstrapView } from "#src/image/bootstrap-view.js";
import { writeBootstrap } from "#src/image/bootstrap-writer.js";
import { checkBootstrap } from "#src/image/check.js";
import { type Directory, type Image, listTree } from "#src/image/tree.js";
import { Filesystem } from "#src/mount/filesystem.js";
import { readFixture } from "../support/fixtures.ts";
import { goldenBootstrap, listGoldenBlobs } from "../support/golden-blobs.ts";
import { randomImage } from "../support/random-image.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { once } from "./once.ts";

const GOLDEN = "made/v6-zstd-blake3";
const goldenBlob = once(() => {
  const [blob] = readBootstrap(goldenBootstrap(GOLDEN).bytes).blobs;
  if (blob === undefined) throw new Error("no blob");
  return blob;
});
const goldenMeta = once(() => readFixture("golden", GOLDEN, "cache", `${goldenBlob().id}.blob.meta`));

function decodeBootstrap(bytes: Uint8Array): void {
  const errors = checkBootstrap(bytes, { digest: digestChunk }).filter(
    ({ severity }) => severity === "error",
  );
  try {
    const bootstrap = readBootstrap(bytes, { digest: digestChunk });
    listTree(bootstrap.root);
    // A bootstrap inside a blob does not know the id of that blob, one without chunk records not the chunks' digests.
    const isWhole =
      bootstrap.blobs.every(({ id }) => id !== PLACEHOLDER_BLOB_ID) && hasRecords(bootstrap.root);
    if (errors.length === 0 && bootstrap.fsVersion === 6 && isWhole) rewrite(bootstrap);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    if (errors.length === 0) throw new Error(`the check found nothing, the reader says: ${error.message}`);
  }
  if (!isBootstrapV5(bytes)) walk(bytes, errors.length === 0);
  if (errors.length > 0) throw new CodedError("ERR_BOOTSTRAP_CORRUPT", errors[0]?.message ?? "");
}

/** True when every chunk has what a chunk record says. */
function hasRecords(directory: Directory): boolean {
  return [...directory.children.values()].every((inode) => {
    if (inode.type === "dir") return hasRecords(inode);
    return inode.type !== "file" || inode.chunks.every(({ digest }) => digest !== undefined);
  });
}

/** What an image is read as can be written and read again. */
function rewrite(image: Image): void {
  const again = readBootstrap(writeBootstrap(image).bytes);
  if (listTree(again.root).length !== listTree(image.root).length)
    throw new Error("written with other names");
}

/** Chunks of the golden map: 70 bytes of bits. */
const MAPPED_CHUNKS = 560;

/** Every question that a mount may ask. */
function walk(bytes: Uint8Array, isClean: boolean): void {
  const refuse = (error: unknown): void => {
    if (!(error instanceof CodedError)) throw error;
    if (isClean) throw new Error(`the check found nothing, the mount says: ${error.message}`);
  };
  try {
    const filesystem = new Filesystem(new BootstrapView(bytes));
    const pending = [filesystem.rootNid];
    const seen = new Set(pending);
    filesystem.size();
    for (let nid = pending.pop(); nid !== undefined && seen.size < 5000; nid = pending.pop()) {
      try {
        const { mode, size } = filesystem.attributes(nid);
        filesystem.xattrs(nid);
        const type = mode >> 12;
        if (type === 10) filesystem.readlink(nid);
        if (type === 8) filesystem.plan(nid, Math.max(0, size - 2 ** 20), 2 ** 20);
        if (type !== 4) continue;
        filesystem.lookup(nid, "dir");
        for (const { nid: child } of filesystem.entriesFrom(nid, 0)) {
          if (!seen.has(child)) pending.push(child);
          seen.add(child);
        }
      } catch (error) {
        refuse(error);
      }
    }
  } catch (error) {
    refuse(error);
  }
}

const generated = (): Uint8Array[] =>
  fc.sample(randomImage, { seed: 1, numRuns: 12 }).map((image) => writeBootstrap(image).bytes);

/** Gives tar trailers the checksum of their bytes. */
function repairTrailers(bytes: Uint8Array): void {
  for (let start = 0; start + 512 <= bytes.length; start++) {
    if (bytes[start + 257] !== 0x75 || bytes[start + 258] !== 0x73 || bytes[start + 259] !== 0x74) continue;
    const header = Buffer.from(bytes.buffer, bytes.byteOffset + start, 512);
    header.fill(" ", 148, 156);
    let sum = 0;
    for (const byte of header) sum += byte;
    header.write(`${sum.toString(8).padStart(7, "0")}\0`, 148, "latin1");
    start += 511;
  }
}

/** The table of each golden blob that has one, or the end of its file. */
const tails = (): Uint8Array[] =>
  listGoldenBlobs()
    .filter(({ bytes }) => bytes.length < 2 ** 19)
    .slice(0, 12)
    .map(({ bytes }) => bytes.subarray(-40_000));

function roundTrip(decoded: Uint8Array, encoded: Uint8Array): void {
  if (!equalBytes(decoded, encoded)) throw new Error("was accepted and is written as something else");
}

/** An array of 16 or 24 bytes a chunk: the shape of its blob comes first. */
const chunkInformation = (name: string, features: number): FuzzTarget => ({
  name,
  corpus: () => {
    const { chunkInformation: array } = decodeBlobMetaFile(goldenMeta());
    const table = decodeChunkTable(array, { ...goldenBlob(), storedEnd: goldenBlob().storedSize });
    return [encodeChunkTable(table, features)];
  },
  decode: (bytes) => {
    const chunkCount = Math.floor(bytes.length / (features === 1 ? 16 : 24));
    const { storedSize, decodedSize, compressor } = goldenBlob();
    const shape = { features, compressor, chunkCount, storedEnd: storedSize, decodedSize };
    const table = decodeChunkTable(bytes, shape);
    const again = decodeChunkTable(encodeChunkTable(table, features), shape);
    roundTrip(new Uint8Array(again.storedOffsets.buffer), new Uint8Array(table.storedOffsets.buffer));
  },
});

const chunkTarget = (compressor: "zstd" | "lz4_block" | "gzip"): FuzzTarget => ({
  name: `chunk-${compressor}`,
  corpus: () =>
    [300, 5000, 70_000].map((size) =>
      compressor === "gzip"
        ? new Uint8Array(gzipSync(Buffer.alloc(size, "compress me, please ")))
        : Uint8Array.from(compressChunk(compressor, Buffer.alloc(size, "compress me, please ")).bytes),
    ),
  decode: (bytes) => decompressChunk(compressor, bytes, bytes.length > 0 ? 5000 : 0),
});

/** Decoders of bootstraps, blobs and cache files. */
export const IMAGE_TARGETS: readonly FuzzTarget[] = [
  {
    name: "bootstrap-v6",
    corpus: () => [
      ...["nydusify/native", "nydusify/lz4-64k", "made/v6-inline-toc"].map(
        (name) => goldenBootstrap(name).bytes,
      ),
      ...generated(),
    ],
    decode: decodeBootstrap,
  },
  {
    name: "bootstrap-v5",
    corpus: () => [goldenBootstrap("nydusify/v5").bytes],
    decode: decodeBootstrap,
  },
  chunkInformation("chunk-information-v1", 0x1),
  chunkInformation("chunk-information-v2", 0x5),
  {
    name: "blob-meta",
    corpus: () => [goldenMeta()],
    decode: (bytes) => {
      const file = decodeBlobMetaFile(bytes);
      decodeBlobMetaFile(encodeBlobMetaFile(file));
      chunkTableOfMeta(bytes, goldenBlob());
    },
  },
  {
    name: "toc",
    corpus: () => {
      const digest = new Uint8Array(32).fill(7);
      const row = { compressor: "zstd", digest, storedOffset: 0, storedSize: 100, decodedSize: 200 } as const;
      return [
        encodeToc(["image.blob", "image.boot", "blob.meta"].map((name) => ({ ...row, name }))),
        encodeToc([{ ...row, name: "rafs.blob.toc" }]),
      ];
    },
    decode: (bytes) => {
      const rows = decodeToc(bytes);
      if (decodeToc(encodeToc(rows)).length !== rows.length) throw new Error("another number of rows");
    },
  },
  {
    name: "blob-sections",
    corpus: tails,
    repair: repairTrailers,
    decode: (bytes) =>
      findBlobSections(bytes.length, async (offset, length) => {
        if (offset < 0 || offset + length > bytes.length) throw new Error(`reads ${offset}+${length}`);
        return bytes.subarray(offset, offset + length);
      }),
  },
  {
    name: "chunk-map",
    corpus: () => {
      const { id } = goldenBlob();
      return [readFixture("golden", GOLDEN, "cache", `${id}.blob.data.chunk_map`), new Uint8Array(4166)];
    },
    decode: (bytes) => encodeChunkMap(decodeChunkMap(bytes, MAPPED_CHUNKS)),
  },
  {
    name: "xattrs",
    corpus: () =>
      [
        [["user.key", "value"]],
        [
          ["security.capability", "\x01\0\0\x02"],
          ["trusted.overlay.opaque", "y"],
          ["system.posix_acl_access", "acl"],
        ],
      ].map((pairs) => {
        const xattrs = new Map(pairs.map(([name = "", value]) => [name, Buffer.from(value ?? "", "latin1")]));
        const bytes = new Uint8Array(sizeXattrs(xattrs));
        encodeXattrs(viewOf(bytes), 0, xattrs);
        return bytes;
      }),
    decode: (bytes) => {
      let xattrs: Map<string, Uint8Array>;
      try {
        xattrs = decodeXattrs(viewOf(bytes), 0, bytes.length);
      } catch (error) {
        // As all record codecs it knows no context; its caller says which inode.
        if (error instanceof RangeError) throw new CodedError("ERR_BOOTSTRAP_CORRUPT", error.message);
        throw error;
      }
      sizeXattrs(xattrs);
    },
  },
  chunkTarget("zstd"),
  chunkTarget("lz4_block"),
  chunkTarget("gzip"),
];
