import { constants } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import * as v from "valibot";
import { CodedError } from "../base/errors.ts";
import { checkShape } from "./shape.ts";

/**
 * Format of the state file. A daemon reads every version up to its own and refuses later ones; a change that an older
 * daemon would misread raises it.
 */
export const STATE_VERSION = 1;

/** Bytes of a state file that are read: some 16,000 images. */
export const MAX_STATE_SIZE = 16 * 2 ** 20;

const PATH = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));
const NUMBER = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const MOUNT = v.object({
  mountpoint: PATH,
  /** What was asked for; what serves is in the mount table. */
  engine: v.picklist(["auto", "erofs", "fuse"]),
});

const IMAGE = v.object({
  /** Its directory on the FUSE filesystem; never given to another image while the filesystem is mounted. */
  number: NUMBER,
  /** As the user wrote it. */
  name: PATH,
  /** sha256 of the bootstrap, in hex. */
  bootstrapDigest: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  /** Id of the blob that the bootstrap was inlined in. */
  blobId: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
  /** Directories of the blobs of a bare image; absent when the image's name says where they are. */
  blobDirs: v.optional(v.array(PATH)),
  mounts: v.array(MOUNT),
});

const STATE = v.object({
  version: v.literal(STATE_VERSION),
  /** The FUSE connection that the mounts hang on, and what its kernel and we agreed on. */
  connection: v.optional(v.object({ number: NUMBER, session: v.unknown() })),
  /** The next image's number. */
  nextNumber: NUMBER,
  images: v.array(IMAGE),
});

/** An image that the node serves, as it is written down. It never holds credentials. */
export type SavedImage = v.InferOutput<typeof IMAGE>;

/** What a daemon needs to know to go on where another one ended. */
export type NodeState = v.InferOutput<typeof STATE>;

/** The state of a node that serves nothing. */
export const EMPTY_STATE: NodeState = { version: STATE_VERSION, nextNumber: 1, images: [] };

/**
 * Reads a state file; one that is not there is empty.
 *
 * @throws {CodedError} ERR_STATE_TOO_NEW when a later version wrote it, ERR_STATE_CORRUPT, ERR_TARGET_IO. The file
 *   stays as it is.
 */
export async function readState(path: string): Promise<NodeState> {
  const text = await readBounded(path);
  if (text === undefined) return EMPTY_STATE;
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch (cause) {
    throw new CodedError("ERR_STATE_CORRUPT", `state file ${path} is no JSON`, { cause });
  }
  const version = (found as { version?: unknown } | null)?.version;
  if (typeof version === "number" && version > STATE_VERSION) {
    throw new CodedError(
      "ERR_STATE_TOO_NEW",
      `state file ${path} has version ${version}, this release reads up to ${STATE_VERSION}`,
    );
  }
  const checked = checkShape(STATE, found);
  if ("value" in checked) return checked.value;
  const { key, wanted } = checked.fault;
  throw new CodedError("ERR_STATE_CORRUPT", `state file ${path}: ${key || "document"}: wanted ${wanted}`);
}

/**
 * Writes a state file: under its name stands either what was there or all of the new state, also after a power cut.
 *
 * @throws {CodedError} ERR_TARGET_IO.
 */
export async function writeState(path: string, state: NodeState): Promise<void> {
  const temporary = `${path}.new`;
  try {
    await rm(temporary, { force: true });
    const file = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      await file.writeFile(`${JSON.stringify(state, null, 1)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    const directory = await open(dirname(path), constants.O_RDONLY);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (cause) {
    throw new CodedError("ERR_TARGET_IO", `state file ${path}`, { cause });
  }
}

async function readBounded(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const { size } = await file.stat();
      if (size > MAX_STATE_SIZE) {
        throw new CodedError("ERR_STATE_CORRUPT", `state file ${path} has ${size} bytes`);
      }
      return await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    if (cause instanceof CodedError) throw cause;
    throw new CodedError("ERR_TARGET_IO", `state file ${path}`, { cause });
  }
}
