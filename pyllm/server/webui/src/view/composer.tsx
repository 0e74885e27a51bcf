import { useEffect, useRef, useState } from "preact/hooks";
import { tabMemory } from "../api/memory";
import { send, stop } from "../chats/answer";
import type { Chat } from "../chats/chat";
import { schemaError } from "../chats/settings";
import { Icon } from "./icons";
import { panelOpen } from "./layout";
import { editing } from "./message";

const DRAFT = "pyllm.draft."; // + id of the chat: a reload loses nothing

export function Composer({ chat }: { chat: Chat }) {
  const [text, setText] = useState("");
  const box = useRef<HTMLTextAreaElement>(null);
  const { settings } = chat.info.value;
  const running = chat.run.value !== null;
  useEffect(() => grow(box.current), [text]);
  useEffect(() => setText(tabMemory.get(DRAFT + chat.id) ?? ""), [chat.id]);

  const change = (value: string): void => {
    setText(value);
    tabMemory.set(DRAFT + chat.id, value || null);
  };
  const submit = (): void => {
    if (schemaError(settings)) {
      panelOpen.value = true;
      requestAnimationFrame(() => document.getElementById("schema")?.focus());
    } else if (send(text)) {
      change("");
    }
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.isComposing) return; // Enter accepts what an input method offers
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      submit();
    } else if (event.key === "ArrowUp" && !text && !running) {
      const last = chat.path.value.findLast((id) => chat.message(id).value.role === "user");
      if (last) event.preventDefault();
      editing.value = last ?? null;
    }
  };
  return (
    <div class="composer-place">
      <div class="composer">
        <div class="chips">
          {settings.system && <span class="chip">System prompt</span>}
          {settings.schemaOn && (
            <span class={`chip ${schemaError(settings) ? "wrong" : ""}`}>JSON schema</span>
          )}
          {settings.tokenScores && <span class="chip">Token probabilities</span>}
        </div>
        <textarea
          id="composer"
          ref={box}
          rows={1}
          value={text}
          aria-label="Message"
          placeholder="Write a message"
          onInput={(event) => change(event.currentTarget.value)}
          onKeyDown={onKeyDown}
        />
        {running ? (
          <button type="button" class="send" aria-label="Stop" title="Stop (Esc)" onClick={() => stop(chat)}>
            <Icon name="stop" />
          </button>
        ) : (
          <button
            type="button"
            class="send"
            aria-label="Send"
            title="Send (Enter)"
            disabled={!text.trim()}
            onClick={submit}
          >
            <Icon name="send" />
          </button>
        )}
      </div>
      <p class="fine-print">Answers can be wrong. Chats stay in this browser.</p>
    </div>
  );
}

/** As high as its text, in browsers that lack CSS's field-sizing. */
function grow(box: HTMLTextAreaElement | null): void {
  if (!box || CSS.supports("field-sizing", "content")) return;
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
}
