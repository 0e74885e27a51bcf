import { batch, signal, type Signal } from "@preact/signals";
import { FailureError, type Failure } from "../api/failure";
import { model, request } from "../api/server";
import { events } from "../api/sse";
import type { Chat } from "./chat";
import { Draft, type Chunk } from "./draft";
import { current, keep, keepMessage, titleOf } from "./library";
import { requestFields, schemaError } from "./settings";
import { newMessage, type Message } from "./types";

/** Asking for answers: send, regenerate, edit, retry, stop. */

/** Said to screen readers once an answer is finished. */
export const announcement = signal("");

const SAVE_MS = 1000; // a reload loses at most this much of a running answer
const MAX_WAITS = 10; // times a busy server is asked again for one answer

export function send(text: string): boolean {
  const chat = current.peek();
  if (!text.trim() || chat.run.peek() || schemaError(chat.info.peek().settings)) return false;
  addAndAnswer(chat, chat.path.peek().at(-1) ?? null, text);
  return true;
}

function addAndAnswer(chat: Chat, parent: string | null, text: string): void {
  const message = newMessage(chat.id, parent, "user", text);
  batch(() => {
    chat.add(message);
    keep(chat, chat.info.peek().title ? {} : { title: titleOf(text) }, true);
  });
  keepMessage(message);
  void answer(chat, message.id);
}

/** Another answer to the same message, beside this one. */
export function regenerate(chat: Chat, message: Message): void {
  if (message.parent !== null && !chat.run.peek()) void answer(chat, message.parent);
}

/** Asks again after a failure: in its place when it left nothing, else beside what it left. */
export function retry(chat: Chat, message: Message): void {
  if (message.parent === null || chat.run.peek()) return;
  const empty = !message.text && !message.reasoning && message.tools.length === 0;
  void answer(chat, message.parent, empty ? chat.message(message.id) : undefined);
}

/** A changed copy beside the message; a changed question is asked at once. */
export function edit(chat: Chat, message: Message, text: string): void {
  if (chat.run.peek() || !text.trim()) return;
  if (message.role === "user") return addAndAnswer(chat, message.parent, text);
  const copy = {
    ...newMessage(chat.id, message.parent, "assistant", text),
    model: message.model,
    json: message.json,
  };
  chat.add(copy);
  keep(chat, {}, true);
  keepMessage(copy);
}

export function stop(chat: Chat): void {
  chat.run.peek()?.abort();
}

export function select(chat: Chat, id: string): void {
  chat.select(id);
  keep(chat);
}

async function answer(chat: Chat, parent: string, place?: Signal<Message>): Promise<void> {
  const { settings } = chat.info.peek();
  const cell = place ?? chat.add(newMessage(chat.id, parent, "assistant"));
  const asked = { model: model.peek(), json: settings.schemaOn, state: "streaming", failure: null } as const;
  cell.value = { ...cell.peek(), ...asked };
  const abort = new AbortController();
  chat.run.value = abort;
  keep(chat, {}, true);
  const body = {
    model: asked.model,
    messages: history(chat, parent),
    stream: true,
    stream_options: { include_usage: true },
    return_progress: true,
    ...requestFields(settings),
  };
  const failure = await untilAnswered(cell, JSON.stringify(body), abort.signal);
  const state = abort.signal.aborted ? "stopped" : failure ? "failed" : "done";
  batch(() => {
    cell.value = { ...cell.peek(), state, failure, progress: null, retryAt: null };
    chat.run.value = null;
  });
  keepMessage(cell.peek());
  announcement.value = failure
    ? `Failed: ${failure.message}`
    : `Answer finished. ${cell.peek().text.slice(0, 2000)}`;
}

/** Streams into `cell`, again after each wait a busy server asks for. Null when all went well or was stopped. */
async function untilAnswered(
  cell: Signal<Message>,
  body: string,
  signal: AbortSignal,
): Promise<Failure | null> {
  for (let waits = 0; ; waits++) {
    try {
      await stream(cell, body, signal);
      return null;
    } catch (error) {
      if (signal.aborted) return null;
      if (!(error instanceof FailureError)) {
        return { message: `This page failed: ${(error as Error).message}`, status: 0, retryAfter: null };
      }
      const { failure } = error;
      const busy = failure.status === 429 || failure.status === 503;
      if (!busy || failure.retryAfter === null || waits === MAX_WAITS) return failure;
      const retryAt = Date.now() + Math.max(failure.retryAfter, 1) * 1000;
      cell.value = { ...cell.peek(), state: "waiting", failure, retryAt };
      await sleep(retryAt - Date.now(), signal);
      if (signal.aborted) return null;
      cell.value = { ...cell.peek(), state: "streaming", failure: null, retryAt: null };
    }
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()));
  });
}

async function stream(cell: Signal<Message>, body: string, signal: AbortSignal): Promise<void> {
  const started = performance.now();
  const draft = new Draft(() => performance.now() - started);
  const show = atMostOncePerFrame(() => (cell.value = { ...cell.peek(), ...draft.fields() }));
  const saving = setInterval(() => (show.now(), keepMessage(cell.peek())), SAVE_MS);
  let done = false;
  try {
    const headers = { "Content-Type": "application/json" };
    const response = await request("v1/chat/completions", { method: "POST", headers, body, signal });
    for await (const data of events(response.body!)) {
      done ||= data === "[DONE]";
      if (done) continue; // read to the end: the connection can be used again
      draft.apply(JSON.parse(data) as Chunk);
      show.soon();
    }
    draft.end(done);
  } catch (error) {
    if (!draft.finished || signal.aborted) throw error; // else only what follows an answer was lost
  } finally {
    clearInterval(saving);
    show.now();
  }
}

function atMostOncePerFrame(work: () => void): { soon: () => void; now: () => void } {
  let frame = 0;
  const now = (): void => {
    cancelAnimationFrame(frame);
    frame = 0;
    work();
  };
  return { soon: () => (frame ||= requestAnimationFrame(now)), now };
}

/** What the model is told: the system prompt and the path to `last`; neighbours of one role become one message. */
function history(chat: Chat, last: string): { role: string; content: string }[] {
  const { system } = chat.info.peek().settings;
  const messages = system.trim() ? [{ role: "system", content: system }] : [];
  for (const { role, text } of chat.upTo(last)) {
    const before = messages.at(-1);
    if (role === "assistant" && !text) continue; // one that failed
    if (before?.role === role) before.content += `\n\n${text}`;
    else messages.push({ role, content: text });
  }
  return messages;
}
