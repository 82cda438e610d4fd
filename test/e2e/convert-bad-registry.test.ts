import assert from "node:assert/strict";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { ErrorCode } from "#src/base/errors.js";
import { LayoutTarget } from "#src/layout/layout-target.js";
import { HttpClient } from "#src/net/http-client.js";
import { ANONYMOUS } from "#src/registry/credentials.js";
import { RegistrySource } from "#src/registry/registry-source.js";
import { RegistryTarget } from "#src/registry/registry-target.js";
import { convert } from "../support/converted-image.ts";
import { readFixture } from "../support/fixtures.ts";
import { TestRegistry } from "../support/registry.ts";
import type { Faults } from "../support/registry-faults.ts";
import { plainLayer, writeSourceImage } from "../support/source-image.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** Milliseconds that a conversion of a few KiB may take beside its timeouts and waits. */
const SOON_MS = 20_000;

describe("a conversion from a registry that", () => {
  const faults: readonly (readonly [string, Partial<Faults>, ErrorCode])[] = [
    ["falls silent in a layer", { stallAfter: 100 }, "ERR_SOURCE_UNAVAILABLE"],
    ["drips", { dripSize: 1 }, "ERR_SOURCE_UNAVAILABLE"],
    ["resets every download", { dropAfter: 100, dropTimes: 1e9 }, "ERR_SOURCE_UNAVAILABLE"],
    ["sends fewer bytes than it has", { lengthLie: -512 }, "ERR_DIGEST_MISMATCH"],
    ["sends wrong bytes", { wrongBytes: true }, "ERR_DIGEST_MISMATCH"],
    ["is too busy", { failNext: Array<number>(99).fill(503) }, "ERR_SOURCE_UNAVAILABLE"],
  ];
  for (const [what, fault, code] of faults) {
    it(`${what} fails with ${code} in time, and leaves nothing behind`, async () => {
      await using directory = await temporaryDirectory();
      await using registry = await TestRegistry.start();
      await using http = new HttpClient({
        idleTimeoutMs: 400,
        rate: { minimumRate: 1e5, windowMs: 300 },
      });
      const dependencies = { http, credentials: ANONYMOUS };
      const reference = { registry: registry.host, repository: "app", tag: "v1" };
      const layers = [plainLayer(readFixture("golden", "made", "layer1.tar"))];
      await writeSourceImage(new RegistryTarget(dependencies, reference), { layers });
      Object.assign(registry.faults, { faultySize: 4096 }, fault);
      const retry = { attempts: 3, firstDelayMs: 10, maxDelayMs: 10, deadlineMs: 5000 };
      const work = join(directory.path, "work");
      const out = join(directory.path, "out");
      await mkdir(work);
      const began = performance.now();
      await assert.rejects(
        convert(
          new RegistrySource(dependencies, reference, { retry }),
          new LayoutTarget(out, { tag: "v1" }),
          work,
        ),
        { code },
      );
      assert.ok(performance.now() - began < SOON_MS);
      assert.deepEqual(await readdir(work), []);
      assert.deepEqual(await readdir(directory.path), ["work"]);
    });
  }
});
