import { destination, pino } from "pino";
import { EVENTS, type EventName } from "./events.ts";

/** Names of fields whose values are never written, wherever they stand. */
const SECRET_FIELDS = [
  "password",
  "identityToken",
  "token",
  "secret",
  "secrets",
  "authorization",
  "credentials",
];

/** Writes an event as one line of JSON: `level`, `timeMs`, `event`, and its fields. */
export type WriteEvent = (row: { readonly timeMs: number; readonly event: EventName }) => void;

/**
 * Writes events with pino to a descriptor, each before this returns: the process may be killed at any time.
 *
 * @param fd 2 for stderr.
 */
export function openJsonLog(fd: number): WriteEvent {
  const log = pino(
    {
      base: null,
      timestamp: false,
      formatters: { level: (level) => ({ level }) },
      redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`]), censor: "***" },
    },
    destination({ fd, sync: true }),
  );
  return (row) => log[EVENTS[row.event].level](row);
}
