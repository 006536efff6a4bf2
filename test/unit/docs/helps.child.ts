/** Prints as JSON what `lgr <command> --help` says, for each command that is given; "" is `lgr --help`. */
const program = new URL("../../../src/cli/main.ts", import.meta.url);

const helps: Record<string, string> = {};
const commands = process.argv.slice(2);
// Each loading listens to it.
process.stdout.setMaxListeners(0);
const print = process.stdout.write.bind(process.stdout);
for (const command of commands) {
  process.argv = [process.execPath, "lgr", ...(command === "" ? [] : [command]), "--help"];
  helps[command] = "";
  const keep = (chunk: unknown) => {
    helps[command] += String(chunk);
    return true;
  };
  process.stdout.write = keep;
  process.stderr.write = keep;
  // The program runs when it is loaded; what it imports is loaded once.
  await import(`${program.href}?${command}`);
}
process.exitCode = 0;
print(JSON.stringify(helps));
