import { join } from "node:path";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { ErrorReport } from "langgraph-resilience";
import { threadName, writeWhole } from "../artifacts.js";
import { quarterSlug } from "../figures.js";
import { composeMail, mailFile, recipients, sendBySmtp } from "../mail.js";
import { present, type QuarterlyReport, type Update } from "../state.js";

const SAME_ID = "A repeat of this step sends the same Message-ID, so a receiver can drop the second copy.";

/** Mails the report when SMTP_URL is set; else leaves the mail in an outbox folder and says so. */
export async function sendReport(state: QuarterlyReport, config: LangGraphRunnableConfig): Promise<Update> {
  const mail = await composeMail(state, threadName(config));
  const { messageId } = mail;
  const url = process.env.SMTP_URL;
  if (!url) {
    const path = join(present(state, "folder"), "outbox", `${quarterSlug(state)}-report.eml`);
    await writeWhole(path, await mailFile(mail));
    return {
      delivery: {
        kind: "outbox",
        path,
        messageId,
        note: "Not sent: SMTP_URL is not set, so the mail lies in the outbox as a file.",
      },
    };
  }
  const { accepted, refused } = await sendBySmtp(url, mail, config.signal);
  const partly = refused.length === 0 ? "" : ` The server refused ${refused.join(", ")}.`;
  return { delivery: { kind: "sent", to: accepted, refused, messageId, note: `Sent.${partly} ${SAME_ID}` } };
}

/** The mail failed for good: the report stays where it is, and a notice beside it tells the person. */
export async function keepSavedReport(
  state: QuarterlyReport,
  config: LangGraphRunnableConfig,
  failure: ErrorReport,
): Promise<Update> {
  const { markdownPath, htmlPath } = present(state, "report");
  const noticePath = join(present(state, "folder"), `${quarterSlug(state)}-MAIL-NOT-SENT.txt`);
  const reason = `${failure.category}: ${failure.message}`;
  const note = `The report is complete and saved, but it was not mailed to ${recipients(state.mailTo).join(", ")}.`;
  await writeWhole(
    noticePath,
    `${note}\n\nReason: ${reason}\nReport: ${htmlPath}\n        ${markdownPath}\nThread: ${threadName(config)}\n\nTo send it, put the cause right (SMTP_URL, MAIL_FROM, mailTo) and mail the report by hand,\nor resume the thread from the checkpoint before sendReport.\n`,
  );
  return { delivery: { kind: "failed", noticePath, reason, note } };
}
