import { SAMPLERS, COUNTS, DEFAULTS } from "./settings";
import * as storage from "./storage";
import { list } from "./library";
import { newId, newMessage, type ChatInfo, type Message, type Settings } from "./types";

/** Chats as a file, and back. A file is material from elsewhere: every field is checked and copied by name. */

const FORMAT = "pyllm-chats";
const LIMIT = 256 * 1024 * 1024; // bytes: beyond it a browser runs out of memory while reading

export async function exportChats(ids: string[]): Promise<Blob> {
  const chats = [];
  for (const info of list.value.filter((each) => ids.includes(each.id))) {
    chats.push({ ...info, messages: await storage.loadMessages(info.id) });
  }
  return new Blob([JSON.stringify({ format: FORMAT, version: 1, chats }, null, 1)], {
    type: "application/json",
  });
}

export function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** The chats of a file, under new ids. Throws an Error that says what is wrong with it. */
export async function importChats(file: File): Promise<{ info: ChatInfo; messages: Message[] }[]> {
  if (file.size > LIMIT) throw new Error(`the file is larger than ${LIMIT >> 20} MiB`);
  let content: unknown;
  try {
    content = JSON.parse(await file.text());
  } catch (error) {
    throw new Error(`the file is not JSON: ${(error as Error).message}`);
  }
  const top = fields(content);
  if (top.format !== FORMAT || !Array.isArray(top.chats))
    throw new Error(`the file is not an export of this page`);
  return top.chats.map(readChat);
}

type Fields = Record<string, unknown>;

const fields = (value: unknown): Fields =>
  typeof value === "object" && value !== null ? (value as Fields) : {};
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const count = (value: unknown): number | null =>
  typeof value === "number" && Number.isFinite(value) ? value : null;
const rows = (value: unknown): Fields[] => (Array.isArray(value) ? value.map(fields) : []);

function readChat(value: unknown): { info: ChatInfo; messages: Message[] } {
  const chat = fields(value);
  const id = newId();
  const source = rows(chat.messages).filter((message) => text(message.id));
  const ids = new Map(source.map((message) => [text(message.id), newId()]));
  const messages = source.map((message) => readMessage(message, id, ids));
  const selected: Record<string, string> = {};
  for (const [parent, child] of Object.entries(fields(chat.selected))) {
    const known = ids.get(text(child));
    if (known) selected[ids.get(parent) ?? "root"] = known;
  }
  const created = count(chat.created) ?? Date.now();
  const settings = readSettings(fields(chat.settings));
  const title = text(chat.title).slice(0, 200) || "Imported chat";
  return {
    info: { id, title, created, updated: count(chat.updated) ?? created, selected, settings },
    messages,
  };
}

function readMessage(message: Fields, chat: string, ids: Map<string, string>): Message {
  const role = message.role === "assistant" ? "assistant" : "user";
  const stats = fields(message.stats);
  return {
    ...newMessage(chat, ids.get(text(message.parent)) ?? null, role, text(message.text)),
    id: ids.get(text(message.id)) ?? newId(),
    created: count(message.created) ?? Date.now(),
    reasoning: text(message.reasoning),
    reasoningMs: count(message.reasoningMs),
    tools: rows(message.tools).map((call) => ({ name: text(call.name), arguments: text(call.arguments) })),
    tokens: rows(message.tokens).map((token) => ({
      ...readScore(token),
      others: rows(token.others).map(readScore),
    })),
    stats: message.stats
      ? {
          firstTokenMs: count(stats.firstTokenMs),
          tokensPerSecond: count(stats.tokensPerSecond),
          answerTokens: count(stats.answerTokens) ?? 0,
          promptTokens: count(stats.promptTokens),
          cachedTokens: count(stats.cachedTokens),
        }
      : null,
    model: text(message.model),
    json: message.json === true,
    state: message.state === "done" ? "done" : "stopped",
    finish: text(message.finish) || null,
  };
}

function readScore(token: Fields): { text: string; logprob: number } {
  return { text: text(token.text), logprob: count(token.logprob) ?? 0 };
}

function readSettings(settings: Fields): Settings {
  const given = fields(settings.sampling);
  const sampling: Record<string, number> = {};
  for (const { name } of [...SAMPLERS, ...COUNTS]) {
    const value = count(given[name]);
    if (value !== null) sampling[name] = value;
  }
  return {
    ...DEFAULTS,
    sampling,
    system: text(settings.system),
    stop: text(settings.stop),
    schema: text(settings.schema),
    schemaOn: settings.schemaOn === true,
    tokenScores: settings.tokenScores === true,
  };
}
