/**
 * The layers of docs/architecture.md as rules. Each layer names what it may import besides itself; whatever is not
 * named is forbidden, so a new folder under src/ has to be entered here before anything can use it.
 */
const layers = {
  errors: [],
  core: ["errors"],
  policies: ["errors", "core"],
  effects: ["errors", "core"],
  recovery: ["errors", "core", "effects"],
  persistence: ["errors", "core"],
  observability: ["errors", "core"],
  notifications: ["errors", "core", "policies"],
  chaos: ["errors", "core"],
  testing: ["errors", "core"],
  langgraph: ["errors", "core", "policies", "effects", "recovery"],
  runner: ["errors", "core", "langgraph", "persistence"],
  console: ["errors", "core", "runner", "recovery", "observability"],
};

const layerRules = Object.entries(layers).map(([layer, below]) => ({
  name: `layer-${layer}`,
  comment: `src/${layer} may import ${below.length === 0 ? "nothing of ours" : below.map((name) => `src/${name}`).join(", ")}`,
  severity: "error",
  from: { path: `^src/${layer}/` },
  to: { path: "^(src|nodes|graphs|test|bench)/", pathNot: `^src/(${[layer, ...below].join("|")})/` },
}));

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: "known-folders",
      comment: "Every folder of src/ has its place in the layers above",
      severity: "error",
      from: {},
      to: { path: "^src/[^/]+/", pathNot: `^src/(${[...Object.keys(layers), "entries", "cli"].join("|")})/` },
    },
    {
      name: "cli-is-the-top",
      comment: "Nothing in the library imports the command line",
      severity: "error",
      from: { path: "^(src|nodes)/", pathNot: "^src/cli/" },
      to: { path: "^src/cli/" },
    },
    {
      name: "library-stands-alone",
      comment: "The library imports neither graphs and tests nor the public entry points that stand on it",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/cli/" },
      to: { path: "^(graphs|test|bench|nodes)/|^src/(index.ts$|entries/)" },
    },
    {
      name: "public-entry-points-only",
      comment: "graphs/ and nodes/ import what a user can: langgraph-resilience and its subpaths",
      severity: "error",
      from: { path: "^(graphs|nodes)/" },
      to: { path: "^(src|test|bench)/", pathNot: "^src/(index\\.ts$|entries/[^/]+\\.ts$)" },
    },
    {
      name: "public-entry-points-by-name",
      comment: "Write langgraph-resilience/…, not a relative path, so that the file works in a user's project too",
      severity: "error",
      from: { path: "^(graphs|nodes)/" },
      to: { path: "^src/", dependencyTypesNot: ["aliased"] },
    },
    {
      name: "drivers-in-persistence",
      comment: "Database drivers are imported by the plugin that needs them (a graph may query a database of its own)",
      severity: "error",
      from: { path: "^(src|nodes)/", pathNot: "^src/persistence/" },
      to: { path: "node_modules/(pg|pg-pool|pg-boss|@electric-sql/[^/]+|@langchain/langgraph-checkpoint-postgres)/" },
    },
    {
      name: "no-cycles",
      comment: "A cycle means that two files are one thing, or that a third is missing",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "declared-dependencies",
      comment: "What the published code imports is a dependency or a peer dependency",
      severity: "error",
      from: { path: "^(src|nodes)/" },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["npm", "npm-peer", "npm-optional", "type-only"] },
    },
    {
      name: "resolvable",
      comment: "An import that resolves to nothing fails at run time",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(dist|coverage)/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
