import assert from "node:assert/strict";
import { cp, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { compressChunk } from "#src/codec/compress.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import { addon } from "#src/native/addon.js";
import { ROOT } from "../support/fixtures.ts";
import { runCommand } from "../support/run-command.ts";
import { plainLayer, type SourceImage, writeSourceImage } from "../support/source-image.ts";
import { TAR_END, tarMember } from "../support/tar-builder.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const lacking =
  addon()?.isal() === undefined || addon()?.lz4() === undefined
    ? "needs the native addon, libisal.so.2 and liblz4.so.1"
    : false;

/** The built program without native/, as on a machine where the addon is neither built nor shipped. */
async function treeWithoutAddon(folder: string): Promise<string> {
  const root = join(folder, "tree");
  await cp(join(ROOT, "dist"), join(root, "dist"), { recursive: true });
  await cp(join(ROOT, "package.json"), join(root, "package.json"));
  await symlink(join(ROOT, "node_modules"), join(root, "node_modules"));
  return root;
}

/** Layers in every form that layers have, of programs and text. */
async function sourceLayers(): Promise<SourceImage["layers"]> {
  const program = (await readFile(process.execPath)).subarray(0, 3_000_000);
  const text = await readFile(join(ROOT, "package-lock.json"));
  const tarOf = (name: string, ...contents: readonly Buffer[]): Buffer => {
    const members = contents.map((content, index) => tarMember({ name: `${name}-${index}` }, content));
    return Buffer.concat([...members, TAR_END]);
  };
  const gzip = tarOf("gzip", program, text);
  const zstd = tarOf("zstd", text, program.subarray(1000, 500_000));
  const members = [gzipSync(gzip.subarray(0, 70_000)), gzipSync(""), gzipSync(gzip.subarray(70_000))];
  return [
    { stored: Buffer.concat(members), tar: gzip },
    { stored: compressChunk("zstd", zstd).bytes, tar: zstd },
    plainLayer(tarOf("plain", program.subarray(2_000_000), Buffer.alloc(5000))),
  ];
}

describe("nydus-convert without the addon", () => {
  it("says that it uses the packages", async () => {
    await using directory = await temporaryDirectory();
    const root = await treeWithoutAddon(directory.path);
    for (const command of ["nydus-convert", "nydus-mount"]) {
      const { stdout } = await runCommand(command, ["--version", "--verbose", "--json"], { root });
      const { addon: place, codecs } = JSON.parse(stdout);
      assert.match(place, /^none: /);
      const { inflate, lz4Decode, crc32c } = codecs;
      assert.deepEqual(
        [inflate, lz4Decode, crc32c].map(({ library }) => library),
        ["zlib", "lz4-napi", "JavaScript"],
      );
    }
  });

  it("makes the same image, and each finds the other's whole", { skip: lacking }, async () => {
    await using directory = await temporaryDirectory();
    const root = await treeWithoutAddon(directory.path);
    const source = join(directory.path, "source");
    await writeSourceImage(new LayoutTarget(source, { tag: "v1" }), { layers: await sourceLayers() });
    for (const compressor of ["zstd", "lz4_block"]) {
      const outcomes: { digest: string; target: string }[] = [];
      for (const options of [{}, { root }]) {
        const target = `oci:${directory.path}/${compressor}-${outcomes.length}:x`;
        const args = [`oci:${source}:v1`, target, "--compressor", compressor];
        const { status, stdout, stderr } = await runCommand("nydus-convert", args, options);
        assert.deepEqual([status, stderr], [0, ""]);
        outcomes.push({ digest: stdout, target });
      }
      const [fast, plain] = outcomes as [(typeof outcomes)[0], (typeof outcomes)[0]];
      assert.equal(fast.digest, plain.digest, compressor);
      assert.equal((await runCommand("nydus-convert", ["check", plain.target])).status, 0);
      assert.equal((await runCommand("nydus-convert", ["check", fast.target], { root })).status, 0);
    }
  });
});
