#!/usr/bin/env node
import { createConvertProgram } from "./convert/convert-program.ts";
import { runProgram } from "./program.ts";

await runProgram(createConvertProgram(), process.argv.slice(2));
