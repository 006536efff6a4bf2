import type { Clock } from "../core/clock.js";
import { CoolingDownError } from "../errors/policy-errors.js";
import type { ErrorReport } from "../errors/report.js";

/** Keeps all callers of a service away from it for as long as it asked to be left alone. */
export interface Cooldown {
  /** @throws CoolingDownError that says when to come back, while the time is not over */
  check(): void;
  /** Heeds the Retry-After of a failure, if it has one. */
  note(report: ErrorReport): void;
}

/** No provider asks for more than a day on purpose. */
const MAX_COOLDOWN_MS = 86_400_000;

function isOwnRefusal(code: string | undefined): boolean {
  return code === "RATE_LIMITED" || code === "COOLING_DOWN";
}

export function createCooldown(service: string, clock: Clock): Cooldown {
  let until = 0;
  return {
    check() {
      const leftMs = until - clock.now();
      if (leftMs > 0) throw new CoolingDownError(service, leftMs);
    },
    note({ category, code, retryAfterMs }) {
      // Our own refusals say when there is room here, which is not what the service asked for.
      if (retryAfterMs === undefined || isOwnRefusal(code)) return;
      if (category === "rate_limit" || category === "server_error")
        until = Math.max(until, clock.now() + Math.min(retryAfterMs, MAX_COOLDOWN_MS));
    },
  };
}
