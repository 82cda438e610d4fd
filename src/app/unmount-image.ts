import { mountpointOf } from "../mount/mount.ts";
import { unmount } from "../mount/unmount.ts";

/**
 * Unmounts an image, whoever serves it; the server notices and ends. Never touches what is mounted there.
 *
 * @throws {CodedError} ERR_PATH_NOT_FOUND when nothing is mounted there, ERR_MOUNT_FAILED when it is in use.
 */
export async function unmountImage(mountpoint: string): Promise<void> {
  await unmount(await mountpointOf(mountpoint));
}
