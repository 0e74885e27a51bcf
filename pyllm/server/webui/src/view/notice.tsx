import { useEffect } from "preact/hooks";
import { notice } from "../chats/library";
import { IconButton } from "./icons";

const SHOWN_MS = 8000;

export function Notice() {
  const shown = notice.value;
  useEffect(() => {
    if (!shown) return;
    const timer = setTimeout(() => (notice.value = null), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [shown]);
  return (
    <div class="notice-place" role="status">
      {shown && (
        <div class="notice">
          <span>{shown.text}</span>
          {shown.undo && (
            <button
              type="button"
              class="text-button"
              onClick={() => {
                shown.undo?.();
                notice.value = null;
              }}
            >
              Undo
            </button>
          )}
          <IconButton icon="close" label="Dismiss" onClick={() => (notice.value = null)} />
        </div>
      )}
    </div>
  );
}
