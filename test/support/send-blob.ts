import type { ServerResponse } from "node:http";
import type { Reply, TestRegistry } from "./registry.ts";
import { noFaults } from "./registry-faults.ts";

/** Answers a request for a blob, with the faults of the registry. */
export async function sendBlob(
  registry: TestRegistry,
  method: string,
  key: string,
  range: string | undefined,
  response: ServerResponse,
  reply: Reply,
): Promise<void> {
  const blob = registry.blobs.get(key);
  if (blob === undefined) return reply(404);
  const faults = blob.length < registry.faults.faultySize ? noFaults() : registry.faults;
  if (method === "HEAD") return reply(200, { "content-length": String(blob.length + faults.lengthLie) });
  if (faults.refuseRange !== undefined && range !== undefined) return reply(faults.refuseRange);
  const bytes = faults.wrongBytes ? flipped(blob) : blob;
  const asked = faults.ignoreRange ? null : /^bytes=(\d+)-(\d*)$/.exec(range ?? "");
  const start = asked === null ? 0 : Number(asked[1]);
  const end = asked === null || asked[2] === "" ? bytes.length : Math.min(bytes.length, Number(asked[2]) + 1);
  if (asked !== null && start >= bytes.length) {
    return reply(416, { "content-range": `bytes */${bytes.length}` });
  }
  const part = bytes.subarray(start, end);
  const headers: Record<string, string> = { "content-length": String(part.length + faults.lengthLie) };
  if (asked !== null)
    headers["content-range"] = `bytes ${start + faults.rangeLie}-${end - 1}/${bytes.length}`;
  response.writeHead(asked === null ? 200 : 206, headers);
  const isDropped = faults.dropTimes > 0 && part.length > (faults.dropAfter ?? Infinity);
  const sent = isDropped ? (faults.dropAfter ?? 0) : Math.min(part.length, faults.stallAfter ?? Infinity);
  const digest = key.slice(key.indexOf("@") + 1);
  registry.bytesSent.set(digest, (registry.bytesSent.get(digest) ?? 0) + sent);
  const { dripSize } = faults;
  if (dripSize !== undefined) return drip(part, dripSize, response);
  if (isDropped) {
    faults.dropTimes--;
    response.write(part.subarray(0, sent), () => response.destroy());
  } else if (sent < part.length) response.write(part.subarray(0, sent));
  else if (faults.lengthLie > 0) response.write(part, () => response.destroy());
  else response.end(part);
}

function flipped(blob: Buffer): Buffer {
  const bytes = Buffer.from(blob);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  return bytes;
}

async function drip(bytes: Buffer, size: number, response: ServerResponse): Promise<void> {
  for (let offset = 0; offset < bytes.length && !response.destroyed; offset += size) {
    response.write(bytes.subarray(offset, offset + size));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  response.end();
}
