import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, it, mock } from "node:test";
import { ConvertProgress } from "#src/cli/convert/convert-progress.js";
import { Output, type OutputOptions } from "#src/cli/output.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import { fixturePath, ROOT } from "../support/fixtures.ts";
import { runCommand } from "../support/run-command.ts";
import { plainLayer, writeSourceImage } from "../support/source-image.ts";
import { paxHeader, TAR_END, tarMember } from "../support/tar-builder.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MIB = 2 ** 20;
const DIGEST = `sha256:${"ab".repeat(32)}` as const;

/** Standard error that is no terminal, and everything written to it. */
function log(options: Partial<OutputOptions> = {}): { output: Output; written: string[] } {
  const written: string[] = [];
  const stream = {
    isTTY: false,
    write: (text: string) => written.push(text),
  } as unknown as NodeJS.WriteStream;
  return { output: new Output({ json: false, quiet: false, ...options }, stream), written };
}

describe("ConvertProgress", () => {
  it("says phase, layers, bytes of the total and the rate since it was last asked", () => {
    let now = 0;
    const progress = new ConvertProgress(() => now);
    assert.equal(progress.summary(), "reading the manifest");
    progress.follow({ type: "image-started", platform: "linux/amd64", layers: 3, size: 100 * MIB });
    progress.follow({ type: "layer-started", layer: 0, digest: DIGEST, size: 20 * MIB });
    progress.follow({ type: "layer-started", layer: 1, digest: DIGEST, size: 70 * MIB });
    progress.follow({ type: "layer-progress", layer: 1, done: 30 * MIB, size: 70 * MIB });
    progress.follow({
      type: "layer-converted",
      layer: 0,
      sourceSize: 20 * MIB,
      digest: DIGEST,
      size: 1,
      chunks: 1,
    });
    now = 10_000;
    assert.equal(
      progress.summary(),
      "converting linux/amd64: 1 of 3 layers done, 50.0 MiB of 100.0 MiB (50 %), 5.0 MiB/s",
    );
    now = 20_000;
    assert.match(progress.summary(), /, 0 B\/s$/);
    progress.follow({ type: "publish-started", blobs: 2, size: 40 * MIB });
    progress.follow({ type: "blob-progress", digest: DIGEST, done: 10 * MIB, size: 30 * MIB });
    now = 21_000;
    assert.deepEqual(progress.fields(), {
      phase: "publishing",
      finished: 0,
      count: 2,
      done: 10 * MIB,
      size: 40 * MIB,
      rate: 10 * MIB,
    });
  });

  it("draws the total and a bar for each layer that is under way, no wider than the terminal", () => {
    const progress = new ConvertProgress();
    progress.follow({ type: "image-started", platform: "linux/amd64", layers: 3, size: 100 * MIB });
    progress.follow({ type: "layer-started", layer: 0, digest: DIGEST, size: 50 * MIB });
    progress.follow({ type: "layer-progress", layer: 0, done: 25 * MIB, size: 50 * MIB });
    progress.follow({ type: "layer-started", layer: 2, digest: DIGEST, size: 0 });
    assert.deepEqual(progress.lines(80), [
      "converting linux/amd64 [######..................] 25.0 MiB of 100.0 MiB",
      "layer 0                [############............] 25.0 MiB of 50.0 MiB",
      "layer 2",
    ]);
    assert.ok(progress.lines(30).every((line) => line.length < 30));
    progress.follow({
      type: "layer-converted",
      layer: 0,
      sourceSize: 50 * MIB,
      digest: DIGEST,
      size: 1,
      chunks: 1,
    });
    assert.equal(progress.lines(80).length, 2);
  });
});

