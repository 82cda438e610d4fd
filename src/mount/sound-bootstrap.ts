import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { findFault } from "./bootstrap-fault.ts";
import { ErofsUnusable } from "./erofs-engine.ts";

/** Bytes of a bootstrap that is checked on the spot, in a few milliseconds: a thread costs more. */
const SMALL_BOOTSTRAP = 2 ** 18;

/**
 * Refuses a bootstrap that our own check finds a fault in: a hostile image must not reach the kernel's parser. Ours
 * bounds everything it reads. A large one takes most of a second for 80,000 names, and is checked on a thread of its
 * own: this one has readers to answer.
 *
 * @param bootstrap In a SharedArrayBuffer.
 * @throws {ErofsUnusable}
 */
export async function requireSound(bootstrap: Uint8Array): Promise<void> {
  const fault = bootstrap.length <= SMALL_BOOTSTRAP ? findFault(bootstrap) : await findFaultAside(bootstrap);
  if (fault !== undefined) throw new ErofsUnusable(`the bootstrap is not sound: ${fault}`);
}

async function findFaultAside(bootstrap: Uint8Array): Promise<string | undefined> {
  const url = new URL("./bootstrap-check-worker.js", import.meta.url);
  const worker = new Worker(url, { workerData: bootstrap });
  try {
    const [fault] = (await once(worker, "message")) as [string | null];
    return fault ?? undefined;
  } finally {
    await worker.terminate();
  }
}
