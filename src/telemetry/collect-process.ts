import { readdir, readFile } from "node:fs/promises";
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import type { Collect } from "./metric-set.ts";

/** Milliseconds between two looks at the event loop. */
const LOOK_INTERVAL_MS = 20;

/** Collects what the kernel and Node know of this process, and of its parent. */
export function collectProcess(version: string): Collect {
  const delay = monitorEventLoopDelay({ resolution: LOOK_INTERVAL_MS });
  delay.enable();
  return async (metrics) => {
    const { user, system } = process.cpuUsage();
    metrics.set("nydus_build_info", { version, node: process.versions.node }, 1);
    metrics.set("nydus_event_loop_delay_seconds", {}, worstSeconds(delay));
    metrics.set("process_cpu_seconds_total", {}, (user + system) / 1e6);
    metrics.set("process_resident_memory_bytes", {}, process.memoryUsage.rss());
    metrics.set("process_start_time_seconds", {}, performance.timeOrigin / 1000);
    const [own, parent, fds] = await Promise.all([
      readPss(process.pid),
      readPss(process.ppid),
      readdir("/proc/self/fd").catch(() => []),
    ]);
    metrics.set("process_open_fds", {}, fds.length);
    if (own !== undefined) metrics.set("nydus_process_pss_bytes", { process: "daemon" }, own);
    if (parent !== undefined) metrics.set("nydus_process_pss_bytes", { process: "supervisor" }, parent);
  };
}

/** The longest delay since the last call. The time between two looks is no delay. */
function worstSeconds(delay: IntervalHistogram): number {
  const worst = delay.count === 0 ? 0 : Math.max(0, delay.max / 1e9 - LOOK_INTERVAL_MS / 1000);
  delay.reset();
  return worst;
}

/** The proportional set size of a process; undefined where the kernel does not tell it, or not us. */
async function readPss(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
  const kib = /^Pss:\s+(\d+) kB$/m.exec(text)?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}
