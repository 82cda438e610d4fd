import { CodedError, type ErrorCode, isCoded } from "../base/errors.ts";

/** An error on its way between threads, which do not share classes. */
export interface TaskFailure {
  /** Absent for a bug. */
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly stack: string | undefined;
}

/** What another thread can be told of an error. */
export function failureOf(error: unknown): TaskFailure {
  if (!(error instanceof Error)) return { code: undefined, message: String(error), stack: undefined };
  return { code: isCoded(error) ? error.code : undefined, message: error.message, stack: error.stack };
}

/** The error that a task ended with, as it was in its thread. */
export function taskError({ code, message, stack }: TaskFailure): Error {
  const error = code === undefined ? new Error(message) : new CodedError(code, message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
