import type { FileType } from "./tree.ts";

/** Type bits of st_mode. */
export const FILE_MODES = {
  mask: 0o170000,
  fifo: 0o010000,
  char: 0o020000,
  dir: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
} as const;

/** What the type bits of an st_mode say; undefined for combinations without meaning. */
export function fileTypeOfMode(mode: number): FileType | undefined {
  switch (mode & FILE_MODES.mask) {
    case FILE_MODES.file:
      return "file";
    case FILE_MODES.dir:
      return "dir";
    case FILE_MODES.symlink:
      return "symlink";
    case FILE_MODES.char:
      return "char";
    case FILE_MODES.block:
      return "block";
    case FILE_MODES.fifo:
      return "fifo";
    case FILE_MODES.socket:
      return "socket";
    default:
      return undefined;
  }
}
