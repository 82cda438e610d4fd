import { CodedError, isCoded } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { JsonServer } from "../net/json-server.ts";
import type { EventLog } from "../node/event-log.ts";
import { collectProcess } from "../telemetry/collect-process.ts";
import { countTraces } from "../telemetry/count-traces.ts";
import type { EventName } from "../telemetry/events.ts";
import { type Collect, MetricSet } from "../telemetry/metric-set.ts";
import { startSpans, wantsSpans } from "../telemetry/spans.ts";
import type { DaemonConfig } from "./daemon-config.ts";

/**
 * Metrics, health and spans of a daemon process, as far as its configuration asks for them. What fails here is
 * written down and changes nothing else.
 */
export class DaemonTelemetry implements AsyncDisposable {
  /** Whether the connection is served and the mounts are back. */
  isReady = false;
  readonly #config: DaemonConfig;
  readonly #log: EventLog;
  readonly #parts: (AsyncDisposable | Disposable)[] = [];
  #metrics: MetricSet | undefined;

  private constructor(config: DaemonConfig, log: EventLog) {
    this.#config = config;
    this.#log = log;
  }

  /** Starts to count and to trace; nothing is listened to yet. */
  static async start(config: DaemonConfig, log: EventLog): Promise<DaemonTelemetry> {
    const telemetry = new DaemonTelemetry(config, log);
    await telemetry.#orWriteDown("tracing.failed", () => telemetry.#startSpans());
    await telemetry.#orWriteDown("http.failed", () => telemetry.#startMetrics());
    return telemetry;
  }

  /**
   * Answers `/metrics`, `/healthz` and `/readyz` from now on, where the configuration says so.
   *
   * @param collect Brings the metrics of the daemon.
   */
  async listen(collect: Collect): Promise<void> {
    const { listen } = this.#config.http;
    const metrics = this.#metrics;
    if (metrics === undefined || listen === undefined) return;
    metrics.onScrape(collect);
    metrics.onScrape(() => metrics.set("nydus_ready", {}, this.isReady ? 1 : 0));
    const server = new JsonServer({
      routes: {
        "GET /metrics": () => metrics.text(),
        "GET /healthz": () => "ok\n",
        "GET /readyz": () => {
          if (!this.isReady) throw new CodedError("ERR_DAEMON_UNAVAILABLE", "mounts are being restored");
          return "ok\n";
        },
      },
      onError: (error) => this.#log.add("call.failed", { message: String(error) }),
    });
    await this.#orWriteDown("http.failed", async () => {
      const address = await server.listenTcp(listen.host, listen.port);
      this.#parts.push(server);
      this.#log.add("http.listening", { address });
    });
  }

  /** Listens no more, and sends the spans that are left. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(
      this.#parts.map((part) =>
        Symbol.asyncDispose in part ? part[Symbol.asyncDispose]() : part[Symbol.dispose](),
      ),
    );
  }

  async #startSpans(): Promise<void> {
    const { endpoint } = this.#config.tracing;
    if (endpoint === undefined && !wantsSpans(process.env)) return;
    const spans = await startSpans({
      version: VERSION,
      onError: (error) => this.#writeDown("tracing.failed", error),
      ...(endpoint !== undefined && { endpoint }),
    });
    this.#parts.push(spans);
    this.#log.add("tracing.started", { endpoint: endpoint ?? "of the environment" });
  }

  async #startMetrics(): Promise<void> {
    const { listen, hungReadAfterMs } = this.#config.http;
    if (listen === undefined) return;
    const metrics = await MetricSet.load();
    metrics.onScrape(collectProcess(VERSION));
    this.#parts.push(countTraces(metrics, { hungReadAfterMs }));
    this.#metrics = metrics;
  }

  async #orWriteDown(event: EventName, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#writeDown(event, error);
    }
  }

  #writeDown(event: EventName, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#log.add(event, { code: isCoded(error) ? error.code : "ERR_UNCLASSIFIED", message });
  }
}
