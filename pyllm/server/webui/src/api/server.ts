import { signal } from "@preact/signals";
import { cleanLine } from "./clean";
import { browserMemory, tabMemory } from "./memory";
import { FailureError, UNREACHABLE, responseFailure } from "./failure";

/** What the page knows of the server behind it: its models, whether it answers, whether it wants a key. */

export const models = signal<string[]>([]);
export const model = signal(browserMemory.get("pyllm.model") ?? "");
export const reachable = signal(true);
/** why the reader is asked for a key: none was sent, or the one that was is wrong */
export const keyWanted = signal<"missing" | "refused" | null>(null);

const KEY = "pyllm.key"; // kept for the tab only, and never sent to another origin
const RETRY_MS = 3000;

export function chooseModel(id: string): void {
  model.value = id;
  browserMemory.set("pyllm.model", id);
}

export function useKey(key: string): void {
  tabMemory.set(KEY, key || null);
  keyWanted.value = null;
  void loadModels();
}

/** A request to this server; throws FailureError for every answer but a good one. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const key = tabMemory.get(KEY);
  if (key) headers.set("Authorization", `Bearer ${key}`);
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers, redirect: "error" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    reachable.value = false;
    askAgain();
    throw new FailureError(UNREACHABLE);
  }
  reachable.value = true;
  if (response.ok) return response;
  const failure = await responseFailure(response);
  if (failure.status === 401) keyWanted.value = key ? "refused" : "missing";
  throw new FailureError(failure);
}

export async function loadModels(): Promise<void> {
  try {
    const body: unknown = await (await request("v1/models")).json();
    const data = (body as { data?: { id?: unknown }[] }).data ?? [];
    models.value = data.map((entry) => entry.id).filter((id): id is string => typeof id === "string");
    const first = models.value[0];
    if (first !== undefined && !models.value.includes(model.value)) model.value = first;
  } catch (error) {
    // no key: the dialog asks for one; no server or a busy one: ask again
    if (!(error instanceof FailureError && error.failure.status === 401)) askAgain();
  }
}

let timer = 0;

/** Every few seconds, until the server is back. */
function askAgain(): void {
  clearTimeout(timer);
  timer = setTimeout(() => void loadModels(), RETRY_MS);
}

/** How a model's name is shown: without folders and the file's ending. */
export function modelLabel(id: string): string {
  return cleanLine(
    id
      .split(/[/\\]/)
      .pop()
      ?.replace(/\.gguf$/i, "") || id,
    80,
  );
}
