/** How much an event matters. */
export type EventLevel = "info" | "warn" | "error";

interface EventRow {
  readonly level: EventLevel;
  readonly help: string;
}

/**
 * Every event that the processes of a node write down, as the field `event` of a line of JSON on stderr and in
 * `GET /v1/events`: docs/metrics.md is made of it. Names are stable.
 */
export const EVENTS = {
  "supervisor.started": {
    level: "info",
    help: "The supervisor holds a FUSE connection (`isKept`: one of before).",
  },
  "supervisor.stopped": { level: "info", help: "It ends; `mountsStay` for the next one." },
  "connection.aborted": { level: "error", help: "Readers got an error: `reason`." },
  "daemon.serving": { level: "info", help: "A daemon process answers the kernel." },
  "daemon.died": { level: "error", help: "A daemon process ended that nobody had asked to: `how`." },
  "daemon.silent": { level: "error", help: "A daemon process gave no sign for 30 s and is killed." },
  "daemon.failed": { level: "error", help: "A daemon process gives up: `code`, `message`." },
  "upgrade.started": { level: "info", help: "A successor is started from `entry`." },
  "upgrade.failed": { level: "error", help: "It did not start; its predecessor serves on." },
  "image.mounted": { level: "info", help: "`image` at `mountpoint` by `engine`, in `ms`." },
  "image.unmounted": { level: "info", help: "What was mounted at `mountpoint` is not any more." },
  "image.failed": {
    level: "error",
    help: "An image of the state file could not be opened; it stays in the file.",
  },
  "mount.failed": {
    level: "error",
    help: "A mount of the state file could not be made again; it stays in the file.",
  },
  "mount.stale": {
    level: "warn",
    help: "A dead mount is still used by the processes `users`: restart their containers.",
  },
  "read.failed": { level: "error", help: "A reader got an error: `code`, `message`." },
  "prefetch.failed": { level: "warn", help: "Fetching ahead ended early: `code`, `message`." },
  "call.failed": { level: "error", help: "A call of an API met a bug." },
  "config.reloaded": { level: "info", help: "Configuration and credentials were read again." },
  "reload.failed": { level: "error", help: "They could not be read; those of before stay." },
  "credentials.changed": { level: "info", help: "Credentials for `registry` were given or taken." },
  "http.listening": { level: "info", help: "Metrics and health are answered at `address`." },
  "http.failed": { level: "error", help: "They are not: `code`, `message`. Everything else goes on." },
  "tracing.started": { level: "info", help: "Spans are exported to `endpoint`." },
  "tracing.failed": { level: "error", help: "Some were not: `code`, `message`. Everything else goes on." },
} as const satisfies Record<string, EventRow>;

export type EventName = keyof typeof EVENTS;
