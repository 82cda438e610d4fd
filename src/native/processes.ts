/** System calls of processes that look after each other. */
export interface ProcessCalls {
  /**
   * Has the kernel send this process a signal when the thread that started it ends: the main thread of the parent.
   *
   * @see prctl(2), PR_SET_PDEATHSIG
   */
  dieWithParent(signal: number): void;
  /**
   * Sends a datagram to a unix socket, with a copy of a descriptor when one is given. Never waits: EAGAIN when the
   * receiver's queue is full.
   *
   * @param address A path; a leading zero byte stands for the abstract namespace.
   */
  sendDatagram(address: Uint8Array, message: Uint8Array, fd?: number): void;
}

/** The functions of processes.cc. */
export interface ProcessExports {
  dieWithParent(signal: number): void;
  sendDatagram(address: Uint8Array, message: Uint8Array, fd: number): void;
}

/** Gives the functions of processes.cc their types. */
export function processCalls(native: ProcessExports): ProcessCalls {
  return {
    dieWithParent: (signal) => native.dieWithParent(signal),
    sendDatagram: (address, message, fd = -1) => native.sendDatagram(address, message, fd),
  };
}
