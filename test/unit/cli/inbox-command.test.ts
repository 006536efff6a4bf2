import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { addInboxCommand } from "../../../src/cli/commands/inbox.js";
import { addResumeCommand } from "../../../src/cli/commands/resume.js";
import { decisionOf } from "../../../src/cli/decision-flags.js";

function program() {
  const printed: string[] = [];
  const write = (text: string) => void printed.push(text);
  const lgr = new Command("lgr").exitOverride().option("--json").configureOutput({ writeOut: write, writeErr: write });
  addInboxCommand(lgr);
  addResumeCommand(lgr);
  const run = async (...words: string[]) => {
    const error = await lgr.parseAsync(words, { from: "user" }).catch((thrown: unknown) => thrown);
    return { error, text: printed.join("") };
  };
  return { lgr, run };
}

const named = (parent: Command, name: string) => parent.commands.find((one) => one.name() === name);
const longFlags = (command: Command | undefined) => (command?.options ?? []).map(({ long }) => long ?? "");

describe("lgr inbox --help", () => {
  it("has examples with commands and options that there are", async () => {
    const { lgr, run } = program();
    const { text } = await run("inbox", "--help");
    const examples = [...text.matchAll(/^ {2}lgr inbox(.*?)(?: {2,}#.*)?$/gm)].map(([, words = ""]) => words.trim());
    expect(examples.length).toBeGreaterThan(5);
    const inbox = named(lgr, "inbox") as Command;
    for (const example of examples) {
      const [first = "list"] = example.split(" ").filter((word) => word !== "");
      const command = named(inbox, first.startsWith("--") ? "list" : first);
      expect(command, example).toBeDefined();
      const known = [...longFlags(lgr), ...longFlags(command)];
      for (const [flag] of example.matchAll(/--[a-z-]+/g)) expect(known, example).toContain(flag);
    }
  });
});

describe("lgr inbox, used wrongly,", () => {
  it.each<[string[], RegExp]>([
    [["3f2a"], /inbox has no command '3f2a'; to show a question: lgr inbox show <id>/],
    [["--state", "open"], /'open' is invalid\. Allowed choices are pending, resolved, expired, withdrawn, all/],
    [["show"], /missing required argument 'id'/],
    [["sweep", "--evry", "5s"], /unknown option '--evry'/],
  ])("as %j, is told what is right", async (words, message) => {
    const { error, text } = await program().run("inbox", ...words);
    expect(error).toMatchObject({ exitCode: 1 });
    expect(text).toMatch(message);
  });
});

describe("an answer on the command line", () => {
  it("has the same flags for a thread and for a question", () => {
    const { lgr } = program();
    const resolve = longFlags(named(named(lgr, "inbox") as Command, "resolve"));
    const ofThreads = ["--answer", "--question", "--from", "--from-last-sound"];
    expect(resolve).toEqual(longFlags(named(lgr, "resume")).filter((flag) => !ofThreads.includes(flag)));
  });

  it("says whose it is and what it is for", async () => {
    expect(await decisionOf({ action: "rollback", to: "before:charge", of: "feed", as: "ada" })).toEqual({
      action: "rollback",
      to: { before: "charge" },
      of: "feed",
      by: "ada",
    });
    expect(await decisionOf({})).toBeUndefined();
  });

  it("is refused where a flag lacks what it goes with", async () => {
    await expect(decisionOf({ of: "feed" })).rejects.toThrow("--of goes with --action");
    await expect(decisionOf({ action: "retry", keepEffects: true })).rejects.toThrow(
      "--keep-effects goes with --action abort",
    );
  });
});
