import { EnvironmentCommand } from "../program.ts";
import { addVersionOption } from "../version-option.ts";
import { addMountCommand } from "./mount-command.ts";

/** The program `nydus-mount`. */
export function createMountProgram(): EnvironmentCommand {
  const program = new EnvironmentCommand("nydus-mount");
  program
    .description("Mount a Nydus image; its bytes are fetched when they are touched")
    .usage("[options] <image> <mountpoint>");
  addVersionOption(program);
  addMountCommand(program);
  return program;
}
