/**
 * FUSE names inodes by node id. In ours are the number of an image and the nid of an inode, so there is no table of
 * nodes, FORGET means nothing, and a successor understands what the kernel learnt from its predecessor.
 */

/** Node ids for each image: more than a bootstrap of the largest size has places for inodes. */
const IDS_PER_IMAGE = 2 ** 28;

/** Within an image: ids from here on are files that the image itself does not have. Inodes are below, see {@link IDS_BEFORE_NIDS}. */
const FIRST_OWN_FILE = 2 ** 27;

/** Id 0 is nobody's, and id 1 of image 0 is the root of every FUSE filesystem. */
const IDS_BEFORE_NIDS = 2;

/** Largest number of an image: node ids stay below 2^52. */
export const MAX_IMAGE_NUMBER = 2 ** 24 - 1;

/** What a node id stands for, within its image. */
export type Local =
  | { readonly kind: "inode"; readonly nid: number }
  | { readonly kind: "directory" }
  | { readonly kind: "boot" }
  | { readonly kind: "blob"; readonly blobIndex: number };

const DIRECTORY: Local = { kind: "directory" };
const BOOT: Local = { kind: "boot" };

/** The image that a node id belongs to. */
export function imageNumberOf(nodeId: number): number {
  return Math.floor(nodeId / IDS_PER_IMAGE);
}

/** What a node id stands for within its image. */
export function localOf(nodeId: number): Local {
  const id = nodeId % IDS_PER_IMAGE;
  if (id < FIRST_OWN_FILE) return { kind: "inode", nid: id - IDS_BEFORE_NIDS };
  if (id === FIRST_OWN_FILE) return DIRECTORY;
  if (id === FIRST_OWN_FILE + 1) return BOOT;
  return { kind: "blob", blobIndex: id - FIRST_OWN_FILE - 2 };
}

/** The node id of something in an image. */
export function nodeIdOf(imageNumber: number, local: Local): number {
  const base = imageNumber * IDS_PER_IMAGE;
  switch (local.kind) {
    case "inode":
      return base + IDS_BEFORE_NIDS + local.nid;
    case "directory":
      return base + FIRST_OWN_FILE;
    case "boot":
      return base + FIRST_OWN_FILE + 1;
    case "blob":
      return base + FIRST_OWN_FILE + 2 + local.blobIndex;
  }
}

/** What `st_ino` of an image's inodes counts from: inodes of two images in one superblock must not look the same. */
export function firstInodeNumber(imageNumber: number): number {
  return imageNumber * IDS_PER_IMAGE;
}
