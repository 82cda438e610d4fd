/** Lines written at once. */
const BATCH = 512;

/** Writes lines to standard output, no faster than they are read. */
export async function writeLines(lines: Iterable<string>): Promise<void> {
  let batch: string[] = [];
  const flush = async (): Promise<void> => {
    const text = batch.map((line) => `${line}\n`).join("");
    batch = [];
    if (text !== "") await writeOut(text);
  };
  for (const line of lines) {
    batch.push(line);
    if (batch.length >= BATCH) await flush();
  }
  await flush();
}

/** Text from an image for a terminal: what would move the cursor is written as an escape. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  return text.replace(/[\u0000-\u001f\u007f-\u009f\\]/g, (character) =>
    character === "\\" ? "\\\\" : `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

/** Writes pieces to standard output, no faster than they are read. */
export async function writePieces(pieces: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const piece of pieces) {
    if (!process.stdout.writable) return;
    await writeOut(piece);
  }
}

/** Returns when standard output takes more, or never will. */
async function writeOut(piece: string | Uint8Array): Promise<void> {
  const { stdout } = process;
  if (stdout.write(piece) || !stdout.writable) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      stdout.off("drain", done).off("close", done);
      resolve();
    };
    stdout.on("drain", done).on("close", done);
  });
}
