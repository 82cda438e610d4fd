#!/usr/bin/env node
import { Command } from "commander";
import { addConvertCommand } from "./convert/convert-command.ts";
import { runProgram } from "./program.ts";
import { VERSION } from "./version.ts";

const program = new Command("nydus-convert")
  .description("Convert container images to Nydus images that run before they are downloaded")
  .version(VERSION)
  .usage("[options] <source> <target>")
  // Options behind a subcommand's name are the subcommand's.
  .enablePositionalOptions();
addConvertCommand(program);

await runProgram(program, process.argv.slice(2));
