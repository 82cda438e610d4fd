/** What the supervisor and a daemon process tell each other over the channel between them. */

/** Descriptors that a daemon process inherits. Its standard output and error are the supervisor's. */
export const INHERITED_FDS = { channel: 3, fuse: 4, control: 5 } as const;

/** Something that happened to the node daemon, for people and for `GET /v1/events`. */
export interface NodeEvent {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** Stable and dotted: `daemon.died`, `image.mounted`. */
  readonly event: string;
  readonly [field: string]: string | number | boolean | undefined;
}

/** What a daemon process starts with. */
export interface StartMessage {
  readonly type: "start";
  /** How many daemon processes this supervisor has started, this one included. */
  readonly generation: number;
  /** How many of them took over from another one. */
  readonly takeovers: number;
  /** Number of the FUSE connection in /sys/fs/fuse/connections. */
  readonly connection: number;
  /** Where the FUSE filesystem of the node is mounted. */
  readonly mountDirectory: string;
  /** Whether the listening control socket is inherited, as descriptor `INHERITED_FDS.control`. */
  readonly hasControlSocket: boolean;
  /** What the predecessor wanted its successor to know and nobody else: never written anywhere. */
  readonly secrets: string | undefined;
  /** The last events, oldest first. */
  readonly events: readonly NodeEvent[];
}

export type SupervisorMessage =
  | StartMessage
  /** Serve: nobody else does any more. `isFresh` when nobody has ever answered on this connection. */
  | { readonly type: "take"; readonly isFresh: boolean }
  /** Answer what you hold, write down what is ready, and end. Take the mounts away first when `unmount` is set. */
  | { readonly type: "leave"; readonly unmount: boolean }
  /** Read the configuration and the credentials again. */
  | { readonly type: "reload" }
  /** Say where the successor's program is ({@link DaemonMessage} `upgrade`). */
  | { readonly type: "prepare-upgrade" }
  | { readonly type: "ping" };

export type DaemonMessage =
  /** Everything is ready to be served; waits for `take`. */
  | { readonly type: "loaded" }
  /** Requests are answered. `canResend` when the kernel repeats to a successor what this process leaves unanswered. */
  | { readonly type: "serving"; readonly canResend: boolean }
  /** Start a successor from this file and hand over. */
  | { readonly type: "upgrade"; readonly entry: string }
  /** To be given to every successor. */
  | { readonly type: "secrets"; readonly secrets: string }
  | { readonly type: "pong" }
  | { readonly type: "event"; readonly event: NodeEvent };
