import type { Failure } from "../api/failure";

/** One token of an answer: its text, its log-probability, and what could have stood in its place. */
export interface TokenScore {
  text: string;
  logprob: number;
  others: { text: string; logprob: number }[];
}

export interface ToolCall {
  name: string;
  arguments: string;
}

/** Times in milliseconds, counts in tokens; null where the server did not say. */
export interface Stats {
  firstTokenMs: number | null;
  tokensPerSecond: number | null;
  answerTokens: number;
  promptTokens: number | null;
  cachedTokens: number | null;
}

export interface Progress {
  total: number;
  processed: number;
  cached: number;
}

/** waiting: the server asked to come back later; stopped: by the reader, or by closing the page */
export type State = "streaming" | "waiting" | "done" | "stopped" | "failed";

export interface Message {
  id: string;
  chat: string;
  parent: string | null;
  role: "user" | "assistant";
  created: number;
  text: string;
  reasoning: string;
  reasoningMs: number | null;
  tools: ToolCall[];
  tokens: TokenScore[];
  stats: Stats | null;
  model: string;
  /** asked for with a JSON schema: shown as JSON, not as Markdown */
  json: boolean;
  state: State;
  /** why the server stopped: "stop", "length", … */
  finish: string | null;
  failure: Failure | null;
  /** when a waiting answer is asked for again, ms since the epoch */
  retryAt: number | null;
  progress: Progress | null;
}

export interface Settings {
  system: string;
  /** by name of the API's field; what is missing is left to the server */
  sampling: Record<string, number>;
  /** one stop sequence a line */
  stop: string;
  schemaOn: boolean;
  schema: string;
  tokenScores: boolean;
}

export interface ChatInfo {
  id: string;
  title: string;
  created: number;
  updated: number;
  /** which child is shown: by parent, ROOT for the first message */
  selected: Record<string, string>;
  settings: Settings;
}

export const ROOT = "root";

export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join(
    "",
  );
}

export function newMessage(chat: string, parent: string | null, role: Message["role"], text = ""): Message {
  return {
    id: newId(),
    chat,
    parent,
    role,
    text,
    created: Date.now(),
    reasoning: "",
    reasoningMs: null,
    tools: [],
    tokens: [],
    stats: null,
    model: "",
    json: false,
    state: "done",
    finish: null,
    failure: null,
    retryAt: null,
    progress: null,
  };
}
