import { CodedError } from "../base/errors.ts";

/** What kernel and server agreed in INIT, which comes once in the life of a connection: a successor is told of it. */
export interface SessionRecord {
  /** Of this record. A newer one is refused. */
  readonly version: 1;
  /** Minor version of the FUSE protocol that the kernel speaks. */
  readonly minor: number;
  /** Whether the kernel sends again, on FUSE_NOTIFY_RESEND, what a dead server left unanswered (Linux 6.9). */
  readonly canResend: boolean;
}

/**
 * Reads a record from JSON.
 *
 * @throws {CodedError} ERR_OPTION_INVALID.
 */
export function parseSessionRecord(value: unknown): SessionRecord {
  const { version, minor, canResend } = (value ?? {}) as Record<string, unknown>;
  if (version !== 1)
    throw new CodedError("ERR_OPTION_INVALID", `FUSE session record of version ${version}, expected 1`);
  if (!Number.isInteger(minor) || typeof canResend !== "boolean") {
    throw new CodedError("ERR_OPTION_INVALID", "FUSE session record without minor or canResend");
  }
  return { version, minor: minor as number, canResend };
}
