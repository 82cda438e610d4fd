import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { TestRegistry } from "./registry.ts";

/** How a read in a process of its own ended. */
export interface ReadEnd {
  readonly status: number | null;
  readonly stderr: string;
  /** Whether it gave the bytes of the original. */
  readonly isRight: boolean;
}

/** A read that waits for bytes of a registry, which holds them back. */
export interface InFlightRead {
  /** Lets the registry answer. */
  release(): void;
  readonly ended: Promise<ReadEnd>;
  /** Whether it has ended. */
  isOver(): boolean;
}

/**
 * Begins to read a file that is not cached, and returns when the registry was asked for its bytes, which come only after
 * `release`: a READ is in flight in the kernel, and a fetch in the daemon.
 *
 * @throws when the registry is not asked within 10 s.
 */
export async function startInFlightRead(
  registry: TestRegistry,
  mountpoint: string,
  original: string,
  name: string,
): Promise<InFlightRead> {
  let release = (): void => undefined;
  registry.faults.hold = new Promise((resolve) => {
    release = resolve;
  });
  const before = blobRequests(registry);
  const child = spawn("cat", [join(mountpoint, name)], { stdio: ["ignore", "pipe", "pipe"] });
  const digest = createHash("sha256");
  let stderr = "";
  child.stdout.on("data", (part: Buffer) => digest.update(part));
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ended = once(child, "close").then(([status]): ReadEnd => {
    const wanted = createHash("sha256")
      .update(readFileSync(join(original, name)))
      .digest("hex");
    return { status: status as number | null, stderr, isRight: digest.digest("hex") === wanted };
  });
  for (let tries = 0; blobRequests(registry) === before; tries++) {
    if (tries > 1000 || child.exitCode !== null) {
      release();
      throw new Error(`reading ${name} asked the registry for nothing: ${stderr}`);
    }
    await delay(10);
  }
  return { release, ended, isOver: () => child.exitCode !== null };
}

function blobRequests({ requests }: TestRegistry): number {
  return requests.filter(({ path }) => path.includes("/blobs/")).length;
}
