/** A test runner in miniature, for suites that are handed the functions of one. */
interface Collected {
  /** Of the case and what it is nested in: `checkpoints > are not there in a thread that has none`. */
  readonly name: string;
  readonly run: () => Promise<void>;
}

type Hook = () => Promise<void>;

export interface CollectedTests {
  readonly cases: readonly Collected[];
  /**
   * Runs the cases whose name contains `text`, with the hooks around them.
   * @returns what failed, by name
   */
  run(text?: string): Promise<ReadonlyMap<string, unknown>>;
}

/** What a suite registers with `describe`, `it`, `before` and `after`. */
export function collectTests(
  register: (test: {
    describe(name: string, body: () => void): void;
    it(name: string, body: () => Promise<void>): void;
    before(hook: Hook): void;
    after(hook: Hook): void;
  }) => void,
): CollectedTests {
  const cases: Collected[] = [];
  const [before, after]: [Hook[], Hook[]] = [[], []];
  let path: readonly string[] = [];
  register({
    describe(name, body) {
      const outer = path;
      path = [...outer, name];
      body();
      path = outer;
    },
    it: (name, run) => void cases.push({ name: [...path, name].join(" > "), run }),
    before: (hook) => void before.push(hook),
    after: (hook) => void after.push(hook),
  });
  return {
    cases,
    async run(text = "") {
      const failed = new Map<string, unknown>();
      for (const hook of before) await hook();
      for (const { name, run } of cases.filter((one) => one.name.includes(text)))
        await run().catch((error: unknown) => failed.set(name, error));
      for (const hook of after) await hook();
      return failed;
    },
  };
}
