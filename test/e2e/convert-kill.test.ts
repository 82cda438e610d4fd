import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openLayoutSource } from "#src/layout/layout-source.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import { writeLayeredSource } from "../support/layered-source.ts";
import { type SeenRequest, TestRegistry } from "../support/registry.ts";
import { type CommandResult, runCommand } from "../support/run-command.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const SIGNALS = ["SIGKILL", "SIGTERM"] as const;

type Kill = (signal: NodeJS.Signals) => void;

/** Where a run is stopped: when an event was printed, or while the registry holds a request. */
type Moment =
  | { readonly event: string }
  | { readonly request: (seen: SeenRequest, blobs: number) => boolean };

const isUpload = ({ method, path }: SeenRequest): boolean =>
  ["PUT", "PATCH"].includes(method) && path.includes("/blobs/uploads/");

const MOMENTS: Readonly<Record<string, Moment>> = {
  "while layers are converted": { event: "layer-started" },
  "while the layers are merged": { event: "merge-started" },
  "in the middle of the first upload": { request: isUpload },
  "in the middle of an upload when others are there": {
    request: (seen, blobs) => isUpload(seen) && blobs >= 2,
  },
  "before the manifest": { request: ({ method, path }) => method === "PUT" && path.includes("/manifests/") },
};

const TAG = "/v2/app/manifests/nydus";

