import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { rootCertificates } from "node:tls";
import { gzipSync } from "node:zlib";
import { ImageAccess } from "#src/app/image-access.js";
import { createConvertProgram } from "#src/cli/convert/convert-program.js";
import { isNydusBlobLayer, isNydusBootstrapLayer } from "#src/format/oci/annotations.js";
import { decodeManifest } from "#src/format/oci/manifest.js";
import { OCI_LAYER_GZIP } from "#src/format/oci/media-types.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import { readFixture } from "../support/fixtures.ts";
import { type Combination, pairwise } from "../support/pairwise.ts";
import { TestRegistry } from "../support/registry.ts";
import { type CommandResult, runCommand } from "../support/run-command.ts";
import { plainLayer, writeSourceIndex } from "../support/source-image.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const signal = new AbortController().signal;
const AMD64 = { os: "linux", architecture: "amd64" };
const ARM64 = { os: "linux", architecture: "arm64" };

let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
/** An index of two platforms that share a layer. */
let source: string;
let count = 0;

before(async () => {
  folder = await temporaryDirectory();
  source = `oci:${folder.path}/source:v1`;
  const layer = (number: number): Buffer => Buffer.from(readFixture("golden", "made", `layer${number}.tar`));
  const gzip = (tar: Buffer) => ({ stored: gzipSync(tar), tar, mediaType: OCI_LAYER_GZIP });
  await writeSourceIndex(new LayoutTarget(join(folder.path, "source"), { tag: "v1" }), [
    { platform: AMD64, layers: [gzip(layer(1)), gzip(layer(2))] },
    { platform: ARM64, layers: [gzip(layer(1)), plainLayer(layer(3))] },
  ]);
  writeFileSync(join(folder.path, "prefetch"), "/usr\n/etc\n");
  writeFileSync(join(folder.path, "ca.pem"), rootCertificates[0] ?? "");
});
after(() => folder[Symbol.asyncDispose]());

/** What a conversion wrote, taken apart. */
interface Output {
  readonly run: CommandResult;
  /** Digest of what the name stands for. */
  readonly top: string;
  /** Platforms of the rows of an index; none for a lone manifest. */
  readonly platforms: readonly string[];
  /** Digests of blob layers, and of bootstrap layers, in order. */
  readonly blobs: readonly string[];
  readonly bootstraps: readonly string[];
  /** Digests of manifests that are no Nydus images. */
  readonly originals: readonly string[];
}

function newTarget(): string {
  return `oci:${folder.path}/out-${count++}:nydus`;
}

async function convertWith(target: string, args: readonly string[], input = ""): Promise<Output> {
  const run = await runCommand("nydus-convert", [source, target, ...args], { input });
  assert.equal(run.status, 0, run.stderr);
  return { run, ...(await readOutput(target)) };
}

async function readOutput(name: string): Promise<Omit<Output, "run">> {
  await using access = await ImageAccess.create({
    environment: {},
    ...(name.startsWith("oci") ? {} : { login: { registry: name.split("/")[0] ?? "", ...LOGIN } }),
  });
  await using image = access.openSource(name);
  const { descriptor, bytes } = await image.resolve({ signal });
  const top = decodeManifest(bytes, descriptor.mediaType);
  const rows = top.kind === "index" ? top.manifests : [];
  const found = { blobs: [] as string[], bootstraps: [] as string[], originals: [] as string[] };
  for (const row of top.kind === "index" ? rows : [descriptor]) {
    const manifest = decodeManifest(await image.readDocument(row, { signal }), row.mediaType);
    assert.ok(manifest.kind === "manifest");
    const bootstrap = manifest.layers.find(isNydusBootstrapLayer);
    if (bootstrap === undefined) found.originals.push(row.digest);
    else found.bootstraps.push(bootstrap.digest);
    found.blobs.push(...manifest.layers.filter(isNydusBlobLayer).map(({ digest }) => digest));
  }
  const platforms = rows.map(({ platform }) => platform?.architecture ?? "");
  return { top: descriptor.digest, platforms, ...found };
}

const bases = new Map<string, Promise<Output>>();

/** The conversion that an option is compared with, run once for each set of arguments. */
function baseOf(args: readonly string[]): Promise<Output> {
  const key = args.join(" ");
  const base = bases.get(key) ?? convertWith(newTarget(), args);
  bases.set(key, base);
  return base;
}

