import type { Failure } from "../api/failure";
import { CUT_OFF, FailureError, errorMessage } from "../api/failure";
import type { Message, Progress, Stats, TokenScore, ToolCall } from "./types";

/** A chunk of `/v1/chat/completions`; every field may be missing. */
export interface Chunk {
  choices?: {
    delta?: Delta;
    logprobs?: { content?: Logprob[] | null } | null;
    finish_reason?: string | null;
  }[];
  usage?: {
    prompt_tokens?: number;
    completion_tokens?: number;
    prompt_tokens_details?: { cached_tokens?: number } | null;
  } | null;
  timings?: { predicted_per_second?: number | null } | null;
  prompt_progress?: { total?: number; processed?: number; cache?: number } | null;
  error?: unknown;
}

interface Delta {
  content?: string | null;
  reasoning?: string | null;
  reasoning_content?: string | null;
  tool_calls?: { index?: number; function?: { name?: string; arguments?: string } }[] | null;
}

interface Logprob {
  token?: string;
  logprob?: number;
  top_logprobs?: { token?: string; logprob?: number }[];
}

const MIN_RATE_MS = 50; // a rate over less says more about the network's packets than about the model

/** An answer while it arrives: chunks go in, the fields of its message come out. */
export class Draft {
  private text = "";
  private reasoning = "";
  private readonly tools: ToolCall[] = [];
  private readonly tokens: TokenScore[] = [];
  private finish: string | null = null;
  private progress: Progress | null = null;
  private usage: NonNullable<Chunk["usage"]> = {};
  private serverRate: number | null = null; // tokens per second as the server measured them
  private counted = 0; // chunks with content, or tokens where the server scores them
  private firstMs: number | null = null;
  private lastMs = 0;
  private reasonedMs: number | null = null;

  /** `clock` gives milliseconds since the request was sent. */
  constructor(private readonly clock: () => number) {}

  apply(chunk: Chunk): void {
    if (chunk.error !== undefined) throw new FailureError(streamFailure(chunk.error));
    if (chunk.usage) this.usage = chunk.usage;
    this.serverRate = chunk.timings?.predicted_per_second ?? this.serverRate;
    if (chunk.prompt_progress) {
      const { total = 0, processed = 0, cache = 0 } = chunk.prompt_progress;
      this.progress = { total, processed, cached: cache };
    }
    const choice = chunk.choices?.[0];
    if (!choice) return;
    this.finish = choice.finish_reason ?? this.finish;
    const scores = choice.logprobs?.content ?? [];
    for (const score of scores) this.tokens.push(tokenScore(score));
    if (this.applyDelta(choice.delta ?? {}) || scores.length > 0) this.tick(Math.max(scores.length, 1));
  }

  /** Whether the delta held any part of an answer. */
  private applyDelta(delta: Delta): boolean {
    const reasoning = delta.reasoning_content ?? delta.reasoning ?? "";
    const content = delta.content ?? "";
    const calls = delta.tool_calls ?? [];
    this.reasoning += reasoning;
    if (this.reasoning && this.reasonedMs === null && (content || calls.length > 0)) {
      this.reasonedMs = this.clock() - (this.firstMs ?? 0);
    }
    this.text += content;
    for (const call of calls) this.applyCall(call.index ?? 0, call.function ?? {});
    return Boolean(reasoning || content || calls.length > 0);
  }

  private applyCall(index: number, part: { name?: string; arguments?: string }): void {
    const at = Math.min(index, this.tools.length); // an index out of order opens the next call
    const call = (this.tools[at] ??= { name: "", arguments: "" });
    call.name += part.name ?? "";
    call.arguments += part.arguments ?? "";
  }

  private tick(tokens: number): void {
    this.progress = null;
    this.lastMs = this.clock();
    this.firstMs ??= this.lastMs;
    this.counted += tokens;
  }

  get finished(): boolean {
    return this.finish !== null;
  }

  /** The last chunk has come: throws where the stream broke off. */
  end(sawDone: boolean): void {
    if (this.finish === null && !sawDone) throw new FailureError(CUT_OFF);
  }

  fields(): Partial<Message> {
    const thinking = this.reasoning && this.firstMs !== null ? this.lastMs - this.firstMs : null;
    return {
      text: this.text,
      reasoning: this.reasoning,
      reasoningMs: this.reasonedMs ?? thinking,
      tools: this.tools.map((call) => ({ ...call })),
      tokens: this.tokens.slice(),
      finish: this.finish,
      progress: this.progress,
      stats: this.stats(),
    };
  }

  private stats(): Stats | null {
    if (this.firstMs === null) return null;
    const tokens = this.usage.completion_tokens ?? this.counted;
    const ms = this.lastMs - this.firstMs;
    return {
      firstTokenMs: this.firstMs,
      tokensPerSecond:
        this.serverRate ?? (tokens > 1 && ms >= MIN_RATE_MS ? (tokens - 1) / (ms / 1000) : null),
      answerTokens: tokens,
      promptTokens: this.usage.prompt_tokens ?? null,
      cachedTokens: this.usage.prompt_tokens_details?.cached_tokens ?? null,
    };
  }
}

function tokenScore(score: Logprob): TokenScore {
  const others = (score.top_logprobs ?? []).map(({ token = "", logprob = 0 }) => ({ text: token, logprob }));
  return { text: score.token ?? "", logprob: score.logprob ?? 0, others };
}

function streamFailure(error: unknown): Failure {
  return {
    message: errorMessage(error) || "The server stopped with an error.",
    status: 500,
    retryAfter: null,
  };
}
