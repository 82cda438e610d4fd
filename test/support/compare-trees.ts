import { execFileSync } from "node:child_process";
import { withNydusImage } from "#src/app/image-request.js";
import { listImage } from "#src/app/list-image.js";
import { comparable, listMounted } from "./mounted-image.ts";

/** A name as `ls --json --digest` shows it. */
export type Row = { readonly path: string } & Readonly<Record<string, unknown>>;

/** The rows of a Nydus image, every file read through its chunk tables. */
export async function rowsOfImage(image: string): Promise<Row[]> {
  const { signal } = new AbortController();
  const request = { image, access: { environment: {} } };
  const rows = await withNydusImage(request, { signal }, (opened) =>
    listImage(opened, { signal, digest: true }),
  );
  return JSON.parse(JSON.stringify(rows)) as Row[];
}

/** The rows of a directory on the disk, by lstat, readlink, getxattr and read. */
export async function rowsOfDirectory(path: string): Promise<Row[]> {
  return comparable(await listMounted(path));
}

/**
 * Unpacks an image of a layout with umoci, an unpacker that shares nothing with this project. Needs root.
 *
 * @param image `DIRECTORY:TAG`.
 */
export function unpackWithUmoci(image: string, directory: string): void {
  execFileSync("umoci", ["raw", "unpack", "--image", image, directory], { stdio: "pipe" });
}
