#!/usr/bin/env node
import { createMountProgram } from "./mount/mount-program.ts";
import { runProgram } from "./program.ts";

await runProgram(createMountProgram(), process.argv.slice(2));
