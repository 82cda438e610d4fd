/** Runs a task later; returns what cancels it. */
export type Schedule = (task: () => void, delayMs: number) => () => void;

/** A timer that does not keep the process alive. */
export const scheduleOnTimer: Schedule = (task, delayMs) => {
  const timer = setTimeout(task, delayMs).unref();
  return () => clearTimeout(timer);
};
