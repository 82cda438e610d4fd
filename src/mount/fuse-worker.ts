/**
 * A worker thread that answers FUSE requests: it waits in read(2) on /dev/fuse and never returns to its event loop.
 * Metadata comes from the shared bootstrap, chunks that are ready from the cache files. A READ that lacks a chunk
 * goes to the main thread, which answers it. When the filesystem is unmounted read(2) fails and the thread ends.
 */
import { readSync, writeSync } from "node:fs";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { decodeUnique, FUSE_UNIQUE_RESEND } from "../format/fuse/header.ts";
import { FUSE_ERRORS } from "../format/fuse/opcodes.ts";
import { addon } from "../native/addon.ts";
import { FuseHandler } from "./fuse-handler.ts";
import { COUNTERS, ENDINGS, type FromWorker, type ToWorker, type WorkerStart } from "./fuse-session.ts";
import { ImageFiles } from "./image-files.ts";
import { Superblock } from "./superblock.ts";

const { fd, control, index, root, images } = workerData as WorkerStart;
const superblock = new Superblock(root);
for (const image of images) superblock.add(new ImageFiles({ ...image, blobs: [...image.blobs] }));
const native = addon();
// The kernel caches what we answer with: a second copy under the cache file would be for nobody.
const handler = new FuseHandler(superblock, native?.dropCached);
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

/** How the workers shall leave, if they shall. */
function ending(): number {
  return Atomics.load(control.ending, 0);
}

/** Waits for a request. Returns its bytes, or undefined when the connection, or the work of this thread, is over. */
function nextRequest(): number | undefined {
  while (ending() === ENDINGS.none) {
    try {
      return readSync(fd, handler.request, 0, handler.request.length, null);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENODEV" || code === "ECONNABORTED" || code === "ENOTCONN") return undefined;
      // ENOENT: the asker was killed before its request was read. EINTR: somebody wants this thread to look up.
      if (code !== "EINTR" && code !== "ENOENT" && code !== "EAGAIN") throw error;
    }
  }
  return undefined;
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
  if ((control.current[index] as number) >= FUSE_UNIQUE_RESEND) count("resent", 1);
  if (handler.isRead) noteRead();
  if (typeof handled !== "number") {
    if ("nodeId" in handled) count("misses", 1);
    parentPort?.postMessage(handled satisfies FromWorker);
  } else if (!writeReply(handled)) {
    writeReply(handler.refuse(FUSE_ERRORS.EIO));
  } else if (handled > 0 && handler.isRead) {
    count("reads", 1);
    count("readBytes", handled);
  }
}

/** The `unique` of the request in the buffer, for the case that this thread dies over it. */
function uniqueOf(length: number): number {
  return length < 16 ? 0 : decodeUnique(requestView, 8);
}

/** Notices what was added or taken away meanwhile; nothing can call a thread that sits in read(2). */
function takeMessages(): void {
  const latest = Atomics.load(control.generation, 0);
  if (latest === control.seen[index] || parentPort === null) return;
  for (
    let next = receiveMessageOnPort(parentPort);
    next !== undefined;
    next = receiveMessageOnPort(parentPort)
  ) {
    const message = next.message as ToWorker;
    switch (message.type) {
      case "image-added":
        superblock.add(new ImageFiles(message.image));
        break;
      case "image-removed":
        superblock.remove(message.number);
        break;
      case "blob-opened": {
        const image = superblock.find(message.number);
        if (image !== undefined) image.blobs[message.blobIndex] = message.blob;
      }
    }
  }
  Atomics.store(control.seen, index, latest);
}

Atomics.store(control.threads, index, native?.threadId() ?? 0);
for (let length = nextRequest(); length !== undefined; length = nextRequest()) {
  // Before looking for messages: who waits until this thread has seen one looks here first.
  Atomics.store(control.busy, index, 1);
  takeMessages();
  control.current[index] = uniqueOf(length);
  // The cache files may be closed by now, and their numbers stand for others.
  if (ending() === ENDINGS.close) writeReply(handler.handleClosed(length));
  else answer(length);
  control.current[index] = 0;
  Atomics.store(control.busy, index, 0);
}
Atomics.store(control.threads, index, 0);
