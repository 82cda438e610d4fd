import { type TracingChannelSubscribers, tracingChannel } from "node:diagnostics_channel";
import { TRACE_POINTS, type TracePoint, type Traces } from "#src/base/trace-points.js";

/** Keeps what a trace point tells at the end of steps, until disposed. */
export function watchTraces<Point extends TracePoint>(
  point: Point,
): Disposable & {
  readonly ended: (Traces[Point] & { readonly error?: unknown; readonly result?: unknown })[];
} {
  const channel = tracingChannel<unknown, Traces[Point]>(TRACE_POINTS[point]);
  const ended: Traces[Point][] = [];
  const subscribers = { asyncEnd: (trace: Traces[Point]) => ended.push(trace) };
  const all = subscribers as unknown as TracingChannelSubscribers<Traces[Point]>;
  channel.subscribe(all);
  return { ended, [Symbol.dispose]: () => channel.unsubscribe(all) };
}
