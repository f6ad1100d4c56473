/** The list of keys, as a modal dialogue: Escape closes it. */
import { useEffect, useRef } from "react";
import { usePage } from "./page-context.ts";

export function Keys({ close }: { readonly close: () => void }) {
  const { words } = usePage();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} className="keys" onClose={close} aria-labelledby="keys-title">
      <h2 id="keys-title">{words.keys.title}</h2>
      <dl>
        {words.keys.list.map(([keys, does]) => (
          <div key={keys}>
            <dt>
              {keys.split(/\s+/).map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <button type="button" onClick={() => dialog.current?.close()}>
        {words.keys.close}
      </button>
    </dialog>
  );
}
