import { userInfo } from "node:os";

/** Who acts, for the audit log: as `--as` says, else the login. */
export function personOf(as: string | undefined): string {
  return as ?? userInfo().username;
}
