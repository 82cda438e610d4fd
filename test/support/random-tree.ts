import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "./run-command.ts";

/** Writes a folder of files `fNN` that do not compress. */
export function writeRandomTree(folder: string, files: number, size: number): string[] {
  mkdirSync(folder, { recursive: true });
  return Array.from({ length: files }, (_, index) => {
    const name = `f${String(index).padStart(3, "0")}`;
    writeFileSync(join(folder, name), randomBytes(size));
    return name;
  });
}

/** Converts a folder into a Nydus image. */
export async function convertTree(folder: string, target: string): Promise<void> {
  const { status, stderr } = await runCommand("nydus-convert", [`dir:${folder}`, target, "--quiet"]);
  if (status !== 0) throw new Error(`nydus-convert ended with ${status}: ${stderr}`);
}
