import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { LayoutTarget } from "#src/layout/layout-target.js";
import { fixturePath, ROOT } from "../support/fixtures.ts";
import { runCommand } from "../support/run-command.ts";
import { plainLayer, writeSourceImage } from "../support/source-image.ts";
import { tarMember } from "../support/tar-builder.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

type Json = Readonly<Record<string, unknown>>;

const text = readFileSync(join(ROOT, "docs/report.md"), "utf8");
const [, exampleText = ""] = /```json\n(.*?)```/s.exec(text) ?? [];
const [reportPart = "", eventsPart = ""] = text.split("\n## Events\n");
const namesIn = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");

/** Every field of a value with its type, in order: `images[].layers[].size number`. */
function fieldsOf(value: unknown, path = ""): string[] {
  if (Array.isArray(value)) {
    const fields = value.flatMap((element) => fieldsOf(element, `${path}[]`));
    return fields.length > 0 ? [...new Set(fields)] : [`${path}[] string`];
  }
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([name, field]) =>
      fieldsOf(field, path === "" ? name : `${path}.${name}`),
    );
  }
  const isDigest = typeof value === "string" && /^sha256:[0-9a-f]{64}$/.test(value);
  return [`${path} ${isDigest ? "digest" : typeof value}`];
}

async function convertWith(...flags: readonly string[]): Promise<{ report: Json; stdout: string }> {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "report.json");
  const source = `oci:${fixturePath("golden", "nydusify", "source")}:v1`;
  const target = `oci:${directory.path}/out:x`;
  const run = await runCommand("nydus-convert", [source, target, ...flags, "--report", path]);
  assert.equal(run.status, 0, run.stderr);
  return { report: JSON.parse(await readFile(path, "utf8")), stdout: run.stdout };
}

