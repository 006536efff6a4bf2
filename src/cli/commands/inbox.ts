import { type Command, Option } from "commander";
import { INBOX_STATES } from "../../core/inbox-ports.js";
import type { ClaimFlags } from "../actions/inbox/claim.js";
import type { ListFlags } from "../actions/inbox/list.js";
import type { ResolveFlags } from "../actions/inbox/resolve.js";
import type { SweepFlags } from "../actions/inbox/sweep.js";
import type { WatchFlags } from "../actions/inbox/watch.js";
import type { GlobalOptions } from "../command-scope.js";
import { addDecisionOptions, addGoOnOptions } from "../decision-options.js";

const EXAMPLES = `
Examples:
  lgr inbox                                     # what waits for a person, the oldest first
  lgr inbox --mine --overdue
  lgr inbox list --for ada --graph order-saga --json
  lgr inbox show 3f2a                           # an ID, or the beginning of one
  lgr inbox claim 3f2a --for 2h
  lgr inbox resolve 3f2a --action retry --as ada
  lgr inbox resolve 3f2a --action abort --reason "not needed"
  lgr inbox list --state resolved --thread q3
  lgr inbox watch --every 5s
  lgr inbox sweep --watch                       # reminds, escalates, does default actions`;

const ID = "its ID, or the beginning of it";

export function addInboxCommand(program: Command): void {
  const inbox = program
    .command("inbox")
    .summary("questions to people over all threads: list, answer, escalate")
    .description(
      "Questions that threads of all graphs ask people: steps that failed for good, and effects that need approval. Without a command it lists those that are open.",
    )
    .showHelpAfterError("(--help shows the options)")
    .addHelpText("after", EXAMPLES);
  addList(inbox);
  inbox
    .command("show")
    .summary("what is asked, what can be answered, what happened so far")
    .description("Shows a question: what is asked, how it can be answered, whose turn it is, and what happened so far.")
    .argument("<id>", ID)
    .action(async (id: string, _flags: object, command: Command) => {
      const { showQuestion } = await import("../actions/inbox/show.js");
      await showQuestion(id, command.optsWithGlobals<GlobalOptions>());
    });
  addResolve(inbox);
  addClaims(inbox);
  addWatch(inbox);
  addSweep(inbox);
}

function addFilters(command: Command): Command {
  return command
    .option("--graph <name>", "only of this graph")
    .option("--thread <thread>", "only of this thread, by its name or ID")
    .option("--node <name>", "only of this node")
    .option("--kind <kind>", "only of this kind: intervention, approval")
    .option("--for <person>", "only those for this person: handed to them, or among the people of its level")
    .option("--claimed-by <person>", "only those that this person works on")
    .option("--mine", "only those that you work on: claimed by your login, or --as")
    .option("--as <name>", "with --mine: who you are");
}

function addList(inbox: Command): void {
  const list = inbox
    .command("list", { isDefault: true })
    .summary("list questions, the oldest first (the default)")
    .description("Lists questions over all threads and graphs, the oldest first.")
    .addOption(
      new Option("--state <state>", "only those in this state").choices([...INBOX_STATES, "all"]).default("pending"),
    );
  addFilters(list)
    .option("--overdue", "only those whose time is over")
    .option("-n, --limit <n>", "at most so many", "50")
    .allowExcessArguments()
    .action(async (flags: ListFlags, command: Command) => {
      const [word] = command.args;
      if (word !== undefined)
        command.error(`error: inbox has no command '${word}'; to show a question: lgr inbox show <id>`);
      const { listInbox } = await import("../actions/inbox/list.js");
      await listInbox(flags, command.optsWithGlobals<GlobalOptions>());
    });
}

function addResolve(inbox: Command): void {
  const resolve = inbox
    .command("resolve")
    .summary("answer one, and go on with its thread")
    .description(
      "Answers a question and goes on with its thread, as lgr resume does. Of several people at once one is heard, and\nthe others are told who was faster.",
    )
    .argument("<id>", ID);
  addDecisionOptions(resolve);
  addGoOnOptions(resolve)
    .addHelpText(
      "after",
      `\nExamples:\n  lgr inbox resolve 3f2a --action retry\n  lgr inbox resolve 3f2a --action provide --result '{"report":"…"}'\n  lgr inbox resolve 3f2a --action reject --reason "too much" --as ada`,
    )
    .action(async (id: string, flags: ResolveFlags, command: Command) => {
      const { resolveQuestion } = await import("../actions/inbox/resolve.js");
      process.exitCode = await resolveQuestion(id, flags, command.optsWithGlobals<GlobalOptions>());
    });
}

function addClaims(inbox: Command): void {
  inbox
    .command("claim")
    .summary("keep one for yourself")
    .description("Keeps a question for one person: others cannot answer it until the claim is given back or is over.")
    .argument("<id>", ID)
    .option("--for <time>", "for how long: 2h, 30m, 90s (default: 30m)")
    .option("--force", "take it over from whoever has it")
    .option("--as <name>", "who works on it (default: your login)")
    .action(async (id: string, flags: ClaimFlags, command: Command) => {
      const { claimQuestion } = await import("../actions/inbox/claim.js");
      await claimQuestion(id, flags, command.optsWithGlobals<GlobalOptions>());
    });
  inbox
    .command("release")
    .summary("give one back that you have claimed")
    .description("Gives a question back that you have claimed.")
    .argument("<id>", ID)
    .option("--as <name>", "who gives it back (default: your login)")
    .action(async (id: string, flags: Pick<ClaimFlags, "as">, command: Command) => {
      const { releaseQuestion } = await import("../actions/inbox/claim.js");
      await releaseQuestion(id, flags, command.optsWithGlobals<GlobalOptions>());
    });
}

function addWatch(inbox: Command): void {
  const watch = inbox
    .command("watch")
    .summary("show each change as it comes")
    .description("Lists the open questions, then shows each change as it comes. Ctrl-C ends it.");
  addFilters(watch)
    .option("--every <time>", "how often it looks", "1s")
    .action(async (flags: WatchFlags, command: Command) => {
      const { watchInbox } = await import("../actions/inbox/watch.js");
      process.exitCode = await watchInbox(flags, command.optsWithGlobals<GlobalOptions>());
    });
}

function addSweep(inbox: Command): void {
  inbox
    .command("sweep")
    .summary("remind, escalate, do default actions, tell people")
    .description(
      "Does what is due: reminds people, asks the next level, does the default action where nobody answered in time, and\n" +
        "withdraws what is not asked any more. Any number of processes may sweep: each change is made by one.\n" +
        "People are told by the channels of the environment: mail (LGR_SMTP_URL, LGR_MAIL_FROM, LGR_MAIL_TO), Slack\n" +
        "(LGR_SLACK_WEBHOOK), webhook (LGR_WEBHOOK_URL, LGR_WEBHOOK_SECRET); with links where LGR_CONSOLE_URL is set.\n" +
        "Without channels their messages wait. Exits with 1 where a default action or a message failed.",
    )
    .option("--watch", "go on until Ctrl-C, which lets the step in hand end")
    .option("--every <time>", "with --watch: time between two sweeps (default: 5s)")
    .action(async (flags: SweepFlags, command: Command) => {
      const { sweepQuestions } = await import("../actions/inbox/sweep.js");
      process.exitCode = await sweepQuestions(flags, command.optsWithGlobals<GlobalOptions>());
    });
}
