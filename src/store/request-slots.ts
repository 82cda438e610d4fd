import { abortedError, throwIfAborted } from "../base/abort.ts";
import { integerOption } from "../base/options.ts";
import type { FetchOptions } from "./chunk-source.ts";

/** How many requests a place gets at once. */
export interface RequestSlotsOptions {
  /** Requests that readers wait for. @default 8 */
  readonly demand?: number;
  /** Requests of prefetches, beside those; none is begun while a reader waits. @default 2 */
  readonly prefetch?: number;
}

type Urgency = Pick<FetchOptions, "class" | "promoted" | "signal">;

interface Waiting {
  readonly go: () => void;
}

/**
 * The requests under way at one place. What readers demand goes first: a prefetch takes no slot of theirs, begins only
 * when none of them waits or is served, and stops in between as soon as one does.
 */
export class RequestSlots {
  readonly #demandWidth: number;
  readonly #prefetchWidth: number;
  #demanded = 0;
  #prefetched = 0;
  readonly #waitingDemand: Waiting[] = [];
  readonly #waitingPrefetch: Waiting[] = [];
  readonly #paused: Waiting[] = [];

  constructor(options: RequestSlotsOptions = {}) {
    this.#demandWidth = integerOption("demand requests", options.demand ?? 8, 1, 1024);
    this.#prefetchWidth = integerOption("prefetch requests", options.prefetch ?? 2, 1, 1024);
  }

  /**
   * Runs a request when there is a slot for it. A prefetch that is promoted while it waits goes on as a demand.
   *
   * @param request Given a function to be awaited between two steps: there a prefetch waits until no reader does.
   * @throws {CodedError} ERR_ABORTED when the signal fires first, and what the request throws.
   */
  async run<Result>(
    urgency: Urgency,
    request: (pause: () => Promise<void>) => Promise<Result>,
  ): Promise<Result> {
    throwIfAborted(urgency.signal);
    const isDemand = await this.#enter(urgency);
    try {
      return await request(() => this.#pause(urgency));
    } finally {
      if (isDemand) this.#demanded--;
      else this.#prefetched--;
      this.#admit();
    }
  }

  /** Waits for a slot. @returns Whether it is one for what readers demand. */
  async #enter(urgency: Urgency): Promise<boolean> {
    if (!isUrgent(urgency)) {
      const isPromoted = await this.#wait(this.#waitingPrefetch, urgency);
      if (!isPromoted) return false;
    }
    await this.#wait(this.#waitingDemand, { class: "demand", signal: urgency.signal });
    return true;
  }

  async #pause(urgency: Urgency): Promise<void> {
    if (isUrgent(urgency) || this.#isQuiet) return;
    await this.#wait(this.#paused, urgency);
  }

  /** Waits in a queue until it is let go. @returns Whether it left because it was promoted. */
  #wait(queue: Waiting[], { signal, promoted }: Urgency): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        const place = queue.indexOf(waiting);
        if (place >= 0) queue.splice(place, 1);
        signal.removeEventListener("abort", abort);
        promoted?.removeEventListener("abort", promote);
      };
      const abort = (): void => {
        leave();
        reject(abortedError(signal));
        this.#admit();
      };
      const promote = (): void => {
        leave();
        resolve(true);
      };
      const waiting = {
        go: (): void => {
          leave();
          resolve(false);
        },
      };
      queue.push(waiting);
      signal.addEventListener("abort", abort, { once: true });
      promoted?.addEventListener("abort", promote, { once: true });
      this.#admit();
    });
  }

  get #isQuiet(): boolean {
    return this.#demanded === 0 && this.#waitingDemand.length === 0;
  }

  #admit(): void {
    for (let next = this.#waitingDemand[0]; next !== undefined; next = this.#waitingDemand[0]) {
      if (this.#demanded >= this.#demandWidth) return;
      this.#demanded++;
      next.go();
    }
    if (!this.#isQuiet) return;
    for (const paused of [...this.#paused]) paused.go();
    for (let next = this.#waitingPrefetch[0]; next !== undefined; next = this.#waitingPrefetch[0]) {
      if (this.#prefetched >= this.#prefetchWidth) return;
      this.#prefetched++;
      next.go();
    }
  }
}

function isUrgent({ class: fetchClass, promoted }: Urgency): boolean {
  return fetchClass === "demand" || promoted?.aborted === true;
}
