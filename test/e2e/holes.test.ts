import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { viewOf } from "#src/base/bytes.js";
import { CHUNK_INDEX_SIZE, NULL_START_BLOCK } from "#src/format/erofs/chunk-index.js";
import { BootstrapView } from "#src/image/bootstrap-view.js";
import { openLayoutSource } from "#src/layout/layout-source.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import { convert, openConverted, readConverted } from "../support/converted-image.ts";
import { MountFolder } from "../support/mount-folder.ts";
import { listMounted, skipFuse } from "../support/mounted-image.ts";
import { runCommand } from "../support/run-command.ts";
import { plainLayer, writeSourceImage } from "../support/source-image.ts";
import { TAR_END, tarMember } from "../support/tar-builder.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const CHUNK = 4096;
const A = Buffer.alloc(CHUNK, "A");
const B = Buffer.alloc(CHUNK, "B");
const ZEROS = Buffer.alloc(CHUNK);

/** Files whose chunks become holes below, and what they are then. No file is one run of chunks. */
const FILES = {
  alone: { content: A, holes: [0], expected: ZEROS },
  first: { content: Buffer.concat([A, B, A]), holes: [1], expected: Buffer.concat([A, ZEROS, A]) },
  last: {
    content: Buffer.concat([B, A, B.subarray(5)]),
    holes: [2],
    expected: Buffer.concat([B, A, ZEROS.subarray(5)]),
  },
  whole: { content: Buffer.concat([B, B, B]), holes: [], expected: Buffer.concat([B, B, B]) },
} as const;

/** Arguments for a bare image with holes in it, which no tool writes. */
async function imageWithHoles(folder: string): Promise<string[]> {
  const members = Object.entries(FILES).map(([name, { content }]) => tarMember({ name }, content));
  await writeSourceImage(new LayoutTarget(join(folder, "source"), { tag: "v1" }), {
    layers: [plainLayer(Buffer.concat([...members, TAR_END]))],
  });
  const target = new LayoutTarget(join(folder, "out"), { tag: "nydus" });
  await convert(openLayoutSource(join(folder, "source"), "v1"), target, folder, { chunkSize: CHUNK });
  const { files } = await readConverted(openConverted(folder));
  const bytes = new Uint8Array(files.find(({ name }) => name === "image/image.boot")?.bytes ?? []);
  const view = new BootstrapView(bytes);
  for (const [name, { holes }] of Object.entries(FILES)) {
    const inode = view.inode(view.lookup(view.inode(view.rootNid), name) ?? 0);
    const array = Math.ceil(inode.bodyOffset / CHUNK_INDEX_SIZE) * CHUNK_INDEX_SIZE;
    for (const k of holes) {
      // All ones in the first, only the address in the others.
      const index = array + k * CHUNK_INDEX_SIZE;
      if (name === "alone") viewOf(bytes).setUint32(index, 0xffff_ffff, true);
      viewOf(bytes).setUint32(index + 4, NULL_START_BLOCK, true);
    }
  }
  const bootstrap = join(folder, "bootstrap");
  writeFileSync(bootstrap, bytes);
  return ["--bootstrap", bootstrap, "--blob-dir", join(folder, "out", "blobs", "sha256")];
}

const EXPECTED = Object.fromEntries(
  Object.entries(FILES).map(([name, { expected }]) => [
    name,
    createHash("sha256").update(expected).digest("hex"),
  ]),
);

function digestsOf(rows: readonly object[]): Record<string, unknown> {
  const files = (rows as Record<string, unknown>[]).filter((row) => row["type"] === "file");
  return Object.fromEntries(files.map((row) => [row["path"], row["sha256"]]));
}

describe("a hole in the place of a chunk", () => {
  it("reads as zeros, and is an error of the check", async () => {
    await using directory = await temporaryDirectory();
    const image = await imageWithHoles(directory.path);
    const listed = await runCommand("nydus-convert", ["ls", ...image, "--json", "--digest"]);
    assert.equal(listed.status, 0, listed.stderr);
    const rows = listed.stdout.trim().split("\n");
    assert.deepEqual(digestsOf(rows.map((line) => JSON.parse(line))), EXPECTED);
    const checked = await runCommand("nydus-convert", ["check", ...image, "--json"]);
    assert.equal(checked.status, 4);
    assert.equal(checked.stdout.match(/"code":"chunk-hole"/g)?.length, 3);
  });

  it("reads as zeros through FUSE, and the kernel does not get to see it", { skip: skipFuse }, async () => {
    await using directory = await temporaryDirectory();
    const image = await imageWithHoles(directory.path);
    await using folder = new MountFolder();
    for (const engine of ["fuse", "auto"]) {
      const mount = await folder.mount([...image, "--engine", engine, "--prefetch", "all"]);
      assert.match(await mount.mounted, /, engine fuse/);
      assert.deepEqual(digestsOf(await listMounted(folder.mountpoint)), EXPECTED);
      await mount.stop();
    }
  });
});
