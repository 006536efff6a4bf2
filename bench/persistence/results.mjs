/** From samples to figures: medians, spreads, ratios, and whether a goal was reached. */

/** @typedef {import("./scenarios.mjs").Scenario} Scenario */
/** @typedef {import("./scenarios.mjs").Sample} Sample */
/** @typedef {import("./scenarios.mjs").Goal} Goal */
/** @typedef {import("./contenders.mjs").Contender} Contender */

/** @typedef {{ median: number, min: number, max: number }} Figure over the rounds */
/** @typedef {{ goal: Goal, figure: Figure | undefined, limit: string, reached: boolean | undefined }} Judged */

/**
 * @typedef {object} Run
 * @property {{ node: string, cpu: string, versions: readonly string[], server: string, poolSize: number, quick: boolean, startedAt: string }} settings
 * @property {import("./sizes.mjs").Size} size
 * @property {readonly Scenario[]} scenarios
 * @property {readonly Contender[]} contenders
 * @property {Record<string, Record<string, readonly Sample[]>>} samples by scenario and contender, one a round
 * @property {readonly { scenario: string, contender: string, error: string }[]} failures
 * @property {number} seconds
 */

/** @returns {Figure | undefined} */
function figureOf(/** @type {readonly number[]} */ values) {
  const sorted = values.filter(Number.isFinite).toSorted((a, b) => a - b);
  const [min, max] = [sorted.at(0), sorted.at(-1)];
  if (min === undefined || max === undefined) return undefined;
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1] ?? min, sorted[Math.floor(middle)] ?? max];
  return { median: (low + high) / 2, min, max };
}

/** @param {Run} run */
function valuesOf(
  { samples },
  /** @type {string} */ scenario,
  /** @type {string} */ contender,
  /** @type {string} */ key,
) {
  return (samples[scenario]?.[contender] ?? []).map((sample) => Number(sample[key] ?? Number.NaN));
}

/**
 * @param {Run} run
 * @param {string} scenario
 * @param {string} contender
 * @param {string} key
 */
export const figure = (run, scenario, contender, key) => figureOf(valuesOf(run, scenario, contender, key));

/** @param {Run} run */
export function notes({ samples }, /** @type {string} */ scenario, /** @type {string} */ contender) {
  return (samples[scenario]?.[contender] ?? []).flatMap(({ note }) => (typeof note === "string" ? [note] : []));
}

/**
 * A ratio is taken within each round, since what disturbed one contender in it may have disturbed the other.
 *
 * @param {Run} run
 * @param {Scenario} scenario
 * @returns {Judged[]}
 */
export function judge(run, { name, goals }) {
  const takesPart = (/** @type {string | undefined} */ wanted) =>
    wanted === undefined || run.contenders.some((contender) => contender.name === wanted);
  const judged = goals.filter(({ contender, per }) => takesPart(contender) && takesPart(per));
  return judged.map((goal) => {
    const { metric, contender, per, atLeast, atMost } = goal;
    const own = valuesOf(run, name, contender, metric);
    const peers = per === undefined ? undefined : valuesOf(run, name, per, metric);
    const found = figureOf(peers === undefined ? own : own.map((value, round) => value / (peers[round] ?? Number.NaN)));
    const limit = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`;
    const reached =
      found === undefined
        ? undefined
        : found.median >= (atLeast ?? Number.NEGATIVE_INFINITY) && found.median <= (atMost ?? Number.POSITIVE_INFINITY);
    return { goal, figure: found, limit, reached };
  });
}

export const verdict = (/** @type {Judged} */ { reached }) =>
  reached === undefined ? "not measured" : reached ? "reached" : "NOT REACHED";

/** @param {Run} run */
export function asJson(run) {
  const { settings, size, scenarios, contenders, failures, seconds } = run;
  return {
    ...settings,
    seconds,
    size,
    contenders: contenders.map(({ name, title, setup }) => ({ name, title, setup })),
    scenarios: scenarios.map((scenario) => ({
      name: scenario.name,
      title: scenario.title(size),
      figures: Object.fromEntries(
        contenders.map(({ name }) => [
          name,
          Object.fromEntries(
            scenario.metrics(size).map(({ key }) => [key, figure(run, scenario.name, name, key) ?? null]),
          ),
        ]),
      ),
      goals: judge(run, scenario).map((judged) => ({
        title: judged.goal.title,
        limit: judged.limit,
        ...judged.figure,
        verdict: verdict(judged),
      })),
      samples: run.samples[scenario.name] ?? {},
    })),
    failures,
  };
}
