import { tracingChannel } from "node:diagnostics_channel";
import type { ClientRequest } from "node:http";
import { type ExchangeTrace, TRACE_POINTS } from "../base/trace-points.ts";

// A channel belongs to the process: whoever names it gets the same.
const EXCHANGES = tracingChannel<unknown, ExchangeTrace>(TRACE_POINTS.exchange);

/** Tells the trace point `exchange`, while somebody listens, of a request that is about to be sent. */
export function traceExchange(outgoing: ClientRequest, url: URL): void {
  if (!EXCHANGES.hasSubscribers) return;
  const trace: ExchangeTrace & { error?: unknown } = {
    method: outgoing.method,
    host: url.host,
    path: url.pathname,
    receivedBytes: 0,
  };
  EXCHANGES.start.runStores(trace, () => undefined);
  let received = (): number => 0;
  outgoing.once("socket", (socket) => {
    // A kept connection has carried other answers.
    const before = socket.bytesRead;
    received = () => socket.bytesRead - before;
  });
  outgoing.once("response", ({ statusCode }) => {
    if (statusCode !== undefined) trace.status = statusCode;
  });
  outgoing.once("error", (error) => {
    trace.error = error;
  });
  // Comes last in any case: after the body, or after what broke off.
  outgoing.once("close", () => {
    trace.receivedBytes = received();
    EXCHANGES.asyncEnd.publish(trace);
  });
}
