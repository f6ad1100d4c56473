/** Reporter for `node --test-reporter`: one JSON line per finished test, as scripts/test-run.ts reads them. */
import type { TestEvent } from "node:test/reporters";

/** One finished test. `error` is there when it failed; `skipped` holds the reason, "" when none was given. */
export type TestRecord = {
  readonly name: string;
  readonly line: number;
  readonly error?: string;
  readonly skipped?: string;
};

type Details = Extract<TestEvent, { type: "test:fail" }>["data"];

function reason(mark: string | boolean): string {
  return typeof mark === "string" ? mark : "";
}

function describe(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}

export default async function* reporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const names: string[] = [];
  for await (const { type, data } of events) {
    if (type === "test:start") names.splice(data.nesting, names.length, data.name);
    if (type !== "test:pass" && type !== "test:fail") continue;
    const error = type === "test:fail" ? (data as Details).details.error : undefined;
    const failedInside = (error as { failureType?: string } | undefined)?.failureType === "subtestsFailed";
    if ((data.details.type === "suite" && error === undefined) || failedInside) continue;
    const record: TestRecord = {
      name: [...names.slice(0, data.nesting), data.name].join(" > "),
      line: data.line ?? 0,
      ...(data.skip !== undefined && { skipped: reason(data.skip) }),
      ...(data.todo !== undefined && { skipped: `to do ${reason(data.todo)}`.trimEnd() }),
      ...(error !== undefined && data.todo === undefined && { error: describe(error) }),
    };
    yield `${JSON.stringify(record)}\n`;
  }
}
