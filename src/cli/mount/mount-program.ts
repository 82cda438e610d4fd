import { VERSION } from "../../base/version.ts";
import { EnvironmentCommand } from "../program.ts";
import { addMountCommand } from "./mount-command.ts";

/** The program `nydus-mount`. */
export function createMountProgram(): EnvironmentCommand {
  const program = new EnvironmentCommand("nydus-mount");
  program
    .description("Mount a Nydus image; its bytes are fetched when they are touched")
    .version(VERSION)
    .usage("[options] <image> <mountpoint>");
  addMountCommand(program);
  return program;
}
