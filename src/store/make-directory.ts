import { mkdir, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";

/**
 * Makes a directory and those above it, where they are not there. Not mkdir's own `recursive`, which tries for ever
 * in a place where nothing can be made (/proc).
 *
 * @throws what the system says.
 */
export async function makeDirectory(path: string, mode = 0o777): Promise<void> {
  const full = resolve(path);
  const above = dirname(full);
  const isAboveThere = await stat(above).then(
    () => true,
    () => false,
  );
  // From the top down: once the one above is there, a failure is this one's and not a race with others who make it.
  if (!isAboveThere) await makeDirectory(above, mode);
  try {
    await mkdir(full, { mode });
  } catch (error) {
    // Others may make the same directory at the same time.
    if (!(await isDirectory(full))) throw error;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
