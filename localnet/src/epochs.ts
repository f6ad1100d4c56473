/** Follows the epochs of the network and tells each one's end once. */
import type { EpochRow } from "@cairn/protocol";
import type { CoordinatorClient } from "./coordinator.ts";
import { type EpochNews, epochNews } from "./report.ts";

export type EpochWatch = {
  /** Those settled since the watch began, in order. */
  readonly settled: readonly EpochRow[];
  /** Resolves when as many were settled as were asked for; never when none were. */
  readonly enough: Promise<void>;
  close(): void;
};

/**
 * @param wanted settled epochs after which `enough` resolves
 * @param tell called in order, once for each piece of news; epochs that had ended before the watch began are no news
 */
export async function watchEpochs(
  client: CoordinatorClient,
  wanted: number | undefined,
  tell: (news: EpochNews) => void,
): Promise<EpochWatch> {
  const told = new Set(
    (await client.epochs()).filter(({ state }) => state === "settled" || state === "void").map(({ epoch }) => epoch),
  );
  const settled: EpochRow[] = [];
  const stopping = new AbortController();
  let reached = () => {};
  const enough = new Promise<void>((done) => {
    reached = done;
  });

  const look = async () => {
    for (const news of epochNews(await client.epochs(), told)) {
      if (settled.length === wanted) return;
      tell(news);
      if (news.kind === "settled") {
        settled.push(news.row);
        told.add(news.row.epoch);
      } else for (let epoch = news.first; epoch <= news.last; epoch += 1) told.add(epoch);
      if (settled.length === wanted) reached();
    }
  };
  const watching = client.watchEpochs(look, stopping.signal);
  watching.catch(() => undefined);
  return { settled, enough, close: () => stopping.abort() };
}
