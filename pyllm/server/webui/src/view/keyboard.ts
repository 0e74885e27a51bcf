import { select, stop } from "../chats/answer";
import type { Chat } from "../chats/chat";
import { current, startNew } from "../chats/library";
import { focusComposer, helpOpen, panelOpen, sidebarOpen } from "./layout";

/** Keys that work anywhere on the page; the help dialog lists them. */
export function listenToKeys(): void {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    if (handle(event)) event.preventDefault();
  });
}

function handle(event: KeyboardEvent): boolean {
  if (event.key === "Escape") return escape();
  if (
    (event.ctrlKey || event.metaKey) &&
    !event.shiftKey &&
    !event.altKey &&
    event.key.toLowerCase() === "k"
  ) {
    startNew();
    sidebarOpen.value = false;
    focusComposer();
    return true;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isEditable(event.target)) return false;
  if (event.key === "/") focusComposer();
  else if (event.key === "?") helpOpen.value = true;
  else if (event.key === "ArrowLeft") return walk(current.value, event.target, -1);
  else if (event.key === "ArrowRight") return walk(current.value, event.target, 1);
  else return false;
  return true;
}

function escape(): boolean {
  if (current.value.run.value) stop(current.value);
  else if (sidebarOpen.value || panelOpen.value) sidebarOpen.value = panelOpen.value = false;
  else return false;
  return true;
}

function isEditable(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input, textarea, select, [data-own-keys]") !== null;
}

/** Shows the next or previous version of the focused message, or of the last one that has several. */
function walk(chat: Chat, target: EventTarget | null, step: number): boolean {
  const focused =
    target instanceof HTMLElement
      ? target.closest<HTMLElement>("[data-message]")?.dataset.message
      : undefined;
  const id = focused ?? chat.path.value.findLast((each) => chat.siblings(each).length > 1);
  if (id === undefined || chat.run.value) return false;
  return showSibling(chat, id, step, focused !== undefined);
}

export function showSibling(chat: Chat, id: string, step: number, focus: boolean): boolean {
  const siblings = chat.siblings(id);
  const next = siblings[siblings.indexOf(id) + step];
  if (next === undefined) return false;
  select(chat, next);
  if (focus)
    requestAnimationFrame(() => document.querySelector<HTMLElement>(`[data-message="${next}"]`)?.focus());
  return true;
}
