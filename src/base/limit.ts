/** Runs at most `width` of the given tasks at once; the others wait in order. */
export function limit(width: number): <Result>(task: () => Promise<Result>) => Promise<Result> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (task) => {
    if (running >= width) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await task();
    } finally {
      // The slot passes straight to the next in line, so no newcomer can overtake it.
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}
