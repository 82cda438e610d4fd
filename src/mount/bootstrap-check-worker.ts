/** A worker thread that checks one bootstrap, its workerData, and answers with the first fault, or null. */
import { parentPort, workerData } from "node:worker_threads";
import { findFault } from "./bootstrap-fault.ts";

parentPort?.postMessage(findFault(workerData as Uint8Array) ?? null);
