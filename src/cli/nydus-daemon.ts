#!/usr/bin/env node
import { createDaemonProgram } from "./daemon/daemon-program.ts";
import { runProgram } from "./program.ts";

await runProgram(createDaemonProgram(), process.argv.slice(2));
