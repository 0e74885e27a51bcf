import type { Message } from "../chats/types";

/** Speed, time to first token and prefix-cache hits, under an answer; it grows while the answer does. */
export function StatsLine({ message }: { message: Message }) {
  const { stats } = message;
  if (!stats) return null;
  const parts: [string, string][] = [];
  if (stats.tokensPerSecond !== null)
    parts.push([`${round(stats.tokensPerSecond)} tok/s`, "tokens per second, after the first"]);
  if (stats.firstTokenMs !== null)
    parts.push([`${seconds(stats.firstTokenMs)} to first token`, "from sending to the first token"]);
  parts.push([`${stats.answerTokens} tokens`, "length of the answer"]);
  if (stats.promptTokens !== null) {
    const cached = stats.cachedTokens ?? 0;
    parts.push([
      `${cached} of ${stats.promptTokens} cached`,
      "tokens of the prompt that were in the prefix cache",
    ]);
  }
  return (
    <span class="stats">
      {parts.map(([text, hint]) => (
        <span key={hint} title={hint}>
          {text}
        </span>
      ))}
    </span>
  );
}

function round(rate: number): string {
  return rate < 100 ? rate.toFixed(1) : rate.toFixed(0);
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
