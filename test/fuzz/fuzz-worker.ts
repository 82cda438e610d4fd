import { parentPort, workerData } from "node:worker_threads";
import { type FuzzTarget, inputOf, isAccepted } from "./fuzz-target.ts";

/** What a worker is told. */
export interface FuzzOrder {
  /** URL of a module that exports `TARGETS`. */
  readonly module: string;
  readonly target: string;
  readonly seed: number;
  /** Number of the first input. */
  readonly first: number;
  readonly milliseconds: number;
  readonly maxFindings: number;
  /** One 32-bit number: the input at work. */
  readonly progress: SharedArrayBuffer;
}

/** What a worker tells. */
export type FuzzNews =
  | { readonly type: "finding"; readonly index: number; readonly message: string }
  | { readonly type: "end"; readonly next: number; readonly accepted: number };

/** CPU time of this process that no input may take. */
const MAX_CPU_MS = 2000;
/** Bytes that the process may grow by in one input. */
const MAX_GROWTH = 256 * 2 ** 20;

const order = workerData as FuzzOrder;
const { TARGETS } = (await import(order.module)) as { TARGETS: readonly FuzzTarget[] };
const target = TARGETS.find(({ name }) => name === order.target);
if (target === undefined) throw new RangeError(`no target ${order.target}`);
const corpus = target.corpus();
const progress = new Int32Array(order.progress);
const end = performance.now() + order.milliseconds;
const tell = (news: FuzzNews): void => parentPort?.postMessage(news);

let accepted = 0;
let index = order.first;
for (let findings = 0; performance.now() < end && findings < order.maxFindings; index++) {
  Atomics.store(progress, 0, index);
  const message = await tryInput(target, inputOf(target, corpus, order.seed, index));
  if (message === undefined) continue;
  findings++;
  tell({ type: "finding", index, message });
}
tell({ type: "end", next: index, accepted });

async function tryInput(tried: FuzzTarget, bytes: Uint8Array): Promise<string | undefined> {
  const cpuBefore = process.cpuUsage();
  const memoryBefore = process.memoryUsage.rss();
  try {
    if (await isAccepted(tried, bytes)) accepted++;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  const cpuMs = (user + system) / 1000;
  if (cpuMs > MAX_CPU_MS) return `took ${cpuMs.toFixed(0)} ms of CPU time`;
  const growth = process.memoryUsage.rss() - memoryBefore;
  return growth > MAX_GROWTH ? `made the process ${growth} bytes larger` : undefined;
}