describe("docs/report.md", () => {
  it("has an example with the fields of a real report, in their order and of their types", async () => {
    const { report } = await convertWith();
    assert.deepEqual(fieldsOf(JSON.parse(exampleText)), fieldsOf(report));
  });

  it("explains every field of a report, and no other", () => {
    const documented = [...reportPart.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1]);
    const there = fieldsOf(JSON.parse(exampleText)).map((field) =>
      field.replace(/ \w+$/, "").replace(/^codecs\.\w+\./, "codecs.NAME."),
    );
    assert.deepEqual(documented, [...new Set(there)]);
  });

  it("says of sizes, times and digests what they are", () => {
    const kinds = new Map(
      [...reportPart.matchAll(/^\| `([^`]+)` \| (\w+) \|/gm)].map((row) => [row[1], row[2]]),
    );
    const types: Readonly<Record<string, string>> = { bytes: "number", time: "number", text: "string" };
    for (const field of fieldsOf(JSON.parse(exampleText))) {
      const [path = "", type] = field.replace(/^codecs\.\w+\./, "codecs.NAME.").split(" ");
      const kind = kinds.get(path) ?? "";
      assert.equal(types[kind] ?? kind, type, path);
    }
  });

  it("lists every event with its fields, and no other", () => {
    const source = readFileSync(join(ROOT, "src/convert/convert-event.ts"), "utf8");
    const expected = new Map<string, string[]>();
    for (const [, members = ""] of source.matchAll(/\| \{([^}]*)\}/g)) {
      const [, type = ""] = /type: "([a-z-]+)"/.exec(members) ?? [];
      const fields = [...members.matchAll(/readonly (\w+):/g)].map((match) => match[1] ?? "");
      // They come too often for a line each: `progress` sums them up.
      if (!type.endsWith("-progress")) expected.set(type, fields.slice(1));
    }
    assert.ok(expected.size > 5);
    const rows = [...eventsPart.matchAll(/^\| `([a-z-]+)` \| ([^|]*) \|/gm)];
    const documented = new Map(rows.map(([, type = "", fields = ""]) => [type, namesIn(fields)]));
    documented.delete("progress");
    documented.delete("result");
    assert.deepEqual([...documented].sort(), [...expected].sort());
  });
});

describe("a report", () => {
  it("is the last line of --json too", async () => {
    const { report, stdout } = await convertWith("--json", "--prefetch", "/missing");
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Json);
    assert.deepEqual(lines.at(-1), { type: "result", ...report });
    const types = new Set(lines.map(({ type }) => `\`${type}\``));
    for (const type of types) assert.ok(eventsPart.includes(type), type);
    assert.deepEqual((report["options"] as Json)["prefetch"], ["/missing"]);
  });

  it("has numbers that agree with each other", async () => {
    const { report } = await convertWith("--compressor", "lz4_block", "--no-verify");
    const { elapsed, published, options, images, isVerified } = report as {
      readonly elapsed: Readonly<Record<string, number>>;
      readonly published: Readonly<Record<string, number>>;
      readonly options: Json;
      readonly images: readonly [{ bootstrap: { size: number }; layers: readonly { size: number }[] }];
      readonly isVerified: boolean;
    };
    const { convert = 0, merge = 0, push = 0, pull = 0, total = 0 } = elapsed;
    assert.equal(report["SourcePullElapsed"], pull);
    assert.ok(Math.abs(Number(report["ConversionElapsed"]) - convert - merge) <= 1);
    assert.equal(report["TargetPushElapsed"], push);
    assert.ok(total >= convert + merge + push - 3);
    assert.deepEqual([isVerified, elapsed["verify"]], [false, 0]);
    assert.ok(!("compressionLevel" in options));
    const layersSize = images[0].layers.reduce((sum, { size }) => sum + size, images[0].bootstrap.size);
    assert.deepEqual(published, {
      writtenBlobs: 4,
      writtenSize: layersSize,
      presentBlobs: 0,
      presentSize: 0,
    });
    assert.ok(Number(report["TargetImageSize"]) > layersSize);
    assert.ok(Number(report["peakMemory"]) > 2 ** 25 && Number(report["cpuElapsed"]) > 1e6);
  });

  it("comes whole through a pipe that is read late", async () => {
    await using directory = await temporaryDirectory();
    const tar = tarMember({ name: "file" }, "x");
    const layers = Array(300).fill(plainLayer(Buffer.concat([tar, Buffer.alloc(1024)])));
    await writeSourceImage(new LayoutTarget(join(directory.path, "source"), { tag: "v1" }), { layers });
    const command = `"$@" --report - | (sleep 1; cat)`;
    const program = join(ROOT, "dist", "cli", "nydus-convert.js");
    const [source, target] = [`oci:${directory.path}/source:v1`, `oci:${directory.path}/out:x`];
    const args = ["-c", command, "sh", process.execPath, program, source, target];
    const { stdout, stderr } = spawnSync("sh", args, { encoding: "utf8", cwd: directory.path });
    assert.equal(stderr, "");
    // More than a pipe holds.
    assert.ok(stdout.length > 2 ** 16);
    assert.equal(JSON.parse(stdout).images[0].layers.length, 300);
    assert.deepEqual((await readdir(directory.path)).sort(), ["out", "source"]);
  });

  it("replaces an old one as a whole, or leaves it", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "report.json");
    await writeFile(path, "old");
    const source = `oci:${fixturePath("golden", "nydusify", "source")}:v1`;
    const target = `oci:${directory.path}/out:x`;
    const full =
      "import fs from 'node:fs'; import { syncBuiltinESMExports } from 'node:module';" +
      "fs.renameSync = () => { throw new Error('ENOSPC: no space left on device'); }; syncBuiltinESMExports();";
    const environment = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(full)}` };
    const args = [source, target, "--report", path];
    const { status, stderr } = await runCommand("nydus-convert", args, { environment });
    assert.deepEqual([status, stderr.endsWith("[ERR_TARGET_IO]\n")], [5, true]);
    assert.equal(await readFile(path, "utf8"), "old");
    await runCommand("nydus-convert", args);
    assert.match(await readFile(path, "utf8"), /^\{/);
    assert.deepEqual(await readdir(directory.path), ["out", "report.json"]);
  });
});
