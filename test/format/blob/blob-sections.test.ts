import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { concatBytes } from "#src/base/bytes.js";
import { isCoded } from "#src/base/errors.js";
import { type BlobSections, findBlobSections, SECTION_NAMES } from "#src/format/blob/blob-sections.js";
import { encodeChunkInformationHeader } from "#src/format/blob/chunk-information-header.js";
import { encodeTarTrailer } from "#src/format/blob/tar-trailer.js";
import { encodeToc, type TocRow } from "#src/format/blob/toc.js";

const CHUNKS = new Uint8Array(1000).fill(1);
const CI = new Uint8Array(32).fill(2);
const DIGESTS = new Uint8Array(64).fill(3);
const BOOTSTRAP = new Uint8Array(5000).fill(4);

function header(offset: number): Uint8Array {
  return encodeChunkInformationHeader({
    features: 1,
    compressor: "none",
    chunkCount: 2,
    offset,
    storedSize: CI.length,
    decodedSize: CI.length,
    contextOffset: 0,
    contextSize: 0,
    contextCount: 0,
  });
}

function trailer(name: string, size: number): Uint8Array {
  return encodeTarTrailer({ name, size });
}

function row(name: string, storedOffset: number, storedSize: number): TocRow {
  const digest = new Uint8Array(32);
  return { name, compressor: "none", digest, storedOffset, storedSize, decodedSize: storedSize };
}

function toc(rows: readonly TocRow[]): Uint8Array {
  const bytes = encodeToc(rows);
  return concatBytes([bytes, trailer(SECTION_NAMES.TOC, bytes.length)]);
}

const META = concatBytes([CI, header(1512), trailer(SECTION_NAMES.CHUNK_INFORMATION, CI.length + 4096)]);
const CHUNKS_AND_TRAILER = concatBytes([CHUNKS, trailer(SECTION_NAMES.CHUNKS, CHUNKS.length)]);
const RAW_BOOTSTRAP = concatBytes([BOOTSTRAP, trailer(SECTION_NAMES.BOOTSTRAP, BOOTSTRAP.length)]);

/** The packings a blob may have, by what is in them. */
const PACKINGS = {
  "chunks, CI, header": concatBytes([CHUNKS, CI, header(1000)]),
  "trailers without table of contents": concatBytes([CHUNKS_AND_TRAILER, META, RAW_BOOTSTRAP]),
  "chunks and bootstrap of v5": concatBytes([CHUNKS_AND_TRAILER, RAW_BOOTSTRAP]),
  "chunks only": CHUNKS,
  "bootstrap only": concatBytes([RAW_BOOTSTRAP, toc([row(SECTION_NAMES.BOOTSTRAP, 0, BOOTSTRAP.length)])]),
  "table of contents": concatBytes([
    CHUNKS_AND_TRAILER,
    META,
    DIGESTS,
    trailer(SECTION_NAMES.DIGESTS, DIGESTS.length),
    toc([
      // As builders before 2.2 wrote it: the offset of the chunks is their end.
      row(SECTION_NAMES.CHUNKS, CHUNKS.length, CHUNKS.length),
      row(SECTION_NAMES.CHUNK_INFORMATION, 1512, CI.length),
      row(SECTION_NAMES.CHUNK_INFORMATION_HEADER, 1512 + CI.length, 4096),
      row(SECTION_NAMES.DIGESTS, 1512 + META.length, DIGESTS.length),
    ]),
  ]),
} as const;

function sectionsOf(bytes: Uint8Array): Promise<BlobSections> {
  return findBlobSections(bytes.length, async (offset, length) => {
    assert.ok(
      offset >= 0 && length <= 4096 && offset + length <= bytes.length,
      `read ${length} at ${offset}`,
    );
    return bytes.subarray(offset, offset + length);
  });
}

/** Offset and size by name. */
async function placesIn(bytes: Uint8Array): Promise<Record<string, readonly [number, number]>> {
  const { sections } = await sectionsOf(bytes);
  return Object.fromEntries(
    [...sections].map(([name, { offset, storedSize }]) => [name, [offset, storedSize]]),
  );
}

