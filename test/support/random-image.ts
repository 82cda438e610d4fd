import fc from "fast-check";
import { toHex } from "#src/base/bytes.js";
import { BLOB_FEATURES } from "#src/format/rafs/features.js";
import type { Blob, Chunk } from "#src/image/chunk.js";
import type { Attributes, Directory, Image, Inode } from "#src/image/tree.js";

const CHUNK_SIZE = 4096;

/** First chunk index of each blob: the last one crosses from 16 to 24 bits. */
const FIRST_INDEXES = [0, 7, 65_530];

const byte = (minimum: number, maximum: number): fc.Arbitrary<string> =>
  fc.integer({ min: minimum, max: maximum }).map((code) => String.fromCharCode(code));

const name = fc
  .oneof(
    { weight: 4, arbitrary: fc.string({ unit: byte(0x21, 0x7e), minLength: 1, maxLength: 12 }) },
    { weight: 2, arbitrary: fc.string({ unit: byte(0x01, 0xff), minLength: 1, maxLength: 255 }) },
    fc.constantFrom("-a", "!", "..a", ".a", "...", "+", "\xff", "\xc3\x28", "x".repeat(255)),
  )
  .filter((text) => !text.includes("/") && text !== "." && text !== "..");

const value = fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ minLength: 4000, maxLength: 4100 }));

const xattrName = fc.oneof(
  fc.constantFrom("system.posix_acl_access", "system.posix_acl_default", "security.capability"),
  fc
    .tuple(
      fc.constantFrom("user.", "trusted.", "security."),
      fc.string({ unit: byte(0x01, 0xff), minLength: 1, maxLength: 40 }),
    )
    .map(([prefix, suffix]) => prefix + suffix),
);

const attributes: fc.Arbitrary<Attributes> = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.oneof(fc.constantFrom(0, 1000, 65_536, 0xffff_ffff), fc.nat()),
  gid: fc.oneof(fc.constantFrom(0, 1000, 65_536, 0xffff_ffff), fc.nat()),
  mtime: fc.record({
    seconds: fc.oneof(fc.constantFrom(0, -1, -(2 ** 40), 2 ** 40), fc.integer()),
    nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
  }),
  xattrs: fc
    .oneof(
      { weight: 4, arbitrary: fc.constant([]) },
      fc.array(fc.tuple(xattrName, value), { minLength: 1, maxLength: 4 }),
    )
    .map((pairs) => new Map(pairs)),
});

const target = fc.oneof(
  fc.string({ unit: byte(0x01, 0xff), minLength: 1, maxLength: 60 }),
  fc.integer({ min: 3900, max: 4095 }).map((length) => "t".repeat(length)),
);

/** What one step adds below one of the directories there are. */
const step = fc.record({
  parent: fc.nat(),
  name,
  attributes,
  kind: fc.constantFrom(
    "file",
    "file",
    "again",
    "dir",
    "dir",
    "symlink",
    "char",
    "block",
    "fifo",
    "socket",
    "link",
  ),
  target,
  device: fc.record({
    major: fc.integer({ min: 0, max: 4095 }),
    minor: fc.integer({ min: 0, max: 1_048_575 }),
  }),
  blobIndex: fc.integer({ min: 0, max: FIRST_INDEXES.length - 1 }),
  size: fc.oneof(fc.constantFrom(0, 1, 4095, 4096, 4097, 40_960), fc.nat(50_000)),
});

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/**
 * Random images: hard links of every type, devices, odd and long names, xattrs, shared chunks and several blobs, some
 * of them unused.
 */
export const randomImage: fc.Arbitrary<Image> = fc
  .tuple(attributes, fc.array(step, { maxLength: 60 }))
  .map(([root, steps]) => buildImage(root, steps));

function buildImage(rootAttributes: Attributes, steps: readonly Step[]): Image {
  const nextIndexes = [...FIRST_INDEXES];
  const childrenOf: Map<string, Inode>[] = [new Map()];
  const root: Directory = { ...rootAttributes, type: "dir", children: childrenOf[0] ?? new Map() };
  const others: Inode[] = [];
  for (const next of steps) {
    const children = childrenOf[next.parent % childrenOf.length];
    if (children === undefined || children.has(next.name)) continue;
    const inode = buildInode(next, others, nextIndexes);
    children.set(next.name, inode);
    if (inode.type === "dir") childrenOf.push(inode.children as Map<string, Inode>);
    else others.push(inode);
  }
  return {
    root,
    blobs: nextIndexes.map(buildBlob),
    chunkSize: CHUNK_SIZE,
    compressor: "zstd",
    digester: "blake3",
    prefetch: [],
  };
}

function buildInode(next: Step, others: readonly Inode[], nextIndexes: number[]): Inode {
  const earlier = others[next.size % Math.max(others.length, 1)];
  switch (next.kind) {
    case "dir":
      return { ...next.attributes, type: "dir", children: new Map() };
    case "symlink":
      return { ...next.attributes, type: "symlink", target: next.target };
    case "char":
    case "block":
      return { ...next.attributes, type: next.kind, ...next.device };
    case "fifo":
    case "socket":
      return { ...next.attributes, type: next.kind };
    case "link":
      if (earlier !== undefined) return earlier;
      break;
    case "again":
      // The same bytes in another file.
      if (earlier?.type === "file") return { ...earlier, ...next.attributes };
      break;
    case "file":
      break;
  }
  const { size, blobIndex } = next;
  const chunks = Array.from({ length: Math.ceil(size / CHUNK_SIZE) }, (_, k): Chunk => {
    const index = nextIndexes[blobIndex] ?? 0;
    nextIndexes[blobIndex] = index + 1;
    return buildChunk(blobIndex, index, Math.min(CHUNK_SIZE, size - k * CHUNK_SIZE));
  });
  return { ...next.attributes, type: "file", size, chunks };
}

/** A chunk whose every field follows from its place, and is different for every place. */
export function buildChunk(blobIndex: number, index: number, decodedSize: number): Chunk {
  const digest = new Uint8Array(32);
  new DataView(digest.buffer).setUint32(0, Math.imul(index + 1, 0x9e37_79b1));
  new DataView(digest.buffer).setUint32(4, index);
  digest[8] = blobIndex;
  return {
    blobIndex,
    index,
    digest,
    decodedOffset: index * CHUNK_SIZE,
    decodedSize,
    storedOffset: index * 100,
    storedSize: index % 3 === 0 ? decodedSize : Math.min(decodedSize, 100),
    crc32c: index % 2 === 0 ? undefined : index,
  };
}

/** A blob of `chunkCount` chunks of 4096 bytes, as the converter lays it out. */
export function buildBlob(chunkCount: number, position: number): Blob {
  const id = new Uint8Array(32).fill(0x11 * (position + 1));
  return {
    id: toHex(id),
    features:
      BLOB_FEATURES.ALIGNED |
      BLOB_FEATURES.HAS_TAR_HEADER |
      BLOB_FEATURES.HAS_TOC |
      BLOB_FEATURES.CAP_TAR_TOC,
    compressor: "zstd",
    digester: "blake3",
    chunkSize: CHUNK_SIZE,
    chunkCount,
    storedSize: chunkCount * 100 + 10_000,
    decodedSize: chunkCount * CHUNK_SIZE,
    chunkInformation: {
      compressor: "zstd",
      offset: chunkCount * 100 + 512,
      storedSize: 10,
      decodedSize: chunkCount * 16,
    },
    tocDigest: id,
    tocSize: 1024,
  };
}
