import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { VERSION } from "#src/base/version.js";
import { openLayoutSource } from "#src/layout/layout-source.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import { readConverted } from "../support/converted-image.ts";
import { fixturePath, ROOT, readFixture } from "../support/fixtures.ts";
import { runCommand } from "../support/run-command.ts";
import { plainLayer, writeSourceImage } from "../support/source-image.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const SOURCE = `oci:${fixturePath("golden", "nydusify", "source")}:v1`;
const NYDUS = `oci:${fixturePath("golden", "nydusify", "native")}:native`;

const convert = (args: readonly string[], options?: Parameters<typeof runCommand>[2]) =>
  runCommand("nydus-convert", args, options);

describe("nydus-convert", () => {
  it("prints the digest of the new image and nothing else on stdout", async () => {
    await using directory = await temporaryDirectory();
    const { status, stdout, stderr } = await convert([
      SOURCE,
      `oci:${directory.path}/out:x`,
      "--work-dir",
      directory.path,
    ]);
    await using written = openLayoutSource(join(directory.path, "out"), "x");
    const top = await written.resolve({ signal: AbortSignal.timeout(5000) });
    assert.deepEqual(
      { status, stdout, stderr },
      { status: 0, stdout: `${top.descriptor.digest}\n`, stderr: "" },
    );
    assert.deepEqual(await readdir(directory.path), ["out"]);
  });

  it("writes a report with the fields of nydusify's metrics", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "report.json");
    const { stdout } = await convert([SOURCE, `oci:${directory.path}/out:x`, "--report", path]);
    const report = JSON.parse(await readFile(path, "utf8"));
    assert.equal(`${report.digest}\n`, stdout);
    const names = [
      "SourceImageSize",
      "TargetImageSize",
      "SourcePullElapsed",
      "ConversionElapsed",
      "TargetPushElapsed",
    ];
    for (const name of names) assert.ok(Number.isSafeInteger(report[name]) && report[name] > 0, name);
  });

  it("prints JSON lines that end with the result", async () => {
    await using directory = await temporaryDirectory();
    const { status, stdout } = await convert([SOURCE, `oci:${directory.path}/out:x`, "--json"]);
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(status, 0);
    assert.ok(lines.every(({ type }) => typeof type === "string"));
    assert.equal(lines.at(-1).type, "result");
  });

  it("puts the prefetch paths of flags and file into the bootstrap", async () => {
    await using directory = await temporaryDirectory();
    const args = [SOURCE, `oci:${directory.path}/out:x`, "--prefetch", "/bin/sh", "--prefetch-file", "-"];
    assert.equal((await convert(args, { input: "/etc\n\n" })).status, 0);
    const { bootstrap } = await readConverted(openLayoutSource(join(directory.path, "out"), "x"));
    assert.deepEqual(bootstrap.prefetch, ["/bin/sh", "/etc"]);
  });

  it("warns of a prefetch path that is not in the image", async () => {
    await using directory = await temporaryDirectory();
    const { status, stderr } = await convert([
      SOURCE,
      `oci:${directory.path}/out:x`,
      "--prefetch",
      "/no/such",
    ]);
    assert.deepEqual(
      { status, stderr },
      { status: 0, stderr: "warning: prefetch path /no/such is not in the image\n" },
    );
  });

  it("converts a directory", async () => {
    await using directory = await temporaryDirectory();
    await writeFile(join(directory.path, "hello"), "hello\n");
    await using target = await temporaryDirectory();
    const { status } = await convert([`dir:${directory.path}`, `oci-archive:${target.path}/out.tar:x`]);
    assert.equal(status, 0);
    assert.deepEqual(await readdir(target.path), ["out.tar"]);
  });

  it("takes every option from the environment too, but a flag wins", async () => {
    await using directory = await temporaryDirectory();
    const environment = { NYDUS_COMPRESSOR: "lz4_block", NYDUS_CHUNK_SIZE: "4KiB", NYDUS_JSON: "0" };
    const args = [SOURCE, `oci:${directory.path}/out:x`, "--chunk-size", "64KiB"];
    assert.match((await convert(args, { environment })).stdout, /^sha256:/);
    const { bootstrap } = await readConverted(openLayoutSource(join(directory.path, "out"), "x"));
    assert.deepEqual([bootstrap.compressor, bootstrap.chunkSize], ["lz4_block", 65536]);
  });

  it("has the version of the package", async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
    assert.equal(VERSION, version);
    assert.equal((await convert(["--version"])).stdout, `${version}\n`);
  });

  it("says with --version --verbose what it runs on, for people and for programs", async () => {
    const { status, stdout } = await convert(["--version", "--verbose"]);
    const [first, ...rows] = stdout.trimEnd().split("\n");
    assert.deepEqual([status, first], [0, VERSION]);
    assert.deepEqual(
      rows.map((row) => row.split(/ {2,}/)[0]),
      ["node", "addon", "gzip decode", "zstd", "lz4 encode", "lz4 decode", "blake3", "sha256", "crc-32c"],
    );
    const { type, version, node, codecs } = JSON.parse((await convert(["--json", "--verbose", "-V"])).stdout);
    assert.deepEqual([type, version, node], ["version", VERSION, process.version]);
    assert.match(codecs.zstd.version, /^1\./);
    assert.deepEqual(JSON.parse((await convert(["-V", "--json"])).stdout), { type, version });
  });

  it("ends its help with examples and exit statuses", async () => {
    const { status, stdout } = await convert(["--help"]);
    assert.equal(status, 0);
    assert.match(stdout, /\nExamples:\n.+\nExit status:\n {2}0 .+ 130 [^\n]*\n\n?$/s);
  });

  const target = "oci:/nonexistent/out:x";
  const wrong: Readonly<Record<string, { args: readonly string[]; status: number; code: string }>> = {
    "no target": { args: [SOURCE], status: 2, code: "ERR_OPTION_INVALID" },
    "a mistyped command": { args: ["chek", NYDUS], status: 2, code: "ERR_OPTION_INVALID" },
    "an unknown option": { args: [SOURCE, target, "--no-such"], status: 2, code: "ERR_OPTION_INVALID" },
    "an option of a later release": {
      args: [SOURCE, target, "--oci-ref"],
      status: 2,
      code: "ERR_OPTION_INVALID",
    },
    "an unknown compressor": {
      args: [SOURCE, target, "--compressor", "gzip"],
      status: 2,
      code: "ERR_OPTION_INVALID",
    },
    "a chunk size that is no power of two": {
      args: [SOURCE, target, "--chunk-size", "5000"],
      status: 2,
      code: "ERR_OPTION_INVALID",
    },
    "a chunk size that is no size": {
      args: [SOURCE, target, "--chunk-size", "big"],
      status: 2,
      code: "ERR_OPTION_INVALID",
    },
    "jobs that are no number": {
      args: [SOURCE, target, "--jobs", "many"],
      status: 2,
      code: "ERR_OPTION_INVALID",
    },
    "an image and a bootstrap file": {
      args: ["check", NYDUS, "--bootstrap", "image.boot"],
      status: 2,
      code: "ERR_OPTION_INVALID",
    },
    "a user name without a password": {
      args: [SOURCE, target, "--username", "me"],
      status: 2,
      code: "ERR_OPTION_INVALID",
    },
    "a relative prefetch path": {
      args: [SOURCE, target, "--prefetch", "bin"],
      status: 2,
      code: "ERR_OPTION_INVALID",
    },
    "a target that cannot be written to": {
      args: [SOURCE, "dir:/tmp/x"],
      status: 2,
      code: "ERR_OPTION_INVALID",
    },
    "a source that is a Nydus image": { args: [NYDUS, target], status: 2, code: "ERR_OPTION_INVALID" },
    "a source that is not there": {
      args: ["oci:/nonexistent/image", target],
      status: 5,
      code: "ERR_IMAGE_NOT_FOUND",
    },
    "a tag that is not there": { args: [`${SOURCE}2`, target], status: 5, code: "ERR_IMAGE_NOT_FOUND" },
    "a platform that is not there": {
      args: [SOURCE, target, "--platform", "linux/s390x"],
      status: 5,
      code: "ERR_IMAGE_NOT_FOUND",
    },
    "a directory that is not there": {
      args: ["dir:/nonexistent/dir", target],
      status: 5,
      code: "ERR_PATH_NOT_FOUND",
    },
    "a registry that does not answer": {
      args: ["127.0.0.1:1/app", target],
      status: 5,
      code: "ERR_SOURCE_UNAVAILABLE",
    },
    "a work directory that is not there": {
      args: [SOURCE, target, "--work-dir", "/nonexistent"],
      status: 5,
      code: "ERR_TARGET_IO",
    },
  };
  for (const [what, { args, status, code }] of Object.entries(wrong)) {
    it(`says in one line what is wrong with ${what}`, async () => {
      const text = await convert([...args, "--quiet"]);
      assert.deepEqual({ status: text.status, stdout: text.stdout }, { status, stdout: "" });
      assert.match(text.stderr, new RegExp(`^nydus-convert: [^\\n]+ \\[${code}\\]\\n$`));
    });
  }

  it("tells who mistyped a command from who names an image", async () => {
    const expected =
      "nydus-convert: there is no command chek; did you mean check? An image of that name is docker://chek " +
      "[ERR_OPTION_INVALID]\n";
    for (const args of [["chek"], ["chek", NYDUS], ["--quiet", "chek", NYDUS]]) {
      assert.equal((await convert(args)).stderr, expected);
    }
    // Neither is like a command: the target is what is missing, or wrong.
    assert.match((await convert(["debian"])).stderr, /missing required argument 'target'/);
    assert.match((await convert(["docker://chek", "dir:/tmp/x"])).stderr, /target dir:/);
  });

  it("ends with 4 when a layer is not what the configuration says", async () => {
    await using directory = await temporaryDirectory();
    const tar = readFixture("golden", "made", "layer1.tar");
    await writeSourceImage(new LayoutTarget(join(directory.path, "source"), { tag: "x" }), {
      layers: [plainLayer(tar)],
      diffIds: [`sha256:${"0".repeat(64)}`],
    });
    const args = [`oci:${directory.path}/source:x`, `oci:${directory.path}/out:x`];
    const { status, stderr } = await convert([...args, "--work-dir", directory.path]);
    assert.equal(status, 4);
    assert.match(stderr, /^nydus-convert: layer sha256:[^\n]+ \[ERR_DIGEST_MISMATCH\]\n$/);
    assert.deepEqual(await readdir(directory.path), ["source"]);
  });

  it("says what is wrong as an object with --json", async () => {
    const { status, stderr } = await convert([SOURCE, target, "--json", "--jobs", "0"]);
    const { message, ...error } = JSON.parse(stderr);
    assert.equal(status, 2);
    assert.deepEqual(error, { type: "error", code: "ERR_OPTION_INVALID", exit: 2 });
    assert.match(message, /^jobs /);
  });

  it("ends with 130 when it is interrupted, and removes its work directory", async () => {
    await using directory = await temporaryDirectory();
    await using work = await temporaryDirectory();
    for (let number = 0; number < 20; number++) {
      await writeFile(
        join(directory.path, `file-${number}`),
        Buffer.alloc(2_000_000, `${number} some text `),
      );
    }
    const args = [`dir:${directory.path}`, `oci:${work.path}/out:x`, "--work-dir", work.path, "--json"];
    let isSent = false;
    const { status, stderr } = await convert([...args, "--chunk-size", "4KiB", "--compression-level", "15"], {
      onOutput: (text, kill) => {
        if (isSent || !text.includes("layer-started")) return;
        isSent = true;
        kill("SIGINT");
      },
    });
    assert.equal(status, 130);
    assert.equal(JSON.parse(stderr.trim().split("\n").at(-1) ?? "").code, "ERR_ABORTED");
    assert.deepEqual(await readdir(work.path), []);
  });

  it("says in one line that standard output takes no more, and leaves no temporary files", async () => {
    await using directory = await temporaryDirectory();
    const full = openSync("/dev/full", "w");
    try {
      for (const args of [
        ["ls", NYDUS],
        ["unpack", NYDUS, "-"],
        ["--json", SOURCE, `oci:${directory.path}/out`, "--work-dir", directory.path],
      ]) {
        const program = join(ROOT, "dist", "cli", "nydus-convert.js");
        const run = spawnSync(process.execPath, [program, ...args], { stdio: ["ignore", full, "pipe"] });
        assert.equal(run.status, 5, args.join(" "));
        assert.match(run.stderr.toString(), /^[^\n]*ENOSPC[^\n]*\n$/);
      }
    } finally {
      closeSync(full);
    }
    const left = await readdir(directory.path);
    assert.deepEqual(
      left.filter((name) => name !== "out"),
      [],
    );
  });
});
