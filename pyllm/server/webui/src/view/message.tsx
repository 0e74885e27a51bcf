import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { regenerate, edit } from "../chats/answer";
import type { Chat } from "../chats/chat";
import { clean } from "../api/clean";
import { modelLabel } from "../api/server";
import type { Message } from "../chats/types";
import { Answer } from "./answer";
import { CopyButton } from "./copy-button";
import { EditBox } from "./edit-box";
import { IconButton } from "./icons";
import { showSibling } from "./keyboard";
import { StatsLine } from "./stats-line";

/** The message that is being edited, by id. */
export const editing = signal<string | null>(null);

export function MessageView({ chat, id }: { chat: Chat; id: string }) {
  const message = chat.message(id).value;
  const [scores, setScores] = useState(true);
  const running = message.state === "streaming" || message.state === "waiting";
  const isUser = message.role === "user";
  const change = (text: string): void => {
    editing.value = null;
    if (text !== message.text) edit(chat, message, text);
  };
  return (
    <article
      class={`message ${message.role}`}
      data-message={id}
      tabIndex={-1}
      aria-label={isUser ? "You" : "Answer"}
      aria-busy={running}
    >
      {!isUser && message.model && <div class="by">{modelLabel(message.model)}</div>}
      {editing.value === id ? (
        <EditBox
          text={message.text}
          action={isUser ? "Send" : "Save"}
          onDone={change}
          onCancel={() => (editing.value = null)}
        />
      ) : isUser ? (
        <div class="said">{clean(message.text)}</div>
      ) : (
        <Answer chat={chat} message={message} scores={scores} />
      )}
      {!running && editing.value !== id && (
        <div class="foot">
          <Siblings chat={chat} id={id} />
          {message.text && <Actions chat={chat} message={message} scores={scores} setScores={setScores} />}
          {!isUser && <StatsLine message={message} />}
        </div>
      )}
      {running && (
        <div class="foot">
          <StatsLine message={message} />
        </div>
      )}
    </article>
  );
}

function Siblings({ chat, id }: { chat: Chat; id: string }) {
  const siblings = chat.siblings(id);
  if (siblings.length < 2) return null;
  const at = siblings.indexOf(id);
  const busy = chat.run.value !== null;
  return (
    <span class="siblings" role="group" aria-label={`Version ${at + 1} of ${siblings.length}`}>
      <IconButton
        icon="left"
        label="Previous version"
        disabled={busy || at === 0}
        onClick={() => void showSibling(chat, id, -1, true)}
      />
      <span>
        {at + 1}/{siblings.length}
      </span>
      <IconButton
        icon="right"
        label="Next version"
        disabled={busy || at === siblings.length - 1}
        onClick={() => void showSibling(chat, id, 1, true)}
      />
    </span>
  );
}

function Actions(props: { chat: Chat; message: Message; scores: boolean; setScores: (on: boolean) => void }) {
  const { chat, message } = props;
  const busy = chat.run.value !== null;
  return (
    <span class="actions">
      <CopyButton label="Copy message" text={() => message.text} />
      {message.role === "assistant" && (
        <IconButton
          icon="redo"
          label="Answer again"
          disabled={busy}
          onClick={() => regenerate(chat, message)}
        />
      )}
      <IconButton icon="edit" label="Edit" disabled={busy} onClick={() => (editing.value = message.id)} />
      {message.tokens.length > 0 && (
        <IconButton
          icon="tokens"
          label={props.scores ? "Show as text" : "Show token probabilities"}
          onClick={() => props.setScores(!props.scores)}
        />
      )}
    </span>
  );
}
