/** For each line `<epoch ms> <folder>` it is told, tries to get that folder's lock at that moment and says how it went. */
import { createInterface } from "node:readline";
import { acquireFolderLock } from "../../../src/persistence/folder-lock.js";

console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const [at, folder = ""] = line.split(" ");
  while (Date.now() < Number(at));
  const outcome = await acquireFolderLock(folder).then(
    () => "owner",
    (error) => error.code ?? String(error),
  );
  console.log(outcome);
}
