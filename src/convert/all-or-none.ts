/**
 * Runs tasks at once and waits for all of them. When one fails the others are told to stop by their signal,
 * and the first failure is thrown once none is running any more: it is the cause, the others only followed.
 *
 * @param signal Stops all of them.
 */
export async function allOrNone<Result>(
  tasks: readonly ((signal: AbortSignal) => Promise<Result>)[],
  signal: AbortSignal,
): Promise<Result[]> {
  const failures: unknown[] = [];
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const running = tasks.map((task) =>
    task(either).catch((error: unknown) => {
      failures.push(error);
      stop.abort();
      throw error;
    }),
  );
  const results = await Promise.allSettled(running);
  if (failures.length > 0) throw failures[0];
  return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}
