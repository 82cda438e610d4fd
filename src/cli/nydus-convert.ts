#!/usr/bin/env node
import { addConvertCommand } from "./convert/convert-command.ts";
import { EnvironmentCommand, runProgram } from "./program.ts";
import { VERSION } from "./version.ts";

const program = new EnvironmentCommand("nydus-convert")
  .description("Convert container images to Nydus images that run before they are downloaded")
  .version(VERSION)
  .usage("[options] <source> <target>")
  // Options behind a subcommand's name are the subcommand's.
  .enablePositionalOptions();
addConvertCommand(program);

await runProgram(program, process.argv.slice(2));
