/**
 * A program: mounts a golden image, prints `mounted`, and dies of an error that nobody catches when its stdin ends.
 *
 * Arguments: run, mountpoint, cache folder.
 */
import { mountGolden } from "./golden-mount.ts";

await mountGolden();
process.stdout.write("mounted\n");
for await (const _ of process.stdin);
throw new Error("nobody catches this");
