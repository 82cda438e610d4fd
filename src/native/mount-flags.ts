/**
 * Flags of mount(2).
 *
 * @see Linux include/uapi/linux/mount.h
 */
export const MOUNT_FLAGS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  /** Shows a directory in a second place. */
  BIND: 4096,
} as const;

/**
 * Attributes of fsmount(2).
 *
 * @see Linux include/uapi/linux/mount.h, MOUNT_ATTR_RDONLY and the like
 */
export const MOUNT_ATTRIBUTES = { RDONLY: 1, NOSUID: 2, NODEV: 4 } as const;

/**
 * Flags of umount2(2).
 *
 * @see Linux include/linux/fs.h
 */
export const UNMOUNT_FLAGS = {
  /** Ends a FUSE connection at once: who waits for an answer gets an error. */
  FORCE: 1,
  /** Takes the mount out of the tree now; it ends when its last user leaves. */
  DETACH: 2,
} as const;
