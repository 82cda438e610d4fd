/**
 * A worker thread that answers FUSE requests: it waits in read(2) on /dev/fuse and never returns to its event loop.
 * Metadata comes from the shared bootstrap, chunks that are ready from the cache files. A READ that lacks a chunk
 * goes to the main thread, which answers it. When the filesystem is unmounted read(2) fails and the thread ends.
 */
import { readSync, writeSync } from "node:fs";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { FUSE_ERRORS } from "../format/fuse/opcodes.ts";
import { BootstrapView } from "../image/bootstrap-view.ts";
import { Filesystem } from "./filesystem.ts";
import { FuseHandler, type MissedRead } from "./fuse-handler.ts";
import { type BlobAdded, COUNTERS, type WorkerStart } from "./fuse-session.ts";

const start = workerData as WorkerStart;
const { fd, control, index } = start;
const blobs = [...start.blobs];
const handler = new FuseHandler(new Filesystem(new BootstrapView(start.bootstrap)), blobs);
const requestView = new DataView(handler.request.buffer);
const counters = control.counters.subarray(index * COUNTERS.length, (index + 1) * COUNTERS.length);

/** Adds to a counter that no other thread writes. */
function count(name: (typeof COUNTERS)[number], amount: number): void {
  const column = COUNTERS.indexOf(name);
  counters[column] = (counters[column] ?? 0) + amount;
}

/** Notes when the first READ came. */
function noteRead(): void {
  if (control.firstReads[index] === 0) control.firstReads[index] = performance.timeOrigin + performance.now();
}

/** Waits for a request. Returns its bytes, or undefined when the connection is over. */
function nextRequest(): number | undefined {
  for (;;) {
    try {
      return readSync(fd, handler.request, 0, handler.request.length, null);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENODEV" || code === "ECONNABORTED" || code === "ENOTCONN") return undefined;
      // ENOENT: the asker was killed before its request was read.
      if (code !== "EINTR" && code !== "ENOENT" && code !== "EAGAIN") throw error;
    }
  }
}

/** Writes a reply. False when the kernel found it malformed. */
function writeReply(length: number): boolean {
  if (length === 0) return true;
  try {
    writeSync(fd, handler.reply, 0, length, null);
    return true;
  } catch (error) {
    // ENOENT: the asker is gone. ENODEV: so is the mount; the next read(2) says so.
    const { code } = error as NodeJS.ErrnoException;
    return code !== "EINVAL";
  }
}

function answer(length: number): void {
  const handled = handler.handle(length);
  count("requests", 1);
  if (handler.isRead) noteRead();
  if (typeof handled !== "number") {
    count("misses", 1);
    parentPort?.postMessage(handled satisfies MissedRead);
  } else if (!writeReply(handled)) {
    writeReply(handler.refuse(FUSE_ERRORS.EIO));
  } else if (handled > 0 && handler.isRead) {
    count("reads", 1);
    count("readBytes", handled);
  }
}

/** The `unique` of the request in the buffer, for the case that this thread dies over it. */
function uniqueOf(length: number): number {
  return length < 16 ? 0 : requestView.getUint32(12, true) * 2 ** 32 + requestView.getUint32(8, true);
}

/** Notices the blobs that were added meanwhile; nothing can call a thread that sits in read(2). */
function takeBlobs(): void {
  if (parentPort === null) return;
  for (
    let next = receiveMessageOnPort(parentPort);
    next !== undefined;
    next = receiveMessageOnPort(parentPort)
  ) {
    const { blobIndex, blob } = next.message as BlobAdded;
    blobs[blobIndex] = blob;
  }
}

let generation = 0;
for (;;) {
  const length = nextRequest();
  if (length === undefined) break;
  const latest = Atomics.load(control.generation, 0);
  if (latest !== generation) {
    generation = latest;
    takeBlobs();
  }
  control.current[index] = uniqueOf(length);
  const isClosing = Atomics.load(control.closing, 0) !== 0;
  // The cache files may be closed by now, and their numbers stand for others.
  if (isClosing) writeReply(handler.handleClosed(length));
  else answer(length);
  control.current[index] = 0;
  if (isClosing) break;
}
