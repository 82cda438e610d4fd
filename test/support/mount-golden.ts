/**
 * A program: mounts a golden image, prints `mounted`, and unmounts when its stdin ends; then it prints `closed`.
 * Tests run it as another user.
 *
 * Arguments: run, mountpoint, cache folder.
 */
import { mountGolden } from "./golden-mount.ts";

const { mount, cache } = await mountGolden();
process.stdout.write("mounted\n");
for await (const _ of process.stdin);
await mount.close();
process.stdout.write(mount.isServed ? "still served\n" : "closed\n");
await cache[Symbol.asyncDispose]();
