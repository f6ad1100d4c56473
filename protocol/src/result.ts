import type { RejectionCode } from "./rejections.ts";

/** Why an input was refused: one code of the closed list, and what was seen, in words. Refusal is data, never an exception. */
export type Rejection = { readonly code: RejectionCode; readonly detail: string };

/** The outcome of judging one input from outside. */
export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly rejection: Rejection };

export function accept<T>(value: T): Result<T> {
  return { ok: true, value };
}

export function reject(code: RejectionCode, detail: string): { readonly ok: false; readonly rejection: Rejection } {
  return { ok: false, rejection: { code, detail } };
}
