import { CommanderError } from "commander";
import { CodedError, ERRORS, type ErrorCode } from "../base/errors.ts";

/** A failure as it leaves the program. */
export interface Failure {
  /** Exit status: see docs/cli.md. */
  readonly exit: number;
  readonly code: ErrorCode | "ERR_UNCLASSIFIED";
  /** One line. */
  readonly message: string;
}

const USAGE = 2;
const UNCLASSIFIED = 1;

/** What an error means at the border of the program. */
export function failureOf(error: unknown): Failure {
  // What failed while the remains of a failure were cleaned up is not what the user must know first.
  if (isSuppressing(error)) return failureOf(error.suppressed);
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, "");
    return { exit: USAGE, code: "ERR_OPTION_INVALID", message: oneLine(message) };
  }
  if (error instanceof CodedError) {
    return { exit: ERRORS[error.code].exit, code: error.code, message: oneLine(messageWithCause(error)) };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { exit: UNCLASSIFIED, code: "ERR_UNCLASSIFIED", message: oneLine(message) };
}

/** An error of an `await using` scope that was left because of another one. */
function isSuppressing(error: unknown): error is Error & { readonly suppressed: unknown } {
  return error instanceof Error && error.name === "SuppressedError" && "suppressed" in error;
}

/** The message with the ones of its causes that say something new, such as the system's reason. */
function messageWithCause(error: Error): string {
  let message = error.message;
  let cause = error.cause;
  for (let depth = 0; depth < 5 && cause instanceof Error; depth++) {
    if (!(cause instanceof CodedError && cause.code === "ERR_ABORTED") && !message.includes(cause.message)) {
      // "cannot be written: ENOSPC" and its cause "ENOSPC: no space left on device" name the errno once.
      const errno = /^E[A-Z0-9]+(?=: )/.exec(cause.message)?.[0];
      if (errno !== undefined && message.endsWith(`: ${errno}`))
        message = message.slice(0, -errno.length - 2);
      message += `: ${cause.message}`;
    }
    cause = cause.cause;
  }
  return message;
}

/** Names in messages come from strangers: control characters would move the terminal's cursor. */
function oneLine(message: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  return message.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ").trim();
}
