/** What one error code means at each border of the program. */
interface ErrorRow {
  /** Name of the errno a filesystem caller sees. */
  readonly errno: string;
  /** gRPC status name. */
  readonly grpc: string;
  /** Exit status of a command: see docs/cli.md. */
  readonly exit: 1 | 2 | 3 | 4 | 5 | 130;
  /** Whether the same call may succeed a moment later. */
  readonly retryable: boolean;
}

/** Every error this program can report. A code is never reused with another meaning. */
export const ERRORS = {
  ERR_ABORTED: { errno: "EINTR", grpc: "CANCELLED", exit: 130, retryable: false },
  ERR_ADDON_MISSING: { errno: "ENOSYS", grpc: "UNIMPLEMENTED", exit: 5, retryable: false },
  ERR_ARCHIVE_CORRUPT: { errno: "EIO", grpc: "DATA_LOSS", exit: 4, retryable: false },
  ERR_BLOB_CORRUPT: { errno: "EIO", grpc: "DATA_LOSS", exit: 4, retryable: false },
  ERR_BLOB_NOT_FOUND: { errno: "EIO", grpc: "NOT_FOUND", exit: 5, retryable: false },
  ERR_BOOTSTRAP_CORRUPT: { errno: "EIO", grpc: "DATA_LOSS", exit: 4, retryable: false },
  ERR_CACHE_CORRUPT: { errno: "EIO", grpc: "DATA_LOSS", exit: 4, retryable: false },
  ERR_CACHE_IO: { errno: "EIO", grpc: "INTERNAL", exit: 5, retryable: false },
  ERR_CHUNK_CORRUPT: { errno: "EIO", grpc: "DATA_LOSS", exit: 4, retryable: false },
  ERR_CHUNK_NOT_FOUND: { errno: "EIO", grpc: "NOT_FOUND", exit: 5, retryable: false },
  ERR_CODEC_MISSING: { errno: "ENOSYS", grpc: "UNIMPLEMENTED", exit: 5, retryable: false },
  ERR_CODEC_FAILED: { errno: "EIO", grpc: "DATA_LOSS", exit: 4, retryable: false },
  ERR_CREDENTIALS_INVALID: { errno: "EACCES", grpc: "UNAUTHENTICATED", exit: 5, retryable: false },
  ERR_DAEMON_RUNNING: { errno: "EBUSY", grpc: "FAILED_PRECONDITION", exit: 2, retryable: false },
  ERR_DAEMON_UNAVAILABLE: { errno: "EIO", grpc: "UNAVAILABLE", exit: 5, retryable: true },
  ERR_DEADLINE_EXCEEDED: { errno: "EIO", grpc: "DEADLINE_EXCEEDED", exit: 5, retryable: true },
  ERR_DIGEST_MISMATCH: { errno: "EIO", grpc: "DATA_LOSS", exit: 4, retryable: false },
  ERR_FEATURE_UNSUPPORTED: { errno: "ENOTSUP", grpc: "UNIMPLEMENTED", exit: 2, retryable: false },
  ERR_IMAGE_DIFFERS: { errno: "EIO", grpc: "DATA_LOSS", exit: 4, retryable: false },
  ERR_IMAGE_INVALID: { errno: "EIO", grpc: "DATA_LOSS", exit: 4, retryable: false },
  ERR_IMAGE_NOT_FOUND: { errno: "ENOENT", grpc: "NOT_FOUND", exit: 5, retryable: false },
  ERR_LAYER_INVALID: { errno: "EIO", grpc: "DATA_LOSS", exit: 4, retryable: false },
  ERR_LIMIT_EXCEEDED: { errno: "EOVERFLOW", grpc: "RESOURCE_EXHAUSTED", exit: 4, retryable: false },
  ERR_MOUNT_FAILED: { errno: "EIO", grpc: "INTERNAL", exit: 5, retryable: false },
  ERR_OPTION_INVALID: { errno: "EINVAL", grpc: "INVALID_ARGUMENT", exit: 2, retryable: false },
  ERR_PATH_NOT_FOUND: { errno: "ENOENT", grpc: "NOT_FOUND", exit: 5, retryable: false },
  ERR_REGISTRY_DENIED: { errno: "EACCES", grpc: "PERMISSION_DENIED", exit: 5, retryable: false },
  ERR_REGISTRY_PROTOCOL: { errno: "EIO", grpc: "INTERNAL", exit: 5, retryable: false },
  ERR_SOURCE_UNAVAILABLE: { errno: "EIO", grpc: "UNAVAILABLE", exit: 5, retryable: true },
  ERR_STATE_CORRUPT: { errno: "EIO", grpc: "DATA_LOSS", exit: 4, retryable: false },
  ERR_STATE_TOO_NEW: { errno: "EIO", grpc: "FAILED_PRECONDITION", exit: 2, retryable: false },
  ERR_TARGET_EXISTS: { errno: "EEXIST", grpc: "ALREADY_EXISTS", exit: 2, retryable: false },
  ERR_TARGET_IO: { errno: "EIO", grpc: "INTERNAL", exit: 5, retryable: false },
  ERR_WORKER_FAILED: { errno: "EIO", grpc: "INTERNAL", exit: 1, retryable: false },
} as const satisfies Record<string, ErrorRow>;

/** One of the codes of {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS;

/** A failure with a stable code. The message says what, which one, and expected against found. */
export class CodedError extends Error {
  override readonly name = "CodedError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** True when `error` is a {@link CodedError}, and, when codes are given, has one of them. */
export function isCoded(error: unknown, ...codes: readonly ErrorCode[]): error is CodedError {
  return error instanceof CodedError && (codes.length === 0 || codes.includes(error.code));
}
