import { addon } from "../native/addon.ts";

/** Names of the descriptors that systemd keeps for us or hands to us: FDNAME= and FileDescriptorName=. */
export const STORED_FUSE = "fuse";
export const CONTROL_SOCKET = "control";

/** First descriptor that systemd passes, see sd_listen_fds(3). */
const FIRST_FD = 3;
/** Descriptors that are looked at. */
const MAX_FDS = 64;

/** What systemd told this process in its environment; empty where there is no systemd. */
export interface Systemd {
  /** Descriptors by name. */
  readonly fds: ReadonlyMap<string, number>;
  /** Whether systemd keeps descriptors for a later start of this unit. */
  readonly hasFdStore: boolean;
  /**
   * Sends states such as `READY=1`, with a descriptor to be kept when one is given. Does nothing without systemd.
   *
   * @see sd_notify(3)
   */
  notify(state: string, fd?: number): void;
}

/** Reads LISTEN_FDS and NOTIFY_SOCKET. */
export function readSystemd(environment: Readonly<Record<string, string | undefined>>): Systemd {
  const { LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES = "", NOTIFY_SOCKET, FDSTORE } = environment;
  const count = Number(LISTEN_PID) === process.pid ? Math.min(Number(LISTEN_FDS) || 0, MAX_FDS) : 0;
  const names = LISTEN_FDNAMES.split(":");
  const fds = new Map(Array.from({ length: count }, (_, at) => [names[at] ?? "", FIRST_FD + at]));
  const native = addon();
  const canNotify = NOTIFY_SOCKET !== undefined && NOTIFY_SOCKET !== "" && native !== undefined;
  return {
    fds,
    hasFdStore: canNotify && Number(FDSTORE) > 0,
    notify(state, fd) {
      if (!canNotify) return;
      // A name that starts with @ is in the abstract namespace, where it starts with a zero byte.
      const socket = Buffer.from(NOTIFY_SOCKET.replace(/^@/, "\0"));
      try {
        native.sendDatagram(socket, Buffer.from(state), fd);
      } catch {
        // The service manager went away: nobody is left to be told.
      }
    },
  };
}
