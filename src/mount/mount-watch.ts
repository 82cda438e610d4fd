import { findMount, listMounts } from "./mount-table.ts";

/** Milliseconds between two looks at the mount table. */
const LOOK_INTERVAL_MS = 500;

/**
 * Watches a mount whose end nobody tells this process of: one that the kernel serves, say. Keeps the process alive as
 * long as the mount is there, and never touches the mount itself.
 */
export class MountWatch {
  /** Resolves when the mount was removed, whoever did it; never after {@link MountWatch.stop}. */
  readonly ended: Promise<void>;
  readonly #mountpoint: string;
  readonly #device: string | undefined;
  readonly #timer: NodeJS.Timeout;

  /** @param mountpoint As the mount table has it; something is mounted there. */
  constructor(mountpoint: string) {
    this.#mountpoint = mountpoint;
    this.#device = findMount(mountpoint)?.device;
    let resolveEnded: () => void;
    this.ended = new Promise((resolve) => {
      resolveEnded = resolve;
    });
    this.#timer = setInterval(() => {
      if (this.isThere) return;
      this.stop();
      resolveEnded();
    }, LOOK_INTERVAL_MS);
  }

  /** False when the mount is gone, also when another one has its place. */
  get isThere(): boolean {
    return listMounts(this.#mountpoint).some(({ device }) => device === this.#device);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