describe("nydus-convert", () => {
  it("prints names of an image as escapes where they would move the cursor", async () => {
    await using directory = await temporaryDirectory();
    const xattr = paxHeader([["SCHILY.xattr.strange.\u001b[2Jx", "value"]]);
    const tar = Buffer.concat([xattr, tarMember({ name: "a\u001b[2Jb" }, "x"), TAR_END]);
    const layers = [plainLayer(tar)];
    await writeSourceImage(new LayoutTarget(join(directory.path, "source"), { tag: "v1" }), { layers });
    const args = [`oci:${directory.path}/source:v1`, `oci:${directory.path}/out:x`];
    const { status, stderr } = await runCommand("nydus-convert", args);
    assert.deepEqual([status, stderr.includes("\u001b")], [0, false]);
    assert.match(stderr, /^warning: layer 0: a\\x1b\[2Jb: /);
  });
});

describe("Output", () => {
  it("prints one line in 10 s where there is no terminal, until the end", async () => {
    mock.timers.enable({ apis: ["setInterval"] });
    try {
      const { output, written } = log();
      const shown = await output.show(new ConvertProgress());
      mock.timers.tick(9_999);
      assert.deepEqual(written, []);
      mock.timers.tick(20_001);
      assert.deepEqual(written, Array(3).fill("reading the manifest\n"));
      shown[Symbol.dispose]();
      mock.timers.tick(60_000);
      assert.equal(written.length, 3);
    } finally {
      mock.timers.reset();
    }
  });

  for (const options of [{ quiet: true }, { json: true, quiet: true }]) {
    it(`prints no progress with ${JSON.stringify(options)}`, async () => {
      mock.timers.enable({ apis: ["setInterval"] });
      try {
        const { output, written } = log(options);
        using _shown = await output.show(new ConvertProgress());
        mock.timers.tick(60_000);
        output.detail("detail");
        output.summary("summary");
        assert.deepEqual(written, []);
      } finally {
        mock.timers.reset();
      }
    });
  }
});

const ERASE_LINE = "\u001b[2K";
const NO_SCRIPT =
  spawnSync("script", ["--version"]).status === 0
    ? false
    : "script(1), which makes a terminal, is not installed";

/** Runs nydus-convert before a terminal of 100 columns and 20 rows; returns what came there. */
async function onTerminal(args: readonly string[], onOutput?: (kill: () => void) => void): Promise<string> {
  const program = join(ROOT, "dist", "cli", "nydus-convert.js");
  const line = ["stty cols 100 rows 20; exec", process.execPath, program, ...args].join(" ");
  const child = spawn("script", ["--quiet", "--return", "--command", line, "/dev/null"], {
    env: { PATH: process.env["PATH"] ?? "", TERM: "xterm", HOME: "/nonexistent", SHELL: "/bin/sh" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let text = "";
  for await (const piece of child.stdout.setEncoding("utf8")) {
    text += piece;
    onOutput?.(() => child.stdin.write("\u0003"));
  }
  return text;
}

describe("nydus-convert on a terminal", { skip: NO_SCRIPT }, () => {
  const source = `oci:${fixturePath("golden", "nydusify", "source")}:v1`;

  it("draws progress, keeps a line for each layer, and erases what it drew", async () => {
    await using directory = await temporaryDirectory();
    const text = await onTerminal([source, `oci:${directory.path}/out:x`]);
    assert.match(text, /reading the manifest/);
    assert.match(text, /layer 0: [^\r]* became [^\r]* chunks\r\n/);
    const [, end = ""] = /(?:^|\n)([^\n]*became [^\n]*converted in .*)$/s.exec(text) ?? [];
    assert.ok(end.includes(ERASE_LINE));
    assert.match(end, /\r\nsha256:[0-9a-f]{64}\r\n$/);
  });

  for (const flag of ["--quiet", "--json"]) {
    it(`draws nothing with ${flag}`, async () => {
      await using directory = await temporaryDirectory();
      const text = await onTerminal([source, `oci:${directory.path}/out:x`, flag]);
      assert.ok(!text.includes("\u001b"), JSON.stringify(text));
    });
  }

  it("leaves the terminal as it was after ^C", async () => {
    await using directory = await temporaryDirectory();
    let isSent = false;
    const text = await onTerminal([source, `oci:${directory.path}/out:x`], (interrupt) => {
      if (!isSent) interrupt();
      isSent = true;
    });
    assert.match(text, /nydus-convert: interrupted \[ERR_ABORTED\]\r\n$/);
    // Neither a hidden cursor nor wrapping that is off.
    assert.ok(!text.includes("\u001b[?25l") && !text.includes("\u001b[?7l"));
  });
});
