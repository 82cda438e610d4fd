import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A span as OTLP has it in JSON, as far as tests look at it. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Absent or empty for a root. */
  readonly parentSpanId?: string;
  readonly name: string;
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
  readonly status: { readonly code?: number };
}

/** A small OTLP receiver: keeps the spans that are sent to it as JSON. */
export class SpanReceiver implements AsyncDisposable {
  readonly spans: ReceivedSpan[] = [];
  /** Answers what is sent. */
  status = 200;
  /** Attributes of the resources that sent. */
  readonly resources = new Map<string, unknown>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer(async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
      const isSpans = request.method === "POST" && request.url === "/v1/traces";
      if (isSpans) this.#take(JSON.parse(Buffer.concat(parts).toString("utf8")));
      response.writeHead(isSpans ? this.status : 404, { "content-type": "application/json" }).end("{}");
    });
  }

  static async start(): Promise<SpanReceiver> {
    const receiver = new SpanReceiver();
    receiver.#server.listen(0, "127.0.0.1");
    await once(receiver.#server, "listening");
    return receiver;
  }

  /** Base URL, for OTEL_EXPORTER_OTLP_ENDPOINT. */
  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Names from a span up to its root. */
  chainOf(span: ReceivedSpan): string[] {
    const parent = this.spans.find(
      ({ spanId, traceId }) => spanId === span.parentSpanId && traceId === span.traceId,
    );
    return [span.name, ...(parent === undefined ? [] : this.chainOf(parent))];
  }

  /** The values of a span's attributes. */
  attributesOf(span: ReceivedSpan): Record<string, unknown> {
    return Object.fromEntries(span.attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #take(message: {
    readonly resourceSpans: readonly {
      readonly resource: Pick<ReceivedSpan, "attributes">;
      readonly scopeSpans: readonly { readonly spans: readonly ReceivedSpan[] }[];
    }[];
  }): void {
    for (const { resource, scopeSpans } of message.resourceSpans) {
      for (const { key, value } of resource.attributes) this.resources.set(key, Object.values(value)[0]);
      for (const { spans } of scopeSpans) this.spans.push(...spans);
    }
  }
}
