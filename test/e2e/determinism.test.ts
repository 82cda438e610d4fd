import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, chown, cp, mkdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openLayoutSource } from "#src/layout/layout-source.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import type { ImageSource } from "#src/store/image-source.js";
import { convert } from "../support/converted-image.ts";
import { ROOT } from "../support/fixtures.ts";
import { writeLayeredSource } from "../support/layered-source.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** Numbers from 0 to 1 that follow from a seed. */
function draws(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

/** A source whose layers come in pieces of any size, each after any delay. */
function scattered(source: ImageSource, draw: () => number): ImageSource {
  return {
    name: source.name,
    blobs: source.blobs,
    resolve: (options) => source.resolve(options),
    readDocument: (descriptor, options) => source.readDocument(descriptor, options),
    async *openBlob(descriptor, options) {
      for await (const piece of source.openBlob(descriptor, options)) {
        for (let start = 0; start < piece.length; ) {
          const end = Math.min(piece.length, start + 1 + Math.floor(draw() ** 4 * 2 ** 17));
          if (draw() < 0.2) await new Promise((resolve) => setTimeout(resolve, draw() * 10));
          yield piece.slice(start, end);
          start = end;
        }
      }
    },
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

interface Host {
  readonly what: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly umask?: string;
  readonly jobs: number;
  readonly isNobody?: boolean;
  readonly withoutAddon?: boolean;
}

const HOSTS: readonly Host[] = [
  { what: "one job", jobs: 1 },
  { what: "another time zone", jobs: 3, environment: { TZ: "Asia/Kathmandu" } },
  { what: "another locale", jobs: 4, environment: { LANG: "tr_TR.UTF-8", LC_ALL: "tr_TR.UTF-8" } },
  { what: "another umask", jobs: 5, umask: "0077" },
  { what: "no umask", jobs: 6, umask: "0000" },
  { what: "another user", jobs: 2, isNobody: true },
  { what: "no addon", jobs: 1, withoutAddon: true },
  { what: "no addon and many jobs", jobs: 8, withoutAddon: true, environment: { TZ: "America/St_Johns" } },
];
const ARRIVALS = [1, 2, 3, 4, 5, 6, 7, 8, 8, 4, 2, 1];

describe("the same source and options give the same digest", () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let source = "";
  let expected = "";
  before(async () => {
    directory = await temporaryDirectory();
    await chmod(directory.path, 0o755);
    source = join(directory.path, "source");
    const description = { layers: 6, filesPerLayer: 12, fileSize: 1_500_000 };
    await writeLayeredSource(new LayoutTarget(source, { tag: "v1" }), description);
    // The program alone, as it is installed where nothing can be compiled.
    await cp(join(ROOT, "dist"), join(directory.path, "bare", "dist"), { recursive: true });
    await cp(join(ROOT, "package.json"), join(directory.path, "bare", "package.json"));
    await symlink(join(ROOT, "node_modules"), join(directory.path, "bare", "node_modules"));
    expected = await convertOn({ what: "this host", jobs: 2 });
  });
  after(() => directory[Symbol.asyncDispose]());

  async function convertOn({ environment, umask, jobs, isNobody, withoutAddon }: Host): Promise<string> {
    await using place = await temporaryDirectory();
    const work = join(place.path, "some", "deeper folder".repeat(jobs));
    await mkdir(work, { recursive: true });
    for (const path of isNobody === true ? [place.path, join(place.path, "some"), work] : []) {
      await chown(path, 65_534, 65_534);
    }
    const root = withoutAddon === true ? join(directory.path, "bare") : ROOT;
    const program = join(root, "dist", "cli", "nydus-convert.js");
    const args = [`oci:${source}:v1`, `oci:${place.path}/out:x`, "--work-dir", work, "--jobs", String(jobs)];
    const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    const command = [...(isNobody === true ? asNobody : []), process.execPath, program, ...args];
    const run = spawnSync("sh", ["-c", `umask ${umask ?? "0022"}; exec "$@"`, "sh", ...command], {
      encoding: "utf8",
      env: { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", ...environment },
    });
    assert.equal(run.status, 0, run.stderr);
    return run.stdout.trim();
  }

  for (const host of HOSTS) {
    const skip = host.isNobody === true && process.getuid?.() !== 0 && "only root can become another user";
    it(`on a host with ${host.what}`, { skip }, async () => {
      assert.equal(await convertOn(host), expected);
    });
  }

  for (const [number, jobs] of ARRIVALS.entries()) {
    const seed = Math.floor(Math.random() * 2 ** 31);
    it(`with ${jobs} jobs in another order of arrival, no. ${number + 1}`, async (context) => {
      context.diagnostic(`seed ${seed}`);
      await using place = await temporaryDirectory();
      await using layout = openLayoutSource(source, "v1");
      const target = new LayoutTarget(join(place.path, "out"), { tag: "x" });
      const { digest } = await convert(scattered(layout, draws(seed)), target, place.path, { jobs });
      assert.equal(digest, expected, `seed ${seed}`);
    });
  }

  // Whoever changes one of these changes what every image becomes: users convert again, registries store again.
  const PINNED = {
    zstd: "sha256:8afe5e5cc5bb943783919b1521792ef6133bb0fa9bc23543105bb8b52de235b8",
    lz4_block: "sha256:f4cf86d573969137a669d9b82418e0ebdcb9ecbbbc242b972ede3acaf0d9a862",
    none: "sha256:e50e9fbb13f2f89a0fbf71a4289ec81b28383ce7d6bb2de56579d51df86c13a8",
  } as const;
  for (const [compressor, pinned] of Object.entries(PINNED)) {
    it(`on any machine and Node.js, to this day, with ${compressor}`, async () => {
      await using place = await temporaryDirectory();
      const path = join(place.path, "source");
      const description = { layers: 1, filesPerLayer: 20, fileSize: 300_000, isPlain: true };
      await writeLayeredSource(new LayoutTarget(path, { tag: "v1" }), description);
      await using layout = openLayoutSource(path, "v1");
      const target = new LayoutTarget(join(place.path, "out"), { tag: "x" });
      assert.equal((await convert(layout, target, place.path, { compressor })).digest, pinned);
    });
  }

  it("because no other version of an encoder is installed with this one", async () => {
    const { dependencies, optionalDependencies } = JSON.parse(
      await readFile(join(ROOT, "package.json"), "utf8"),
    );
    const versions = [dependencies["lz4-napi"], optionalDependencies["zstd-napi"]];
    for (const version of versions) assert.match(version, /^\d+\.\d+\.\d+$/);
  });

  it("also where there is no addon, as was tried here", () => {
    const program = join(directory.path, "bare", "dist", "cli", "nydus-convert.js");
    const args = [program, "--version", "--verbose", "--json"];
    const { addon, codecs } = JSON.parse(spawnSync(process.execPath, args, { encoding: "utf8" }).stdout);
    assert.deepEqual([/^none: /.test(addon), codecs.inflate.library], [true, "zlib"]);
  });
});