describe("nydus-convert, killed and started again", () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let registry: TestRegistry;
  let source = "";
  /** What an undisturbed run prints. */
  let expected = "";
  before(async () => {
    directory = await temporaryDirectory();
    registry = await TestRegistry.start();
    const path = join(directory.path, "source");
    // Each blob is larger than what a socket holds, so that a held upload is a half one.
    const description = { layers: 3, filesPerLayer: 4, fileSize: 3_000_000, isRandom: true };
    await writeLayeredSource(new LayoutTarget(path, { tag: "v1" }), description);
    source = `oci:${path}:v1`;
    expected = (await convert(`${registry.host}/undisturbed:nydus`, directory.path)).stdout;
    assert.match(expected, /^sha256:/);
  });
  after(async () => {
    await registry[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
  });

  const convert = (target: string, work: string, args: readonly string[] = [], kill?: (kill: Kill) => void) =>
    runCommand("nydus-convert", [source, target, "--work-dir", work, "--jobs", "2", "--quiet", ...args], {
      ...(kill !== undefined && { onOutput: (_text, now) => kill(now) }),
    });

  /** Runs to a moment and signals there. */
  async function convertUntil(
    moment: Moment,
    target: string,
    work: string,
    signal: NodeJS.Signals,
  ): Promise<CommandResult> {
    let kill: Kill | undefined;
    let isDone = false;
    const once = (): void => {
      if (!isDone) kill?.(signal);
      isDone = true;
    };
    if ("request" in moment) {
      registry.onRequest = async (seen) => {
        if (isDone || !moment.request(seen, registry.uploaded.length)) return;
        once();
        // Not answered before the other side has gone.
        await new Promise((resolve) => setTimeout(resolve, 500));
      };
    }
    return runCommand("nydus-convert", [source, target, "--work-dir", work, "--jobs", "1", "--json"], {
      onOutput: (text, now) => {
        kill = now;
        if ("event" in moment && text.includes(`"type":"${moment.event}"`)) once();
      },
    }).finally(() => assert.ok(isDone, "the moment never came"));
  }

  for (const [when, moment] of Object.entries(MOMENTS)) {
    // What follows SIGTERM depends less on the moment: these are enough.
    for (const signal of "event" in moment ? SIGNALS : SIGNALS.slice(0, 1)) {
      it(`${when} by ${signal}: the tag does not move, and no blob is uploaded twice`, async () => {
        await using work = await temporaryDirectory();
        registry.reset();
        registry.blobs.clear();
        const old = { mediaType: "application/vnd.oci.image.manifest.v1+json", bytes: Buffer.from("{}") };
        registry.manifests.set("app@nydus", old);

        const killed = await convertUntil(moment, `${registry.host}/app:nydus`, work.path, signal);
        assert.equal(registry.manifests.get("app@nydus"), old);
        const uploads = [...registry.uploaded];
        if (signal === "SIGTERM") {
          assert.equal(killed.status, 130);
          assert.equal(JSON.parse(killed.stderr).code, "ERR_ABORTED");
          assert.deepEqual(await readdir(work.path), []);
        } else {
          assert.equal(killed.status, null);
          assert.equal((await readdir(work.path)).length, 1);
        }

        registry.onRequest = undefined;
        registry.requests.length = 0;
        const again = await convert(`${registry.host}/app:nydus`, work.path);
        assert.deepEqual(again, { status: 0, stdout: expected, stderr: "" });
        assert.deepEqual(await readdir(work.path), []);
        assert.equal(new Set(registry.uploaded).size, registry.uploaded.length, "a blob was uploaded twice");
        const written = registry.requests.map(({ method, path, query }) => `${method} ${path}${query}`);
        for (const key of uploads) {
          const digest = key.slice("app@".length);
          assert.ok(!written.some((line) => /^(PUT|PATCH)/.test(line) && line.includes(digest)), digest);
        }
        assert.equal(written.at(-1), `PUT ${TAG}`);
      });
    }
  }

  it("says in its report what was there already", async () => {
    await using work = await temporaryDirectory();
    const path = join(work.path, "report.json");
    await convert(`${registry.host}/twice:nydus`, work.path);
    await convert(`${registry.host}/twice:nydus`, work.path, ["--report", path]);
    const { published, TargetImageSize } = JSON.parse(await readFile(path, "utf8"));
    const { presentSize, ...counts } = published;
    assert.deepEqual(counts, { writtenBlobs: 0, writtenSize: 0, presentBlobs: 4 });
    assert.ok(presentSize > 0.99 * TargetImageSize);
  });

  it("ends at once at a second ^C, whatever the first one waits for", async () => {
    await using work = await temporaryDirectory();
    // A disk that does not answer: the removal of the work directory never ends.
    const stuck = `import fs from "node:fs"; import { syncBuiltinESMExports } from "node:module";
      fs.promises.rm = () => new Promise(() => setInterval(() => {}, 1000)); syncBuiltinESMExports();`;
    const target = `${registry.host}/app:second`;
    let isSent = false;
    const { status } = await runCommand(
      "nydus-convert",
      [source, target, "--work-dir", work.path, "--json"],
      {
        environment: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(stuck)}` },
        onOutput: (_text, kill) => {
          if (isSent) return;
          isSent = true;
          kill("SIGINT");
          setTimeout(() => kill("SIGINT"), 1000);
        },
      },
    );
    assert.equal(status, 130);
    assert.equal((await readdir(work.path)).length, 1);
    assert.equal((await convert(target, work.path)).status, 0);
    assert.deepEqual(await readdir(work.path), []);
  });

  for (const kind of ["oci", "oci-archive"] as const) {
    it(`leaves ${kind}: targets as they were, with nothing half-written under a final name`, async () => {
      await using work = await temporaryDirectory();
      const target = `${kind}:${join(work.path, "target")}:nydus`;
      const delaysMs = [0, 4, 12, 30];
      for (const delayMs of delaysMs) {
        let isKilled = false;
        await runCommand("nydus-convert", [source, target, "--work-dir", work.path, "--json"], {
          onOutput: (text, kill) => {
            if (isKilled || !text.includes("publish-started")) return;
            isKilled = true;
            setTimeout(() => kill("SIGKILL"), delayMs);
          },
        });
        assert.ok(isKilled);
        await checkBlobs(join(work.path, "target", "blobs", "sha256"));
      }
      const { status, stdout } = await convert(target, work.path);
      assert.deepEqual({ status, stdout }, { status: 0, stdout: expected });
      assert.deepEqual(await readdir(work.path), ["target"]);
      if (kind === "oci-archive") return;
      assert.deepEqual((await readdir(join(work.path, "target"))).sort(), [
        "blobs",
        "index.json",
        "oci-layout",
      ]);
      await using image = openLayoutSource(join(work.path, "target"), "nydus");
      const { descriptor } = await image.resolve({ signal: AbortSignal.timeout(5000) });
      assert.equal(`${descriptor.digest}\n`, expected);
    });
  }
});

/** Every file of a folder has the content that its name says. */
async function checkBlobs(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const sha256 = createHash("sha256").update(await readFile(join(folder, name)));
    assert.equal(sha256.digest("hex"), name);
  }
}
