import { useMemo, useRef, useState } from "preact/hooks";
import { clean } from "../api/clean";
import type { TokenScore } from "../chats/types";

const GROUP = 64; // tokens drawn together: while an answer grows only its last group is drawn again
// probabilities at which the tint changes; the most certain tokens have none
const STEPS = [0.05, 0.2, 0.4, 0.6, 0.8, 0.95];

// pixels the tooltip needs
const WIDTH = 268;
const HEIGHT = 200;

/** An answer token by token, tinted by how sure the model was; hovering or arrow keys show the alternatives. */
export function Tokens({ tokens, text }: { tokens: TokenScore[]; text: string }) {
  const [at, setAt] = useState<number | null>(null);
  const box = useRef<HTMLDivElement>(null);
  // the token that ended the answer is no part of its text
  const last = tokens.at(-1)?.text ?? "";
  const ender = last && !text.endsWith(last) ? tokens.length - 1 : null;
  const groups = Array.from({ length: Math.ceil(tokens.length / GROUP) }, (_, index) => index * GROUP);
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape" && at !== null) setAt(null);
    else if (step) setAt(Math.min(Math.max((at ?? -1) + step, 0), tokens.length - 1));
    else return;
    event.preventDefault();
  };
  return (
    <div class="tokens-place" data-own-keys onKeyDown={onKeyDown} onBlur={() => setAt(null)}>
      <div
        class="tokens"
        ref={box}
        tabIndex={0}
        role="group"
        aria-label="Token probabilities; arrow keys walk through the tokens"
        onPointerOver={(event) => setAt(tokenOf(event.target))}
        onPointerLeave={() => setAt(null)}
      >
        {groups.map((start) => (
          <Group
            key={start}
            tokens={tokens}
            start={start}
            end={Math.min(start + GROUP, tokens.length)}
            at={at}
            ender={ender}
          />
        ))}
      </div>
      {at !== null && tokens[at] && (
        <Tooltip token={tokens[at]} anchor={box.current?.querySelector(`[data-token="${at}"]`)} />
      )}
    </div>
  );
}

function tokenOf(target: EventTarget | null): number | null {
  const token = target instanceof HTMLElement ? target.dataset.token : undefined;
  return token === undefined ? null : Number(token);
}

interface GroupProps {
  tokens: TokenScore[];
  start: number;
  end: number;
  at: number | null;
  ender: number | null;
}

function Group({ tokens, start, end, at, ender }: GroupProps) {
  const marked = at !== null && at >= start && at < end ? at : null;
  const ends = ender === end - 1;
  return useMemo(
    () => (
      <span>
        {tokens.slice(start, end).map((token, index) => (
          <span
            class={`p${tint(token)} ${marked === start + index ? "marked" : ""} ${ender === start + index ? "ender" : ""}`}
            data-token={start + index}
          >
            {clean(token.text)}
          </span>
        ))}
      </span>
    ),
    [start, end, marked, ends],
  );
}

function tint(token: TokenScore): number {
  const probability = Math.exp(token.logprob);
  const step = STEPS.findIndex((limit) => probability < limit);
  return step === -1 ? STEPS.length : step;
}

function Tooltip({ token, anchor }: { token: TokenScore; anchor: Element | null | undefined }) {
  const rect = anchor?.getClientRects()[0];
  if (!rect) return null;
  const below = rect.top < HEIGHT;
  const left = `${Math.max(Math.min(rect.left, innerWidth - WIDTH), 8)}px`;
  const place = below
    ? { left, top: `${rect.bottom + 6}px` }
    : { left, bottom: `${innerHeight - rect.top + 6}px` };
  const rows = token.others.some((other) => other.text === token.text)
    ? token.others
    : [token, ...token.others];
  return (
    <div class="tooltip" role="status" style={place}>
      {rows.map((row, index) => (
        <div key={index} class={row.text === token.text ? "chosen" : ""}>
          <code>{visibleToken(row.text)}</code>
          <meter min={0} max={1} value={Math.exp(row.logprob)} />
          <span>{percent(row.logprob)}</span>
        </div>
      ))}
    </div>
  );
}

function visibleToken(text: string): string {
  return clean(text).replaceAll(" ", "·").replaceAll("\n", "↵").replaceAll("\t", "⇥") || "∅";
}

function percent(logprob: number): string {
  const value = Math.exp(logprob) * 100;
  return value >= 99.95 ? "100 %" : value >= 0.1 ? `${value.toFixed(1)} %` : "< 0.1 %";
}
