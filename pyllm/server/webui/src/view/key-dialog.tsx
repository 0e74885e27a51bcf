import { useState } from "preact/hooks";
import { keyWanted, useKey } from "../api/server";
import { Dialog } from "./dialog";
import { focusComposer } from "./layout";

export function KeyDialog() {
  const [key, setKey] = useState("");
  const apply = (): void => {
    useKey(key.trim());
    setKey("");
    focusComposer();
  };
  const close = (): void => void (keyWanted.value = null);
  return (
    <Dialog open={keyWanted.value !== null} onClose={close} label="API key">
      <h2>API key</h2>
      <p id="key-hint">
        This server wants a key. It is kept until this tab is closed and sent to this server only.
      </p>
      {keyWanted.value === "refused" && (
        <p class="error" role="alert">
          The server did not accept this key.
        </p>
      )}
      {/* no form element: the page's policy forbids sending forms */}
      <input
        type="password"
        autocomplete="off"
        aria-label="API key"
        aria-describedby="key-hint"
        value={key}
        onInput={(event) => setKey(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Enter" && apply()}
      />
      <div class="dialog-buttons">
        <button type="button" class="text-button" onClick={close}>
          Not now
        </button>
        <button type="button" class="primary" disabled={!key.trim()} onClick={apply}>
          Use key
        </button>
      </div>
    </Dialog>
  );
}
