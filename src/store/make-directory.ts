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
  if (await isMade(full, mode)) return;
  await makeDirectory(dirname(full), mode);
  await mkdir(full, { mode }).catch(unlessThere(full));
}

/** False when the directory above is missing. */
async function isMade(path: string, mode: number): Promise<boolean> {
  try {
    await mkdir(path, { mode }).catch(unlessThere(path));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || (await isThere(dirname(path)))) throw error;
    return false;
  }
}

/** Others may make the same directory at the same time. */
function unlessThere(path: string): (error: unknown) => Promise<void> {
  return async (error) => {
    if (!(await isThere(path))) throw error;
  };
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
