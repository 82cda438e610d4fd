import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readJsonLines } from "../support/fixtures.ts";
import { listGoldenFolders, listReadableImages, listUnsupportedImages } from "../support/golden-images.ts";
import { runCommand } from "../support/run-command.ts";
import { type Row, recordedRowsWithDigests } from "../support/tree-rows.ts";

const convert = (...args: readonly string[]) => runCommand("nydus-convert", args);

function rowsOf(stdout: string): Row[] {
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Row);
}

function expectedRows(shown: string): Row[] {
  return recordedRowsWithDigests(readJsonLines("golden", ...shown.split("/")));
}

describe("the golden images", () => {
  it("are all named here", () => {
    const named = [...listReadableImages(), ...listUnsupportedImages()].map(({ name }) => name);
    const source = "nydusify/source";
    assert.deepEqual(
      listGoldenFolders().filter((folder) => folder !== source && !named.includes(folder)),
      [],
    );
  });
});

describe("nydus-convert ls --json --digest", { concurrency: 2 }, () => {
  for (const { name, args, shown } of listReadableImages()) {
    if (shown === undefined) continue;
    it(`shows of ${name} what ${shown} says`, async () => {
      const { status, stdout, stderr } = await convert("ls", ...args, "--json", "--digest");
      assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
      assert.deepEqual(rowsOf(stdout), expectedRows(shown));
    });
  }

  for (const { name, args, feature } of listUnsupportedImages()) {
    it(`refuses ${name}, which uses ${feature}`, async () => {
      const { status, stderr } = await convert("ls", ...args, "--json", "--digest");
      const error = JSON.parse(stderr) as Record<string, string>;
      assert.deepEqual(
        { status, code: error["code"], exit: error["exit"], names: error["message"]?.includes(feature) },
        { status: 2, code: "ERR_FEATURE_UNSUPPORTED", exit: 2, names: true },
      );
    });
  }
});

describe("nydus-convert ls", { concurrency: 2 }, () => {
  for (const { name, args, shown } of listUnsupportedImages()) {
    // Its golden rows come from the tree on disk, not from a mount of the image.
    if (shown === undefined || name === "made/tarfs") continue;
    it(`shows the names of ${name}, whose chunks cannot be read`, async () => {
      const { status, stdout } = await convert("ls", ...args, "--json");
      const expected = expectedRows(shown).map(({ sha256: _, ...row }) => row);
      assert.equal(status, 0);
      assert.deepEqual(rowsOf(stdout), expected);
    });
  }

  it("prints as ls -l does", async () => {
    const native = listReadableImages().find(({ name }) => name === "nydusify/native");
    const { stdout } = await convert(
      "ls",
      ...(native?.args.slice(0, 1) ?? []),
      "/gonedir",
      "--platform",
      "linux/amd64",
    );
    assert.deepEqual(stdout.split("\n"), [
      "drwx--x--x  - 0 0    - 2023-11-14 22:13:20.000000000 gonedir",
      "-rw-r--r--  1 0 0 5000 2023-11-14 22:13:20.000000000 gonedir/back",
      "",
    ]);
  });

  it("says when the path is not in the image", async () => {
    const native = listReadableImages().find(({ name }) => name === "nydusify/native");
    const { status, stderr } = await convert("ls", ...(native?.args.slice(0, 1) ?? []), "/nowhere");
    assert.deepEqual([status, stderr.includes("[ERR_PATH_NOT_FOUND]")], [5, true]);
  });
});

describe("nydus-convert check", { concurrency: 2 }, () => {
  for (const { name, args } of listReadableImages()) {
    it(`finds nothing wrong with ${name}`, async () => {
      const { status, stdout, stderr } = await convert("check", ...args, "--json");
      const lines = stdout.split("\n").filter((line) => line !== "");
      const last = JSON.parse(lines.at(-1) ?? "{}") as Record<string, number>;
      assert.deepEqual([lines.slice(0, -1), status, stderr], [[], 0, ""]);
      assert.ok((last["verifiedChunks"] ?? 0) > 0);
    });
  }

  for (const { name, args, feature } of listUnsupportedImages()) {
    it(`refuses ${name}, which uses ${feature}`, async () => {
      const { status, stdout, stderr } = await convert("check", ...args);
      const told = stdout + stderr;
      assert.deepEqual(
        [status, told.includes("[ERR_FEATURE_UNSUPPORTED]"), told.includes(feature)],
        // nydus 2.4.4 places long link targets of tarfs where the kernel does not read them: that counts more.
        [name === "made/tarfs" ? 4 : 2, true, true],
      );
    });
  }
});

describe("nydus-convert stat and inspect", { concurrency: 2 }, () => {
  for (const { name, args } of [...listReadableImages(), ...listUnsupportedImages()]) {
    it(`describe ${name}`, async () => {
      for (const command of ["stat", "inspect"]) {
        const { status, stdout, stderr } = await convert(command, ...args, "--json");
        assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
        const { type, blobs } = JSON.parse(stdout) as { type: string; blobs: readonly unknown[] };
        assert.deepEqual([type, blobs.length > 0], ["result", true]);
      }
    });
  }
});
