// Puts the addon that `npm run build:native` built where the package carries it, so that it works without a compiler.
import { copyFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const native = join(import.meta.dirname, "../native");
const built = join(native, "build/Release/addon.node");
const target = join(native, "prebuilds", `${process.platform}-${process.arch}`);

// Built without the library's headers it works, but every user of the package would inflate at a third of the speed.
if (!("inflaterOpen" in createRequire(import.meta.url)(built))) {
  console.error(`${built} was built without ISA-L (Debian: libisal-dev)`);
  process.exit(1);
}
mkdirSync(target, { recursive: true });
copyFileSync(built, join(target, "addon.node"));
