import { batch, effect, signal, untracked } from "@preact/signals";
import { cleanLine } from "../api/clean";
import { browserMemory, tabMemory } from "../api/memory";
import { Chat, emptyChat } from "./chat";
import { DEFAULTS } from "./settings";
import * as storage from "./storage";
import type { ChatInfo, Message, Settings } from "./types";

/** All conversations of this browser, and the one that is shown. */

export const list = signal<ChatInfo[]>([]); // latest first
export const current = signal<Chat>(emptyChat());
export const notice = signal<{ text: string; undo?: () => void } | null>(null);

const opened = new Map<string, Chat>(); // answers of a chat that is not shown go on
const LAST = "pyllm.chat"; // of this tab: a reload shows the same chat
const SETTINGS = "pyllm.settings"; // of the chat written last: new ones start with them

const tabs = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("pyllm-chats");

function store(chats: ChatInfo[], messages: Message[]): void {
  storage.save(chats, messages).then(
    () => tabs?.postMessage(chats[0]?.id ?? messages[0]?.chat),
    (error: Error) => (notice.value = { text: `Not kept by the browser: ${error.message}` }),
  );
}

export async function start(): Promise<void> {
  await refreshList();
  if (!(await storage.isPersistent())) {
    notice.value = { text: "This browser keeps no data for this page: chats are lost when it is closed." };
  }
  const last = tabMemory.get(LAST);
  if (last && list.value.some((info) => info.id === last)) await show(last);
  else startNew();
  if (tabs) tabs.onmessage = (event) => void changedElsewhere(String(event.data));
  effect(() => tabMemory.set(LAST, current.value.id));
  effect(() => {
    const title = cleanLine(current.value.info.value.title);
    document.title = title ? `${title} · pyllm` : "pyllm";
  });
}

async function refreshList(): Promise<void> {
  list.value = (await storage.loadChats()).sort((a, b) => b.updated - a.updated);
}

async function changedElsewhere(id: string): Promise<void> {
  await refreshList();
  const chat = opened.get(id);
  if (!chat || chat.run.peek()) return;
  opened.delete(id);
  if (current.peek() === chat && list.value.some((info) => info.id === id)) await show(id);
}

export async function show(id: string): Promise<void> {
  let chat = opened.get(id);
  if (!chat) {
    const info = list.value.find((each) => each.id === id);
    if (!info) return;
    chat = new Chat(info, (await storage.loadMessages(id)).map(interrupted));
    opened.set(id, chat);
  }
  current.value = chat;
}

/** An answer that was being written when the page went away. */
function interrupted(message: Message): Message {
  const running = message.state === "streaming" || message.state === "waiting";
  return running ? { ...message, state: "stopped", progress: null, retryAt: null } : message;
}

export function startNew(): void {
  current.value = emptyChat(lastSettings());
}

function lastSettings(): Settings | undefined {
  try {
    return { ...DEFAULTS, ...(JSON.parse(browserMemory.get(SETTINGS) ?? "") as Partial<Settings>) };
  } catch {
    return undefined; // none yet
  }
}

/** Writes what the list shows of a chat; `touch` moves it to the top. */
export function keep(chat: Chat, change: Partial<ChatInfo> = {}, touch = false): void {
  batch(() => {
    const updated = touch ? Date.now() : chat.info.peek().updated;
    const info = { ...chat.info.peek(), ...change, updated };
    chat.info.value = info;
    if (chat.all().length === 0) return; // a chat begins with its first message
    opened.set(chat.id, chat);
    const others = list.peek().filter((each) => each.id !== chat.id);
    list.value = [...others, info].sort((a, b) => b.updated - a.updated);
    store([info], []);
  });
}

export function keepMessage(message: Message): void {
  store([], [message]);
}

export function changeSettings(change: Partial<Settings>): void {
  const chat = untracked(() => current.value);
  const settings = { ...chat.info.peek().settings, ...change };
  browserMemory.set(SETTINGS, JSON.stringify(settings));
  keep(chat, { settings });
}

export function titleOf(text: string): string {
  return cleanLine(text.trim().split("\n")[0] ?? "", 60);
}

export async function rename(id: string, title: string): Promise<void> {
  const chat = opened.get(id);
  if (chat) return keep(chat, { title });
  const info = list.value.find((each) => each.id === id);
  if (!info) return;
  list.value = list.value.map((each) => (each.id === id ? { ...each, title } : each));
  store([{ ...info, title }], []);
}

/** Deletes a chat; the notice offers to bring it back. */
export async function remove(id: string): Promise<void> {
  const info = list.value.find((each) => each.id === id);
  if (!info) return;
  const chat = opened.get(id);
  chat?.run.peek()?.abort();
  const messages = chat ? chat.all() : await storage.loadMessages(id);
  opened.delete(id);
  await storage.remove(id);
  list.value = list.value.filter((each) => each.id !== id);
  tabs?.postMessage(id);
  if (current.value.id === id) startNew();
  notice.value = {
    text: `Deleted “${cleanLine(info.title, 40)}”`,
    undo: () => addChats([{ info, messages }]),
  };
}

export function addChats(chats: { info: ChatInfo; messages: Message[] }[]): void {
  const ids = new Set(chats.map(({ info }) => info.id));
  list.value = [...list.value.filter((each) => !ids.has(each.id)), ...chats.map(({ info }) => info)].sort(
    (a, b) => b.updated - a.updated,
  );
  store(
    chats.map(({ info }) => info),
    chats.flatMap(({ messages }) => messages),
  );
}
