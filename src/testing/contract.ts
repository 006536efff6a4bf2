import type { Persistence } from "../core/ports.js";

/** What the cases of a section are registered with. */
export interface Contract {
  describe(name: string, body: () => void): void;
  it(name: string, body: () => Promise<void>): void;
  /** What is tested. Not before the first case: it is opened then. */
  opened(): Persistence;
}
