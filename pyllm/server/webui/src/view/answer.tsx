import { useEffect, useState } from "preact/hooks";
import { clean, cleanLine } from "../api/clean";
import { retry, stop } from "../chats/answer";
import type { Chat } from "../chats/chat";
import type { Message, Progress, ToolCall } from "../chats/types";
import { CodeBlock } from "../markdown/code-block";
import { Markdown } from "../markdown/markdown";
import { Icon } from "./icons";
import { Tokens } from "./tokens";

export function Answer({ chat, message, scores }: { chat: Chat; message: Message; scores: boolean }) {
  const running = message.state === "streaming";
  const nothing = !message.text && !message.reasoning && message.tools.length === 0;
  return (
    <>
      {message.reasoning && <Reasoning message={message} />}
      <Body message={message} scores={scores} />
      {message.tools.map((call, index) => (
        <ToolBlock key={index} call={call} />
      ))}
      {running && message.progress && <ProgressBar progress={message.progress} />}
      {running && nothing && !message.progress && (
        <div class="dots" aria-label="Waiting for the first token">
          <i />
          <i />
          <i />
        </div>
      )}
      {message.state === "waiting" && <Waiting chat={chat} message={message} />}
      {message.state === "failed" && <Failed chat={chat} message={message} />}
      {message.state === "stopped" && (
        <p class="aside">
          Stopped{nothing ? " before an answer came" : ""}.
          {nothing && (
            <button type="button" class="text-button" onClick={() => retry(chat, message)}>
              Try again
            </button>
          )}
        </p>
      )}
      {message.finish === "length" && <p class="aside">Cut off at the token limit.</p>}
    </>
  );
}

function Body({ message, scores }: { message: Message; scores: boolean }) {
  const open = message.state === "streaming";
  if (message.tokens.length > 0 && scores) return <Tokens tokens={message.tokens} text={message.text} />;
  if (!message.text) return null;
  if (message.json)
    return (
      <CodeBlock code={open ? clean(message.text) : prettyJson(message.text)} language="json" open={open} />
    );
  return <Markdown text={message.text} open={open} />;
}

function prettyJson(text: string): string {
  try {
    return clean(JSON.stringify(JSON.parse(text), null, 2));
  } catch {
    return clean(text); // cut off in the middle
  }
}

function Reasoning({ message }: { message: Message }) {
  const thinking = message.state === "streaming" && !message.text && message.tools.length === 0;
  const tenths = Math.round((message.reasoningMs ?? 0) / 100);
  const seconds = tenths > 0 ? ` for ${(tenths / 10).toFixed(1)} s` : "";
  return (
    <details class="reasoning">
      <summary>
        <Icon name="chevron" />
        {thinking ? <span class="shimmer">Thinking{seconds}…</span> : <>Thought{seconds}</>}
      </summary>
      <div class="reasoning-text">{clean(message.reasoning)}</div>
    </details>
  );
}

/** A call the model asks for. It is shown, never made: what to do about it is the reader's decision. */
function ToolBlock({ call }: { call: ToolCall }) {
  return (
    <div class="tool">
      <p>
        <Icon name="tool" />
        Asks for the tool <strong>{cleanLine(call.name) || "…"}</strong> (not run)
      </p>
      <CodeBlock code={prettyJson(call.arguments)} language="json" open={false} />
    </div>
  );
}

function ProgressBar({ progress }: { progress: Progress }) {
  const { total, processed, cached } = progress;
  const note = `Reading the prompt: ${processed} of ${total} tokens${cached > 0 ? `, ${cached} from the cache` : ""}`;
  return (
    <div class="progress">
      <progress max={Math.max(total, 1)} value={processed} aria-label={note} />
      <span>{note}</span>
    </div>
  );
}

function Waiting({ chat, message }: { chat: Chat; message: Message }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(Math.ceil(((message.retryAt ?? now) - now) / 1000), 0);
  return (
    <div class="failure busy">
      <p>{message.failure?.message}</p>
      <p>Trying again in {seconds} s.</p>
      <button type="button" class="text-button" onClick={() => stop(chat)}>
        Cancel
      </button>
    </div>
  );
}

function Failed({ chat, message }: { chat: Chat; message: Message }) {
  const status = message.failure?.status ? `HTTP ${message.failure.status}` : "";
  return (
    <div class="failure" role="alert">
      <p>{message.failure?.message ?? "This answer failed."}</p>
      {status && <p class="status">{status}</p>}
      <button type="button" class="text-button" onClick={() => retry(chat, message)}>
        Try again
      </button>
    </div>
  );
}
