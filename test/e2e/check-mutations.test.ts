import assert from "node:assert/strict";
import { cp, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { digestChunk, sha256 } from "#src/codec/digest.js";
import { findBlobSections, SECTION_NAMES } from "#src/format/blob/blob-sections.js";
import { decodeChunkTable } from "#src/format/blob/chunk-information.js";
import { openLayoutSource } from "#src/layout/layout-source.js";
import { convertFixture, openConverted, readConverted } from "../support/converted-image.ts";
import { fixturePath } from "../support/fixtures.ts";
import { runCommand } from "../support/run-command.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const BLOB = "571bc144e62f2df7092056375e57b2fb9771750bdb7382f5883e7f19c368a89f";

interface CheckResult {
  readonly status: number | null;
  readonly codes: readonly string[];
}

/** Copies the golden image v6-toc, changes it and checks it. */
async function checkChanged(
  change: (folder: string, blob: string) => Promise<void>,
  ...options: readonly string[]
): Promise<CheckResult> {
  await using directory = await temporaryDirectory();
  const folder = join(directory.path, "image");
  await cp(fixturePath("golden", "made", "v6-toc"), folder, { recursive: true });
  await change(folder, join(folder, BLOB));
  return await check("--bootstrap", join(folder, "bootstrap"), "--blob-dir", folder, ...options);
}

async function check(...args: readonly string[]): Promise<CheckResult> {
  const { status, stdout, stderr } = await runCommand("nydus-convert", ["check", ...args, "--json"]);
  const lines = (stdout + stderr).split("\n").filter((line) => line !== "");
  const codes = lines
    .map((line) => JSON.parse(line) as { type: string; code: string; severity?: string })
    .filter(({ type, severity }) => type === "error" || (type === "finding" && severity === "error"))
    .map(({ code }) => code);
  return { status, codes: [...new Set(codes)].sort() };
}

async function flip(path: string, offset: number): Promise<void> {
  const bytes = await readFile(path);
  const at = offset < 0 ? bytes.length + offset : offset;
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  await writeFile(path, bytes);
}

async function sectionOf(blob: string, name: string): Promise<{ offset: number; storedSize: number }> {
  const bytes = await readFile(blob);
  const { sections } = await findBlobSections(bytes.length, (offset, length) =>
    Promise.resolve(new Uint8Array(bytes.subarray(offset, offset + length))),
  );
  const section = sections.get(name);
  assert.ok(section !== undefined);
  return section;
}

describe("nydus-convert check", () => {
  it("finds nothing in the image that the other tests change", async () => {
    assert.deepEqual(await checkChanged(() => Promise.resolve()), { status: 0, codes: [] });
  });

  it("finds a flipped byte in a chunk", async () => {
    const found = await checkChanged((_, blob) => flip(blob, 1000));
    assert.deepEqual(found, {
      status: 4,
      codes: ["ERR_BLOB_CORRUPT", "ERR_CHUNK_CORRUPT", "ERR_DIGEST_MISMATCH"],
    });
  });

  it("does not read chunks with --metadata-only", async () => {
    const found = await checkChanged((_, blob) => flip(blob, 1000), "--metadata-only");
    assert.deepEqual(found, { status: 0, codes: [] });
  });

  it("finds a flipped byte in the chunk information", async () => {
    const found = await checkChanged(async (_, blob) => {
      const { offset } = await sectionOf(blob, SECTION_NAMES.CHUNK_INFORMATION);
      await flip(blob, offset + 20);
    }, "--metadata-only");
    assert.deepEqual(found, { status: 4, codes: ["ERR_BLOB_CORRUPT"] });
  });

  it("finds a flipped byte in the header of the chunk information", async () => {
    const found = await checkChanged(async (_, blob) => {
      const { offset } = await sectionOf(blob, SECTION_NAMES.CHUNK_INFORMATION_HEADER);
      await flip(blob, offset + 12);
    }, "--metadata-only");
    assert.deepEqual(found, { status: 4, codes: ["ERR_BLOB_CORRUPT"] });
  });

  it("finds a flipped byte in the table of contents", async () => {
    // Bytes 80 to 127 of a row have no meaning, so only the digest of the table tells.
    const found = await checkChanged((_, blob) => flip(blob, -512 - 10));
    assert.deepEqual(found, { status: 4, codes: ["ERR_BLOB_CORRUPT", "ERR_DIGEST_MISMATCH"] });
  });

  it("finds a flipped byte in the digests of the blob", async () => {
    const found = await checkChanged(async (_, blob) => {
      const { offset } = await sectionOf(blob, SECTION_NAMES.DIGESTS);
      await flip(blob, offset);
    });
    assert.deepEqual(found, { status: 4, codes: ["ERR_BLOB_CORRUPT"] });
  });

  it("finds a blob that is cut off", async () => {
    const found = await checkChanged((_, blob) => truncate(blob, 100_000));
    assert.equal(found.status, 4);
    assert.ok(found.codes.includes("ERR_BLOB_CORRUPT"));
  });

  it("exits 5 when a blob is missing and nothing else is wrong", async () => {
    const found = await checkChanged((_, blob) => rm(blob));
    assert.deepEqual(found, { status: 5, codes: ["ERR_BLOB_NOT_FOUND"] });
  });

  it("finds another blob under the name of one", async () => {
    const other = fixturePath("golden", "made", "v6-chunk-0x100000");
    const found = await checkChanged(async (folder, blob) => {
      await cp(
        join(other, "0b19d5d606392566cc1cf205890f0bde865e071c082cd3076eed2d0790933504"),
        `${folder}/x`,
      );
      await rename(`${folder}/x`, blob);
    });
    assert.equal(found.status, 4);
  });

  it("finds a bootstrap whose super-block is wrong", async () => {
    const found = await checkChanged((folder) => flip(join(folder, "bootstrap"), 1024));
    assert.deepEqual(found, { status: 4, codes: ["magic-invalid"] });
  });

  it("finds a digest that was changed in the bootstrap", async () => {
    const found = await checkChanged(async (folder) => {
      const path = join(folder, "bootstrap");
      const bytes = await readFile(path);
      const chunkTable = Number(bytes.readBigUInt64LE(1152 + 24));
      // The last byte: the table stays in order of its digests.
      await flip(path, chunkTable + 31);
    });
    assert.deepEqual(found, { status: 4, codes: ["ERR_BLOB_CORRUPT", "ERR_CHUNK_CORRUPT"] });
  });

  it("finds a bootstrap layer that is not what the manifest says", async () => {
    await using directory = await temporaryDirectory();
    const folder = join(directory.path, "native");
    await cp(fixturePath("golden", "nydusify", "native"), folder, { recursive: true });
    const { manifest } = await readConverted(openLayoutSource(folder));
    const layer = manifest.layers.at(-1)?.digest.slice(7) ?? "";
    await flip(join(folder, "blobs", "sha256", layer), -20);
    const found = await check(`oci:${folder}`);
    assert.equal(found.status, 4);
  });

  it("finds a chunk that was changed together with everything in the blob that speaks of it", async () => {
    await using directory = await temporaryDirectory();
    await convertFixture(directory.path, { compressor: "none" });
    const { files, bootstrap } = await readConverted(openConverted(directory.path));
    const bootstrapPath = join(directory.path, "image.boot");
    await writeFile(bootstrapPath, files.find(({ name }) => name === "image/image.boot")?.bytes ?? "");
    const blobs = join(directory.path, "out", "blobs", "sha256");
    const args = ["--bootstrap", bootstrapPath, "--blob-dir", blobs];
    assert.deepEqual(await check(...args), { status: 0, codes: [] });

    const [blob] = bootstrap.blobs;
    assert.ok(blob?.chunkInformation !== undefined);
    const path = join(blobs, blob.id);
    const bytes = new Uint8Array(await readFile(path));
    const { sections, toc } = await findBlobSections(bytes.length, (offset, length) =>
      Promise.resolve(bytes.subarray(offset, offset + length)),
    );
    const information = sections.get(SECTION_NAMES.CHUNK_INFORMATION);
    const digests = sections.get(SECTION_NAMES.DIGESTS);
    assert.ok(information !== undefined && digests !== undefined && toc !== undefined);
    const table = decodeChunkTable(
      bytes.subarray(information.offset, information.offset + information.storedSize),
      { ...blob, storedEnd: information.offset },
    );
    const [start = 0, size = 0] = [table.storedOffsets[0], table.storedSizes[0]];
    bytes[start] = (bytes[start] ?? 0) ^ 1;
    bytes.set(digestChunk(blob.digester, bytes.subarray(start, start + size)), digests.offset);
    const tocOffset = bytes.length - toc.bytes.length;
    for (const [row, { name, storedSize }] of toc.rows.entries()) {
      const at = tocOffset + row * 128 + 24;
      if (name === SECTION_NAMES.CHUNKS) bytes.set(sha256(bytes.subarray(0, storedSize + 512)), at);
      if (name === SECTION_NAMES.DIGESTS) {
        bytes.set(sha256(bytes.subarray(digests.offset, digests.offset + digests.storedSize)), at);
      }
    }
    await writeFile(path, bytes);
    const found = await check(...args);
    assert.equal(found.status, 4);
    assert.ok(found.codes.includes("ERR_CHUNK_CORRUPT"));
  });

  for (const name of ["zran", "batch"]) {
    it(`checks what it can read of an image with ${name}`, async () => {
      await using directory = await temporaryDirectory();
      const folder = join(directory.path, name);
      await cp(fixturePath("golden", "nydusify", name), folder, { recursive: true });
      assert.deepEqual(await check(`oci:${folder}`), { status: 2, codes: ["ERR_FEATURE_UNSUPPORTED"] });
      const { manifest } = await readConverted(openLayoutSource(folder), { allowUnsupported: true });
      await flip(join(folder, "blobs", "sha256", manifest.layers[0]?.digest.slice(7) ?? ""), 100);
      assert.deepEqual(await check(`oci:${folder}`), {
        status: 4,
        codes: ["ERR_DIGEST_MISMATCH", "ERR_FEATURE_UNSUPPORTED"],
      });
    });
  }

  it("finds that an image is not what another one is", async () => {
    const source = `oci:${fixturePath("golden", "nydusify", "source")}:v1`;
    const bootstrap = fixturePath("golden", "made", "layer2", "bootstrap");
    const blobs = fixturePath("golden", "made", "layer2");
    const id = "b94d0c7ab16bbad54ea5ebd9cc450a33a4590d9f5c8865d49e143c3d380c6cf6";
    const args = [
      "--bootstrap",
      bootstrap,
      "--blob-dir",
      blobs,
      "--blob-id",
      id,
      "--platform",
      "linux/amd64",
    ];
    assert.deepEqual(await check(...args, "--source", source), { status: 4, codes: ["ERR_IMAGE_DIFFERS"] });
  });

  it("finds no difference between an image and its conversion", async () => {
    await using directory = await temporaryDirectory();
    await convertFixture(directory.path);
    const source = `oci:${fixturePath("golden", "nydusify", "source")}:v1`;
    const image = `oci:${join(directory.path, "out")}:nydus`;
    const found = await check(image, "--source", source, "--platform", "linux/amd64");
    assert.deepEqual(found, { status: 0, codes: [] });
  });

  it("says that an ordinary image is not a Nydus image", async () => {
    const found = await check(`oci:${fixturePath("golden", "nydusify", "source")}:v1`);
    assert.deepEqual(found, { status: 4, codes: ["ERR_IMAGE_INVALID"] });
  });
});