/** What an option does to the image. */
const EFFECTS = {
  blobs: (base: Output, other: Output) => {
    assert.equal(other.blobs.length, base.blobs.length);
    for (const [index, blob] of other.blobs.entries()) assert.notEqual(blob, base.blobs[index]);
    assert.notDeepEqual(other.bootstraps, base.bootstraps);
  },
  bootstrap: (base: Output, other: Output) => {
    assert.deepEqual(other.blobs, base.blobs);
    assert.notDeepEqual(other.bootstraps, base.bootstraps);
  },
  selection: (base: Output, other: Output) => {
    assert.notDeepEqual(
      [other.platforms, other.blobs, other.originals],
      [base.platforms, base.blobs, base.originals],
    );
  },
  nothing: (base: Output, other: Output) => assert.equal(other.top, base.top),
} as const;

interface OptionRow {
  /** Arguments that make it count. */
  readonly args: () => readonly string[];
  /** Arguments of both runs. */
  readonly base?: readonly string[];
  readonly input?: string;
  readonly effect: keyof typeof EFFECTS;
  /** What else shows that the option was heard. */
  readonly shows?: (output: Output) => void | Promise<void>;
}

const LOGIN = { username: "someone", password: "secret" };
const reportOf = (path: string) => JSON.parse(readFileSync(path, "utf8"));
const fails = async (status: number, ...args: readonly string[]): Promise<void> => {
  assert.equal((await runCommand("nydus-convert", [source, newTarget(), ...args])).status, status);
};

/** One row for each option of the command: a new option without one fails the first test below. */
const OPTIONS: Readonly<Record<string, OptionRow>> = {
  "--platform": {
    args: () => ["--platform", "linux/arm64"],
    base: ["--platform", "linux/amd64"],
    effect: "selection",
  },
  "--all-platforms": {
    args: () => ["--all-platforms"],
    effect: "selection",
    shows: ({ platforms }) => assert.deepEqual(platforms, ["amd64", "arm64"]),
  },
  "--merge-platform": {
    args: () => ["--merge-platform"],
    base: ["--platform", "linux/amd64"],
    effect: "selection",
    shows: ({ originals, platforms }) => {
      assert.equal(originals.length, 1);
      assert.deepEqual(platforms, ["amd64", "amd64"]);
    },
  },
  "--compressor": { args: () => ["--compressor", "lz4_block"], effect: "blobs" },
  "--compression-level": { args: () => ["--compression-level", "19"], effect: "blobs" },
  "--digester": { args: () => ["--digester", "sha256"], effect: "blobs" },
  "--chunk-size": { args: () => ["--chunk-size", "4KiB"], effect: "blobs" },
  "--prefetch": { args: () => ["--prefetch", "/etc"], effect: "bootstrap" },
  "--prefetch-file": { args: () => ["--prefetch-file", join(folder.path, "prefetch")], effect: "bootstrap" },
  "--report": {
    args: () => ["--report", join(folder.path, "report.json")],
    effect: "nothing",
    shows: ({ top }) => assert.equal(reportOf(join(folder.path, "report.json")).digest, top),
  },
  "--no-verify": {
    args: () => ["--no-verify", "--report", join(folder.path, "unverified.json")],
    effect: "nothing",
    shows: () => assert.equal(reportOf(join(folder.path, "unverified.json")).isVerified, false),
  },
  "--work-dir": {
    args: () => ["--work-dir", folder.path],
    effect: "nothing",
    shows: () => fails(5, "--work-dir", join(folder.path, "nowhere")),
  },
  "--jobs": { args: () => ["--jobs", "1"], effect: "nothing", shows: () => fails(2, "--jobs", "0") },
  "--username": {
    args: () => ["--username", LOGIN.username, "--password-stdin"],
    input: LOGIN.password,
    effect: "nothing",
  },
  "--password-stdin": {
    args: () => ["--username", LOGIN.username, "--password-stdin"],
    input: `${LOGIN.password}\n`,
    effect: "nothing",
  },
  "--plain-http": { args: () => ["--plain-http"], effect: "nothing" },
  "--ca-file": {
    args: () => ["--ca-file", join(folder.path, "ca.pem")],
    effect: "nothing",
    shows: () => fails(2, "--ca-file", join(folder.path, "nowhere")),
  },
  "--cert-file": {
    args: () => [],
    effect: "nothing",
    shows: () => fails(2, "--cert-file", join(folder.path, "nowhere"), "--key-file", "/dev/null"),
  },
  "--key-file": {
    args: () => [],
    effect: "nothing",
    shows: () => fails(2, "--key-file", "/dev/null"),
  },
  "--registry-config-dir": {
    args: () => ["--registry-config-dir", folder.path],
    effect: "nothing",
  },
  "--json": {
    args: () => ["--json"],
    effect: "nothing",
    shows: ({ run, top }) => {
      const last = JSON.parse(run.stdout.trim().split("\n").at(-1) ?? "");
      assert.deepEqual([last.type, last.digest], ["result", top]);
    },
  },
  "--quiet": {
    args: () => ["--quiet", "--prefetch", "/nowhere"],
    base: ["--prefetch", "/nowhere"],
    effect: "nothing",
    shows: ({ run }) => assert.equal(run.stderr, ""),
  },
  "--verbose": { args: () => ["--verbose"], effect: "nothing" },
};

