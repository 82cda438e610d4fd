import * as v from "valibot";
import { CodedError } from "../base/errors.ts";
import { checkShape } from "./shape.ts";
import type { NodeEvent } from "./supervisor-messages.ts";

/** Entries of a list in a request. */
const MAX_LIST = 1024;

const TEXT = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));
const ABSOLUTE = v.pipe(TEXT, v.startsWith("/"));
const SECRET = v.pipe(v.string(), v.maxLength(65_536));

/** What a registry wants to see; kept in memory only. */
const CREDENTIALS = v.variant("kind", [
  v.strictObject({ kind: v.literal("password"), username: SECRET, password: SECRET }),
  v.strictObject({ kind: v.literal("identity-token"), token: SECRET }),
]);

/** The engines of a node. */
export const NODE_ENGINES = ["auto", "erofs", "fuse"] as const;
export const PREFETCH_KINDS = ["none", "hints", "all"] as const;

export const MOUNT_REQUEST = v.strictObject({
  /** IMAGE as on the command line; or else `bootstrap` and `blobDirs`. */
  image: v.optional(TEXT),
  /** File of the bootstrap of a bare image, and where its blobs are. */
  bootstrap: v.optional(ABSOLUTE),
  blobDirs: v.optional(v.pipe(v.array(ABSOLUTE), v.maxLength(MAX_LIST))),
  blobId: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
  /** `os/arch[/variant]`. */
  platform: v.optional(TEXT),
  /** An existing directory. */
  mountpoint: ABSOLUTE,
  engine: v.optional(v.picklist(NODE_ENGINES)),
  prefetch: v.optional(v.picklist(PREFETCH_KINDS)),
  /** For the image's registry, before all others. */
  credentials: v.optional(CREDENTIALS),
});

export const PREFETCH_REQUEST = v.strictObject({
  mountpoint: ABSOLUTE,
  what: v.picklist(PREFETCH_KINDS),
});

export const CREDENTIALS_REQUEST = v.strictObject({
  /** `HOST[:PORT]`. */
  registry: TEXT,
  credentials: v.optional(CREDENTIALS),
});

export type MountRequest = v.InferOutput<typeof MOUNT_REQUEST>;
export type PrefetchRequest = v.InferOutput<typeof PREFETCH_REQUEST>;
export type CredentialsRequest = v.InferOutput<typeof CREDENTIALS_REQUEST>;

/** One mount of an image. */
export interface MountReply {
  readonly image: string;
  readonly mountpoint: string;
  readonly engine: "erofs" | "fuse";
  /** Why this engine and no other, for people. Absent for a mount that a predecessor made. */
  readonly reason?: string;
}

/** An image that the node serves. */
export interface ImageRow {
  readonly number: number;
  readonly name: string;
  readonly bootstrapDigest: string;
  readonly mounts: readonly { readonly mountpoint: string; readonly engine: "erofs" | "fuse" }[];
  /** Chunks and decoded bytes that came from the image's source, since this daemon process started. */
  readonly fetchedChunks: number;
  readonly fetchedBytes: number;
  readonly requests: number;
  /** Why it cannot be served, when it cannot. */
  readonly problem?: string;
}

/** A mount that died with an earlier supervisor and that somebody still uses. */
export interface StaleMount {
  readonly mountpoint: string;
  readonly image: string;
  /** Process ids, one for each mount namespace that still has it: their containers must be restarted. */
  readonly users: readonly number[];
}

export interface StatusReply {
  readonly version: string;
  readonly pid: number;
  readonly supervisorPid: number;
  readonly generation: number;
  readonly takeovers: number;
  readonly connection: number;
  /** Milliseconds since 1970. */
  readonly startedMs: number;
  /** Requests of the kernel, READs answered without waiting, and READs that waited for a chunk. */
  readonly fuse: { readonly requests: number; readonly cachedReads: number; readonly waitingReads: number };
  readonly images: readonly ImageRow[];
  readonly staleMounts: readonly StaleMount[];
}

/** Sizes are bytes. */
export interface CacheReply {
  readonly directory: string;
  /** Bytes on the disk, of all files of the cache. */
  readonly usedSize: number;
  readonly blobs: readonly {
    readonly id: string;
    readonly usedSize: number;
    readonly decodedSize: number;
    /** Whether an image that is mounted uses it. */
    readonly isMounted: boolean;
  }[];
}

export interface EventsReply {
  readonly events: readonly NodeEvent[];
}

/**
 * Reads a request.
 *
 * @throws {CodedError} ERR_OPTION_INVALID naming the field; values are not quoted, they may be secrets.
 */
export function parseRequest<Schema extends v.GenericSchema>(
  schema: Schema,
  body: unknown,
): v.InferOutput<Schema> {
  const checked = checkShape(schema, body);
  if ("value" in checked) return checked.value;
  const { key, wanted, isUnknown } = checked.fault;
  const what = isUnknown ? "there is no such field" : `wanted ${wanted}`;
  throw new CodedError("ERR_OPTION_INVALID", `${key || "request"}: ${what}`);
}
