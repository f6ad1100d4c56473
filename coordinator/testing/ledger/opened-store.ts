/** What a ledger's behaviour is tested on: a store that was empty when it was opened. */
import type { Founding, Ledger } from "../../src/model.ts";

/** An empty store, founded for `testing/founding.ts`, and what a machine's life does to it. */
export type OpenedStore = {
  readonly ledger: Ledger;
  /** Closes every instance and opens the store anew, as after a restart; with other terms if any are given. */
  reopen(terms?: Founding): Promise<Ledger>;
  /** One more instance on the same store, as a second coordinator has it. */
  beside(): Promise<Ledger>;
  /** Closes every instance and removes the store. */
  remove(): Promise<void>;
};

export type OpenStore = () => Promise<OpenedStore>;

/** The body of a test that gets a store of its own. */
export function onStore(open: OpenStore, body: (store: OpenedStore) => Promise<void>): () => Promise<void> {
  return async () => {
    const store = await open();
    try {
      await body(store);
    } finally {
      await store.remove();
    }
  };
}
