import { execFile } from "node:child_process";
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { readBootstrapHeader } from "#src/image/bootstrap-header.js";
import { FuseMount, type FuseMountOptions } from "#src/mount/fuse-mount.js";
import { ImageChunks } from "#src/mount/image-chunks.js";
import type { CachedBlobs } from "#src/store/cached-blobs.js";
import { readFixture } from "./fixtures.ts";
import { FaultySource, openGoldenCache } from "./golden-cache.ts";

const execute = promisify(execFile);

/** Why tests that mount FUSE cannot run here; false when they can. */
export const skipFuse: string | false = reasonAgainstFuse();

function reasonAgainstFuse(): string | false {
  if (process.getuid?.() !== 0) return "mounting needs root";
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
    return false;
  } catch {
    return "there is no /dev/fuse";
  }
}

/** A copy in memory that threads share. */
export function sharedCopy(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

/** A golden image with an empty cache over a source with faults, in a temporary folder. */
export class GoldenImage {
  readonly folder = mkdtempSync(join(tmpdir(), "nydus-mount-"));
  readonly mountpoint = join(this.folder, "mnt");
  readonly cacheFolder = join(this.folder, "cache");
  readonly bootstrap: Uint8Array;
  readonly source: FaultySource;
  readonly blobs: CachedBlobs;
  readonly blobCount: number;
  readonly #mounts: FuseMount[] = [];
  readonly errors: unknown[] = [];

  private constructor(run: string) {
    this.bootstrap = sharedCopy(readFixture("golden", "made", run, "bootstrap"));
    this.source = new FaultySource("golden", "made", run);
    this.blobs = openGoldenCache(run, this.source, this.cacheFolder);
    this.blobCount = readBootstrapHeader(this.bootstrap).blobs.length;
    mkdirSync(this.mountpoint);
  }

  static open(run: string): GoldenImage {
    return new GoldenImage(run);
  }

  async mount(options: Partial<FuseMountOptions> = {}): Promise<FuseMount> {
    const chunks = new ImageChunks(this.blobs, this.blobCount);
    const mount = await FuseMount.open(this.mountpoint, this.bootstrap, chunks, {
      name: "nydus-test",
      allowOther: true,
      onError: (error) => this.errors.push(error),
      ...options,
    });
    this.#mounts.push(mount);
    return mount;
  }

  /** Makes every chunk of every blob ready. */
  async fill(): Promise<void> {
    const { signal } = new AbortController();
    for (let index = 0; index < this.blobCount; index++) {
      const blob = await this.blobs.open(index, { signal });
      const { count } = blob.cache.blob.table;
      await blob.ensure({ first: 0, count }, { class: "prefetch", signal });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const mount of this.#mounts) await mount.close();
    await this.blobs[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true });
  }
}

/** What {@link listMounted} gives for each name. */
export interface MountedRow {
  readonly path: string;
  readonly type: string;
  readonly mtimeNs: string;
  readonly ino: number;
  readonly blocks: number;
  readonly bytes: number;
}

/** Lists a tree with contents and attributes, in a process of its own. */
export async function listMounted(path: string): Promise<MountedRow[]> {
  const program = join(import.meta.dirname, "list-tree.js");
  const { stdout } = await execute(process.execPath, [program, path], { maxBuffer: 2 ** 28 });
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as MountedRow);
}

/** Rows without what golden rows do not have. */
export function comparable(rows: readonly MountedRow[]): { readonly path: string }[] {
  return rows.map(({ ino: _ino, blocks: _blocks, bytes: _bytes, ...row }) => row);
}

/** Runs a shell command in a process of its own; gives its status and what it printed. */
export async function shell(command: string): Promise<{ status: number; stdout: string; stderr: string }> {
  try {
    return { status: 0, ...(await execute("sh", ["-c", command], { maxBuffer: 2 ** 28, timeout: 60_000 })) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { status: code ?? 1, stdout, stderr };
  }
}
