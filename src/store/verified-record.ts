import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { writeFileWhole } from "./cache-file.ts";

/** Another number means another program wrote the record: it is ignored, never deleted. */
const VERSION = 1;
const MAX_RECORD_SIZE = 4096;

/** What a cache file was when every chunk of it was verified. */
export interface VerifiedRecord {
  /** Bytes. */
  readonly size: number;
  /** Time of modification in nanoseconds since 1970, in decimal. */
  readonly mtimeNs: string;
  /** sha256 over the digests of all chunks, in hex: another image may claim other bytes under this blob id. */
  readonly chunkDigests: string;
}

/** The record at `path`; absent when there is none that this version understands. */
export async function readVerifiedRecord(path: string): Promise<VerifiedRecord | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_RECORD_SIZE), 0, MAX_RECORD_SIZE, 0);
      return parse(buffer.toString("utf8", 0, bytesRead));
    } finally {
      await file.close();
    }
  } catch {
    // The record only saves work: whatever is wrong with it, the chunks are verified again.
    return undefined;
  }
}

/**
 * Writes the record.
 *
 * @throws {CodedError} ERR_CACHE_IO.
 */
export async function writeVerifiedRecord(path: string, record: VerifiedRecord): Promise<void> {
  await writeFileWhole(path, Buffer.from(`${JSON.stringify({ version: VERSION, ...record })}\n`));
}

function parse(text: string): VerifiedRecord | undefined {
  const found = JSON.parse(text) as Record<string, unknown> | null;
  const { version, size, mtimeNs, chunkDigests } = found ?? {};
  const isValid =
    version === VERSION &&
    typeof size === "number" &&
    typeof mtimeNs === "string" &&
    typeof chunkDigests === "string";
  return isValid ? { size, mtimeNs, chunkDigests } : undefined;
}
