import { ArchiveFiles } from "./archive-files.ts";
import { LayoutSource } from "./layout-source.ts";

/** Reads the image `tag` of an OCI layout in a tar archive, without unpacking it. */
export function openArchiveSource(file: string, tag?: string): LayoutSource {
  const name = `oci-archive:${file}${tag === undefined ? "" : `:${tag}`}`;
  return new LayoutSource({ files: new ArchiveFiles(file) }, { name, ...(tag !== undefined && { tag }) });
}
