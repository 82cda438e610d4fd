import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ImageAccess } from "#src/app/image-access.js";
import { readConverted } from "./converted-image.ts";
import { MountFolder } from "./mount-folder.ts";
import { listMounted, type MountedRow } from "./mounted-image.ts";

/** What three readers make of an image. */
export interface Readings {
  /** Our own FUSE server, over an empty cache. */
  readonly fuse: readonly MountedRow[];
  /** The kernel's EROFS over the cache that reading everything filled; absent where the kernel cannot. */
  readonly erofs: readonly MountedRow[] | undefined;
  /** What nydus-mount said about the second mount. */
  readonly mounted: string;
  /** What fsck.erofs says over the same bootstrap and cache. */
  readonly fsck: { readonly status: number | null; readonly output: string };
}

/** A kernel without EROFS over files, or a temporary folder where files cannot be mounted. */
const KERNEL_CANNOT = /: not erofs: (?:this kernel|the kernel|it needs)/;

/** Reads a converted image by everything there is. */
export async function readByAll(image: string): Promise<Readings> {
  await using folder = new MountFolder();
  const list = async (engine: string): Promise<{ line: string; rows: MountedRow[] }> => {
    const mount = await folder.mount([image, "--engine", engine]);
    const rows = await listMounted(folder.mountpoint);
    const { status, stderr } = await mount.stop();
    const line = await mount.mounted;
    if (status !== 0 || stderr !== `${line}\n`)
      throw new Error(`engine ${engine}, exit ${status}: ${stderr}`);
    return { line, rows };
  };
  const fuse = await list("fuse");
  const second = await list("auto");
  return {
    fuse: fuse.rows,
    erofs: KERNEL_CANNOT.test(second.line) ? undefined : second.rows,
    mounted: second.line,
    fsck: await fsck(image, folder),
  };
}

async function fsck(image: string, folder: MountFolder): Promise<Readings["fsck"]> {
  await using access = await ImageAccess.create({ environment: {} });
  await using source = access.openSource(image);
  const { bootstrap, files } = await readConverted(source);
  const path = join(folder.path, "bootstrap");
  writeFileSync(path, files.find(({ name }) => name === "image/image.boot")?.bytes ?? "");
  const devices = bootstrap.blobs.map(({ id }) => `--device=${join(folder.cache, `${id}.blob.data`)}`);
  const { status, stdout, stderr } = spawnSync("fsck.erofs", [...devices, path], { encoding: "utf8" });
  return { status, output: stdout + stderr };
}
