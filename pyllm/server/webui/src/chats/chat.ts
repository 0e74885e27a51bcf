import { computed, signal, type Signal } from "@preact/signals";
import { DEFAULTS } from "./settings";
import { ROOT, newId, type ChatInfo, type Message, type Settings } from "./types";

/**
 * One conversation: a tree of messages of which one path is shown. Every message is a signal of its own, so a
 * streaming answer redraws itself and nothing else.
 */
export class Chat {
  readonly info: Signal<ChatInfo>;
  /** what is running for this chat, to be stopped with abort() */
  readonly run = signal<AbortController | null>(null);
  private readonly messages = new Map<string, Signal<Message>>();
  private readonly children = new Map<string, string[]>();
  private readonly shape = signal(0); // counts added messages

  constructor(info: ChatInfo, messages: Message[]) {
    this.info = signal(info);
    for (const message of messages.toSorted((a, b) => a.created - b.created)) this.insert(message);
  }

  get id(): string {
    return this.info.peek().id;
  }

  /** The ids of the shown messages, first to last. */
  readonly path = computed((): string[] => {
    this.shape.value;
    const path: string[] = [];
    let at: string | null = this.shownChild(ROOT);
    while (at !== null && !path.includes(at)) {
      path.push(at);
      at = this.shownChild(at);
    }
    return path;
  });

  message(id: string): Signal<Message> {
    const found = this.messages.get(id);
    if (!found) throw new Error(`no message ${id}`);
    return found;
  }

  all(): Message[] {
    return [...this.messages.values()].map((message) => message.peek());
  }

  /** The shown messages up to and with `id`. */
  upTo(id: string): Message[] {
    const messages: Message[] = [];
    for (let at: string | null = id; at !== null; at = this.message(at).peek().parent) {
      messages.unshift(this.message(at).peek());
    }
    return messages;
  }

  /** All answers to one message (or all versions of it), in the order they were made. */
  siblings(id: string): string[] {
    this.shape.value;
    return this.children.get(this.message(id).peek().parent ?? ROOT) ?? [];
  }

  /** Adds a message and shows it. */
  add(message: Message): Signal<Message> {
    this.insert(message);
    this.shape.value += 1;
    this.select(message.id);
    return this.message(message.id);
  }

  select(id: string): void {
    const parent = this.message(id).peek().parent ?? ROOT;
    const info = this.info.peek();
    this.info.value = { ...info, selected: { ...info.selected, [parent]: id } };
  }

  private insert(message: Message): void {
    const parent = message.parent ?? ROOT;
    this.messages.set(message.id, signal(message));
    this.children.set(parent, [...(this.children.get(parent) ?? []), message.id]);
  }

  private shownChild(parent: string): string | null {
    const children = this.children.get(parent) ?? [];
    const chosen = this.info.value.selected[parent];
    return chosen !== undefined && children.includes(chosen) ? chosen : (children.at(-1) ?? null);
  }
}

export function emptyChat(settings: Settings = DEFAULTS): Chat {
  const now = Date.now();
  return new Chat({ id: newId(), title: "", created: now, updated: now, selected: {}, settings }, []);
}
