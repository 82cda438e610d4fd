import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { checkImage } from "#src/app/check-image.js";
import { type BootstrapFile, locateNydusImage } from "#src/app/open-nydus-image.js";
import { CodedError } from "#src/base/errors.js";
import { BLOB_FEATURES, SUPER_FLAGS_RESERVED } from "#src/format/rafs/features.js";
import { readBootstrap } from "#src/image/bootstrap-reader.js";
import { openLayoutSource } from "#src/layout/layout-source.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import type { ImageSource } from "#src/store/image-source.js";
import { convert, readConverted } from "../support/converted-image.ts";
import { plainLayer, writeSourceImage } from "../support/source-image.ts";
import { paxHeader, TAR_END, tarMember } from "../support/tar-builder.ts";

const signal = new AbortController().signal;
const platform = { os: "linux", architecture: "amd64" };
/** Bytes between two that are changed; 1 changes every byte, which takes some minutes. */
const STRIDE = Number(process.env["FLIP_STRIDE"] ?? 29);

let folder: string;
let bootstrapPath: string;

/** A small image of two layers: every kind of inode, files of several chunks, a whiteout. */
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "nydus-test-"));
  const lower = Buffer.concat([
    tarMember({ name: "dir/", type: "5", mode: 0o755, mtime: 1_600_000_000 }),
    tarMember({ name: "dir/chunks", mode: 0o4755, uid: 1000, gid: 7 }, Buffer.alloc(9000, "chunk by chunk ")),
    tarMember({ name: "dir/gone" }, "gone"),
    paxHeader([["SCHILY.xattr.user.key", "value"]]),
    tarMember({ name: "dir/attributed", mtime: 1_600_000_001 }, "with an xattr"),
    tarMember({ name: "dir/hard", type: "1", link: "dir/chunks" }),
    tarMember({ name: "link", type: "2", link: "dir/chunks" }),
    tarMember({ name: "null", type: "3", major: 1, minor: 3 }),
    TAR_END,
  ]);
  const upper = Buffer.concat([
    tarMember({ name: "dir/.wh.gone" }),
    tarMember({ name: "new" }, "new"),
    TAR_END,
  ]);
  await writeSourceImage(new LayoutTarget(join(folder, "source"), { tag: "v1" }), {
    layers: [plainLayer(lower), plainLayer(upper)],
  });
  await convert(openSource(), new LayoutTarget(join(folder, "out"), { tag: "v1" }), folder, {
    chunkSize: 4096,
  });
  const { files } = await readConverted(openConverted());
  bootstrapPath = join(folder, "image.boot");
  await writeFile(bootstrapPath, files.find(({ name }) => name === "image/image.boot")?.bytes ?? "");
});
after(() => rm(folder, { recursive: true, force: true }));

const openSource = (): ImageSource => openLayoutSource(join(folder, "source"), "v1");
const openConverted = (): ImageSource => openLayoutSource(join(folder, "out"), "v1");
const bare = (): BootstrapFile => ({
  bootstrap: bootstrapPath,
  blobDirs: [join(folder, "out", "blobs", "sha256")],
});

/** Whether a check says anything at all, or cannot even open the image. */
async function isFound(
  open: () => ImageSource | BootstrapFile,
  openOriginal?: () => ImageSource,
): Promise<boolean> {
  const where = open();
  await using _source = "bootstrap" in where ? undefined : where;
  await using original = openOriginal?.();
  try {
    const located = await locateNydusImage(where, { signal, platform });
    await using _resources = located.resources;
    const options = { signal, platform, onFinding: () => {}, onProgress: () => {} };
    const { exit, warnings } = await checkImage(located, {
      ...options,
      ...(original !== undefined && { original }),
    });
    return exit !== 0 || warnings > 0;
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    return true;
  }
}

async function topDigest(): Promise<string> {
  await using source = openConverted();
  return (await source.resolve({ signal })).descriptor.digest;
}

/** What a bootstrap says, without the bits that the format reserves and no reader looks at. */
function meaningOf(bytes: Uint8Array): unknown {
  const bootstrap = readBootstrap(bytes);
  const known = Object.values(BLOB_FEATURES).reduce((bits, bit) => bits | bit, 0);
  return {
    ...bootstrap,
    flags: bootstrap.flags & ~SUPER_FLAGS_RESERVED,
    blobs: bootstrap.blobs.map((blob) => ({ ...blob, features: blob.features & known })),
  };
}

/** Changes one byte after the other of a file; the offsets at which `isFound` says no. */
async function unfoundFlips(path: string, isFound: () => Promise<boolean>): Promise<number[]> {
  const bytes = await readFile(path);
  const unfound: number[] = [];
  // The start moves with the file, so that one stride meets other offsets in each.
  for (let offset = bytes.length % STRIDE; offset < bytes.length; offset += STRIDE) {
    const changed = Buffer.from(bytes);
    changed[offset] = (changed[offset] ?? 0) ^ (1 << (offset % 8));
    await writeFile(path, changed);
    if (!(await isFound())) unfound.push(offset);
  }
  await writeFile(path, bytes);
  return unfound;
}

describe("checkImage() of an image with one flipped byte", () => {
  it("finds nothing where no byte is flipped", async () => {
    assert.equal(await isFound(openConverted, openSource), false);
    assert.equal(await isFound(bare, openSource), false);
  });

  it("finds it anywhere in manifest, configuration, bootstrap layer and blobs", {
    timeout: 600_000,
  }, async () => {
    const names = await readdir(join(folder, "out", "blobs", "sha256"));
    assert.equal(names.length, 5);
    for (const name of names) {
      const path = join(folder, "out", "blobs", "sha256", name);
      assert.deepEqual(await unfoundFlips(path, () => isFound(openConverted)), [], `unfound in ${name}`);
    }
  });

  it("finds it in the index of a layout, or reads the same image", { timeout: 600_000 }, async (t) => {
    const digest = await topDigest();
    const unfound = await unfoundFlips(join(folder, "out", "index.json"), async () => {
      if (await isFound(openConverted)) return true;
      // Nothing names the index by a digest: what is not found must not matter.
      assert.equal(await topDigest(), digest);
      return false;
    });
    t.diagnostic(`without meaning: ${unfound.length} bytes`);
  });

  it("finds it anywhere in the blobs beside a bare bootstrap", { timeout: 600_000 }, async () => {
    const { bootstrap } = await readConverted(openConverted());
    for (const { id } of bootstrap.blobs) {
      const path = join(folder, "out", "blobs", "sha256", id);
      assert.deepEqual(await unfoundFlips(path, () => isFound(bare)), []);
    }
  });

  it("finds it in a bare bootstrap, beside the source, wherever it means something", {
    timeout: 600_000,
  }, async (t) => {
    const meaning = meaningOf(await readFile(bootstrapPath));
    const unfound = await unfoundFlips(bootstrapPath, async () => {
      if (await isFound(bare, openSource)) return true;
      // A byte that is not found must be one that no reader makes anything of.
      assert.deepEqual(meaningOf(await readFile(bootstrapPath)), meaning);
      return false;
    });
    t.diagnostic(`without meaning: ${unfound.length} bytes`);
  });
});
