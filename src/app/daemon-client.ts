import { setTimeout as delay } from "node:timers/promises";
import { CodedError, isCoded } from "../base/errors.ts";
import type { ControlClient } from "../node/control-client.ts";
import type { StatusReply } from "../node/control-messages.ts";

export { ControlClient } from "../node/control-client.ts";
export type { CacheReply, MountReply, MountRequest, StatusReply } from "../node/control-messages.ts";
export { NODE_ENGINES, PREFETCH_KINDS } from "../node/control-messages.ts";
export type { NodeEvent } from "../node/supervisor-messages.ts";

const POLL_INTERVAL_MS = 100;

/**
 * Asks for an upgrade and waits until the successor serves.
 *
 * @throws {CodedError} ERR_DEADLINE_EXCEEDED when it does not within `timeoutMs`: the old one serves on then.
 */
export async function upgradeDaemon(
  client: ControlClient,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<StatusReply> {
  const before = await client.status(signal);
  await client.upgrade(signal);
  const end = performance.now() + timeoutMs;
  while (performance.now() < end) {
    await delay(POLL_INTERVAL_MS);
    try {
      const now = await client.status(signal);
      if (now.pid !== before.pid) return now;
    } catch (error) {
      // The one that was asked has just left.
      if (!isCoded(error, "ERR_DAEMON_UNAVAILABLE")) throw error;
    }
  }
  throw new CodedError("ERR_DEADLINE_EXCEEDED", `daemon ${before.pid} was not replaced in ${timeoutMs} ms`);
}