describe("findBlobSections()", () => {
  it("finds array and header at the end of a blob without trailers", async () => {
    assert.deepEqual(await placesIn(PACKINGS["chunks, CI, header"]), {
      "image.blob": [0, 1000],
      "blob.meta": [1000, 32],
      "blob.meta.header": [1032, 4096],
    });
  });

  it("walks the trailers from the end to the start", async () => {
    assert.deepEqual(await placesIn(PACKINGS["trailers without table of contents"]), {
      "image.blob": [0, 1000],
      "blob.meta": [1512, 32],
      "blob.meta.header": [1544, 4096],
      "image.boot": [6152, 5000],
    });
    assert.deepEqual(await placesIn(PACKINGS["chunks and bootstrap of v5"]), {
      "image.blob": [0, 1000],
      "image.boot": [1512, 5000],
    });
  });

  it("goes by the table of contents where there is one", async () => {
    assert.deepEqual(await placesIn(PACKINGS["table of contents"]), {
      "image.blob": [0, 1000],
      "blob.meta": [1512, 32],
      "blob.meta.header": [1544, 4096],
      "blob.digest": [6152, 64],
    });
    assert.deepEqual(await placesIn(PACKINGS["bootstrap only"]), { "image.boot": [0, 5000] });
  });

  it("finds nothing in a blob of chunks only, and in no bytes", async () => {
    assert.deepEqual(await placesIn(PACKINGS["chunks only"]), {});
    assert.deepEqual(await placesIn(new Uint8Array()), {});
  });

  const broken: Readonly<Record<string, Uint8Array>> = {
    "a section before the start": concatBytes([CHUNKS, trailer(SECTION_NAMES.BOOTSTRAP, 1001)]),
    "trailers that stop inside the blob": concatBytes([CHUNKS, trailer(SECTION_NAMES.BOOTSTRAP, 100)]),
    "no trailer in front of a section": concatBytes([
      CHUNKS,
      BOOTSTRAP,
      trailer(SECTION_NAMES.BOOTSTRAP, 5000),
    ]),
    "one section twice": concatBytes([RAW_BOOTSTRAP, RAW_BOOTSTRAP]),
    "many empty sections": concatBytes([..."abcdefghij"].map((name) => trailer(name, 0))),
    "an array somewhere else": concatBytes([CHUNKS, CI, header(900)]),
    "a table of contents larger than the tail": concatBytes([
      CHUNKS,
      trailer(SECTION_NAMES.TOC, 128),
    ]).subarray(900),
    "a table of contents of 100 bytes": concatBytes([CHUNKS, trailer(SECTION_NAMES.TOC, 100)]),
    "a section behind the end": toc([row(SECTION_NAMES.DIGESTS, 2 ** 40, 32)]),
    "a table of contents of no rows": concatBytes([CHUNKS, trailer(SECTION_NAMES.TOC, 0)]),
    "CI of fewer bytes than its header": concatBytes([
      CHUNKS,
      trailer(SECTION_NAMES.CHUNK_INFORMATION, 1000),
    ]),
  };
  for (const [what, bytes] of Object.entries(broken)) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(sectionsOf(bytes), (error) => isCoded(error, "ERR_BLOB_CORRUPT"));
    });
  }

  it("gives sections inside the blob or ERR_BLOB_CORRUPT whatever bytes change", async () => {
    const change = fc.tuple(fc.nat(), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...Object.values(PACKINGS)),
        fc.array(change, { minLength: 1, maxLength: 6 }),
        async (packing, changes) => {
          const bytes = packing.slice();
          // Most changes in the last rows and trailer, where they matter.
          for (const [at, value] of changes)
            bytes[bytes.length - 1 - (at % Math.min(bytes.length, 1024))] = value;
          try {
            for (const { offset, storedSize } of (await sectionsOf(bytes)).sections.values()) {
              assert.ok(offset >= 0 && offset + storedSize <= bytes.length);
            }
          } catch (error) {
            if (!isCoded(error, "ERR_BLOB_CORRUPT")) throw error;
          }
        },
      ),
      { numRuns: 400 },
    );
  });
});
