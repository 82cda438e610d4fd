/**
 * A program: serves the FUSE connection that is its descriptor 3, with golden images in it, over one cache folder.
 * Without a session it is the first to serve, and mounts every image by both engines. It prints a line of JSON with its
 * session when it serves; to each line on stdin it answers with one: `counts`, or `leave`, after which it exits.
 *
 * Arguments: mount of the node, folder for mountpoints and cache, fault of the source, session or `-`, runs.
 */
import { join } from "node:path";
import { createInterface } from "node:readline";
import { bindTree, mountErofs } from "#src/mount/node-engines.js";
import { NodeMount } from "#src/mount/node-mount.js";
import { parseSessionRecord } from "#src/mount/session-record.js";
import type { Fault } from "./golden-cache.ts";
import { openNodeImage } from "./node-folder.ts";

const FD = 3;
const [directory = "", folder = "", fault = "none", session = "-", ...runs] = process.argv.slice(2);
const print = (value: unknown): boolean => process.stdout.write(`${JSON.stringify(value)}\n`);

const node = await NodeMount.start(FD, directory, {
  onError: (error) => process.stderr.write(`${error}\n`),
  ...(session !== "-" && { session: parseSessionRecord(JSON.parse(session)) }),
});
for (const [index, run] of runs.entries()) {
  const number = index + 1;
  const image = openNodeImage(run, join(folder, "cache"));
  image.source.fault = fault as Fault;
  await node.addImage(number, { name: run, ...image });
  if (session !== "-") continue;
  await mountErofs(node, number, join(folder, `erofs-${number}`));
  await bindTree(node, number, join(folder, `fuse-${number}`));
}
if (session !== "-") await node.resend();
print(node.session);
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "counts") print(node.counts());
  if (line !== "leave") continue;
  await node.leave();
  print(node.counts());
  process.exit(0);
}
