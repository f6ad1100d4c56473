/** One GET of the coordinator's interface: its answer, or why there is none (RFC 9457). */
import type { Problem } from "./state.ts";

export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: Problem };

export async function get<T>(fetching: typeof fetch, path: string): Promise<Answer<T>> {
  let response: Response;
  try {
    response = await fetching(path, { headers: { accept: "application/json" } });
  } catch {
    return { ok: false, problem: { title: "", detail: "", status: 0, path } };
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return { ok: true, value: body as T };
  const said = typeof body === "object" && body !== null ? (body as { title?: unknown; detail?: unknown }) : {};
  return {
    ok: false,
    problem: {
      title: typeof said.title === "string" ? said.title : response.statusText,
      detail: typeof said.detail === "string" ? said.detail : "",
      status: response.status,
      path,
    },
  };
}
