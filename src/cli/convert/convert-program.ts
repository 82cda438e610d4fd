import { EnvironmentCommand } from "../program.ts";
import { addVersionOption } from "../version-option.ts";
import { addCheckCommand } from "./check-command.ts";
import { addConvertCommand } from "./convert-command.ts";
import { addInspectCommand } from "./inspect-command.ts";
import { addLsCommand } from "./ls-command.ts";
import { addStatCommand } from "./stat-command.ts";
import { addUnpackCommand } from "./unpack-command.ts";

/** The program `nydus-convert` with all its commands. */
export function createConvertProgram(): EnvironmentCommand {
  const program = new EnvironmentCommand("nydus-convert");
  program
    .description("Convert container images to Nydus images that run before they are downloaded")
    .usage("[options] <source> <target>")
    // Options behind a subcommand's name are the subcommand's.
    .enablePositionalOptions();
  addVersionOption(program);
  addConvertCommand(program);
  addCheckCommand(program);
  addInspectCommand(program);
  addLsCommand(program);
  addStatCommand(program);
  addUnpackCommand(program);
  return program;
}