/** Options whose work is with a registry are tried on one. */
const AT_REGISTRY = ["--username", "--password-stdin", "--plain-http", "--ca-file", "--registry-config-dir"];

const FACTORS = {
  compressor: ["--compression-level 9", "--compressor lz4_block", "--compressor none"],
  digester: ["", "--digester sha256"],
  "chunk-size": ["", "--chunk-size 4096", "--chunk-size 16MiB"],
  prefetch: ["", "--prefetch /usr --prefetch /etc", "--prefetch-file FOLDER/prefetch"],
  merge: ["", "--merge-platform"],
  platform: ["", "--platform linux/arm64 --platform linux/amd64", "--all-platforms"],
  verify: ["", "--no-verify"],
  jobs: ["", "--jobs 1", "--jobs 5"],
  target: ["oci", "oci-archive"],
} as const;

function argsOf({ target: _, ...combination }: Combination): string[] {
  return Object.values(combination)
    .flatMap((text) => text.split(" "))
    .filter((word) => word !== "")
    .map((word) => word.replace("FOLDER", folder.path));
}

describe("nydus-convert SOURCE TARGET", { concurrency: 2 }, () => {
  it("has a row here for each of its options", () => {
    const options = createConvertProgram().options.map(({ long }) => long);
    assert.deepEqual(Object.keys(OPTIONS).sort(), options.filter((long) => long !== "--version").sort());
  });

  it("tries every two values of different options together", () => {
    const combinations = pairwise(FACTORS);
    const names = Object.keys(FACTORS) as (keyof typeof FACTORS)[];
    for (const [left, right] of names.flatMap((name) => names.map((other) => [name, other] as const))) {
      if (left === right) continue;
      for (const [one, other] of FACTORS[left].flatMap((value) =>
        FACTORS[right].map((next) => [value, next]),
      ))
        assert.ok(combinations.some((found) => found[left] === one && found[right] === other));
    }
  });

  for (const [option, { args, base = [], input, effect, shows }] of Object.entries(OPTIONS)) {
    it(`${option} changes ${effect === "nothing" ? "nothing of the image" : `its ${effect}`}`, async () => {
      const without = await baseOf(base);
      await using registry = AT_REGISTRY.includes(option) ? await TestRegistry.start() : undefined;
      if (registry !== undefined && input !== undefined) registry.faults.require = "basic";
      const target = registry === undefined ? newTarget() : `${registry.host}/some/app:nydus`;
      const output = await convertWith(target, [...base, ...args()], input);
      EFFECTS[effect](without, output);
      await shows?.(output);
      const shown = registry?.requests.some(({ authorization }) => authorization?.startsWith("Basic "));
      if (registry !== undefined) assert.equal(shown, input !== undefined);
    });
  }

  for (const combination of pairwise(FACTORS)) {
    const words = Object.values(combination).filter((text) => text !== "");
    it(`gives the source's tree, whatever --jobs and --no-verify are, with ${words.join(" ")}`, async () => {
      const target = newTarget().replace("oci:", `${combination["target"]}:`);
      const { top, platforms } = await convertWith(target, argsOf(combination));
      const architectures =
        platforms.length === 0 ? [process.arch === "arm64" ? "arm64" : "amd64"] : platforms;
      for (const architecture of new Set(architectures)) {
        const check = ["check", target, "--source", source, "--platform", `linux/${architecture}`, "--json"];
        const { status, stdout, stderr } = await runCommand("nydus-convert", check);
        assert.equal(status, 0, stdout + stderr);
        assert.equal(JSON.parse(stdout.trim().split("\n").at(-1) ?? "").errors, 0);
      }
      const other = {
        ...combination,
        verify: combination["verify"] === "" ? "--no-verify" : "",
        jobs: "--jobs 2",
      };
      assert.equal((await convertWith(newTarget(), argsOf(other))).top, top);
    });
  }
});
