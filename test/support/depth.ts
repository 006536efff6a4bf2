/**
 * How much is tested. By default what a change is likely to break, in minutes; `LGR_TEST_DEPTH=thorough`, before a
 * release, the rest of the cases too, of other databases above all; `full` many more crash points as well, and `lgr` from
 * the TypeScript of the clone; `every` kills at every point there is, in hours rather than minutes.
 */
export const every = process.env.LGR_TEST_DEPTH === "every";
export const full = every || process.env.LGR_TEST_DEPTH === "full";
export const thorough = full || process.env.LGR_TEST_DEPTH === "thorough";
