import type { ChatInfo, Message } from "./types";

/**
 * Conversations in the browser's IndexedDB. A message is a record of its own, so two tabs of one chat never
 * overwrite each other. Where the browser refuses (private windows of some), everything lives as long as the page.
 */

const NAME = "pyllm";
let opening: Promise<IDBDatabase | null> | undefined;

function open(): Promise<IDBDatabase | null> {
  opening ??= new Promise((resolve) => {
    let asked: IDBOpenDBRequest;
    try {
      asked = indexedDB.open(NAME, 1);
    } catch {
      return resolve(null);
    }
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore("chats", { keyPath: "id" });
      asked.result.createObjectStore("messages", { keyPath: "id" }).createIndex("chat", "chat");
    };
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => resolve(null);
  });
  return opening;
}

async function run<T>(
  mode: IDBTransactionMode,
  work: (stores: IDBTransaction) => IDBRequest<T> | null,
): Promise<T | null> {
  const db = await open();
  if (!db) return null;
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(["chats", "messages"], mode);
    const asked = work(transaction);
    transaction.oncomplete = () => resolve(asked ? asked.result : null);
    transaction.onabort = () => reject(transaction.error ?? new Error("the browser's storage refused"));
  });
}

export async function isPersistent(): Promise<boolean> {
  return (await open()) !== null;
}

export async function loadChats(): Promise<ChatInfo[]> {
  return (await run<ChatInfo[]>("readonly", (t) => t.objectStore("chats").getAll())) ?? [];
}

export async function loadMessages(chat: string): Promise<Message[]> {
  return (
    (await run<Message[]>("readonly", (t) => t.objectStore("messages").index("chat").getAll(chat))) ?? []
  );
}

export async function save(chats: ChatInfo[], messages: Message[]): Promise<void> {
  await run("readwrite", (t) => {
    for (const chat of chats) t.objectStore("chats").put(chat);
    for (const message of messages) t.objectStore("messages").put(message);
    return null;
  });
}

export async function remove(chat: string): Promise<void> {
  await run("readwrite", (t) => {
    t.objectStore("chats").delete(chat);
    const found = t.objectStore("messages").index("chat").openKeyCursor(chat);
    found.onsuccess = () => {
      if (!found.result) return;
      t.objectStore("messages").delete(found.result.primaryKey);
      found.result.continue();
    };
    return null;
  });
}
