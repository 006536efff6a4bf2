/** Sends two mails, each a file in its world, and notes which are sent. FAULT is what is wrong with it. */
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
// By path: the package takes longer to load than the rest of this process.
import { armCrashPoints, passCrashPoint } from "../../../src/chaos/crash-at.js";

armCrashPoints();
const { WORLD: world = "", FAULT: fault } = process.env;
const file = (name: string) => join(world, name);
const takesOver = existsSync(file("begun"));
writeFileSync(file("begun"), "");

if (takesOver && fault === "cannot take over") throw new Error("what was begun cannot be gone on with");
if (takesOver && fault === "hangs when it takes over") setInterval(() => undefined, 1_000);
else sendMails();

function sendMails(): void {
  if (takesOver && fault === "takes over once") repair();
  for (const to of ["ada", "bob"]) {
    if (existsSync(file(`${to}.sent`))) continue;
    passCrashPoint("mail.send.before");
    // Written whole, it is the same mail however often it is written.
    if (fault === "sends again") appendFileSync(file(`${to}.mail`), "hello\n");
    else writeFileSync(file(`${to}.mail`), "hello\n");
    passCrashPoint("mail.send.after");
    writeFileSync(file(`${to}.sent`), "");
    passCrashPoint("mail.noted");
  }
}

/** Is right unless it is itself interrupted. */
function repair(): void {
  if (existsSync(file("repaired"))) appendFileSync(file("ada.mail"), "repaired twice\n");
  writeFileSync(file("repaired"), "");
  passCrashPoint("repair.after");
}
