import { Worker } from "node:worker_threads";
import type { FuzzNews, FuzzOrder } from "./fuzz-worker.ts";

/** One input that a target did not stand. */
export interface FuzzFinding {
  readonly index: number;
  readonly message: string;
}

/** What became of a target. */
export interface FuzzResult {
  readonly inputs: number;
  readonly accepted: number;
  readonly findings: readonly FuzzFinding[];
}

export interface FuzzOptions {
  /** URL of a module that exports `TARGETS`. */
  readonly module: string;
  readonly seed: number;
  readonly milliseconds: number;
  /** Number of the first input. @default 0 */
  readonly first?: number;
  /** An input that takes more CPU time hangs: a loaded machine makes none hang. @default 10000 */
  readonly hangMs?: number;
  /** Stop after so many. @default 10 */
  readonly maxFindings?: number;
}

/** Wall time that no input takes, however loaded the machine is: it waits for what does not come. */
const MAX_WALL_MS = 180_000;
const LOOK_MS = 250;
const MAX_HEAP_MB = 1024;

/**
 * Gives a target one input after the other for some time, in a thread of its own: an input that hangs or takes all
 * memory ends that thread and is a finding, and the next thread goes on behind it.
 */
export async function runTarget(target: string, options: FuzzOptions): Promise<FuzzResult> {
  const { module, seed, milliseconds, hangMs = 10_000, maxFindings = 10 } = options;
  const end = performance.now() + milliseconds;
  const findings: FuzzFinding[] = [];
  const first = options.first ?? 0;
  let next = first;
  let accepted = 0;
  do {
    const left = Math.max(1, end - performance.now());
    const limits = { milliseconds: left, maxFindings: maxFindings - findings.length };
    const run = await runThread({ module, target, seed, first: next, ...limits }, hangMs, findings);
    next = run.next;
    accepted += run.accepted;
  } while (performance.now() < end && findings.length < maxFindings);
  return { inputs: next - first, accepted, findings };
}

function runThread(
  order: Omit<FuzzOrder, "progress">,
  hangMs: number,
  findings: FuzzFinding[],
): Promise<{ next: number; accepted: number }> {
  const progress = new Int32Array(new SharedArrayBuffer(4));
  progress[0] = order.first;
  const worker = new Worker(new URL("./fuzz-worker.js", import.meta.url), {
    workerData: { ...order, progress: progress.buffer } satisfies FuzzOrder,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  return new Promise((resolve) => {
    let last = order.first;
    let since = performance.now();
    let cpuSince = process.cpuUsage();
    let isDone = false;
    const finish = (result: { next: number; accepted: number }): void => {
      if (isDone) return;
      isDone = true;
      clearInterval(watch);
      void worker.terminate().then(() => resolve(result));
    };
    const fail = (message: string): void => {
      const index = Atomics.load(progress, 0);
      if (!isDone) findings.push({ index, message });
      finish({ next: index + 1, accepted: 0 });
    };
    const watch = setInterval(() => {
      const index = Atomics.load(progress, 0);
      if (index !== last) {
        last = index;
        since = performance.now();
        cpuSince = process.cpuUsage();
        return;
      }
      const { user, system } = process.cpuUsage(cpuSince);
      const hangs = (user + system) / 1000 > hangMs || performance.now() - since > MAX_WALL_MS;
      if (hangs) fail(`hangs for over ${hangMs} ms of CPU time`);
    }, LOOK_MS);
    worker.on("error", (error) => fail(`ended its thread: ${error.stack ?? error.message}`));
    worker.on("exit", () => fail("ended its thread"));
    worker.on("message", (news: FuzzNews) => {
      if (news.type === "finding") findings.push({ index: news.index, message: news.message });
      else finish({ next: news.next, accepted: news.accepted });
    });
  });
}
