import MarkdownIt, { type Env, type StateInline, type Token } from "markdown-it";

/** Markdown into tokens, and no further: markdown-it's HTML renderer is never called. */
export type { Env, Token };

const FORMULAS: Record<string, string> = { "\\(": "\\)", "\\[": "\\]", $$: "$$" };
const MAX_NESTING = 40; // lists in quotes in lists; deeper ones are shown flat

function parser() {
  const md = new MarkdownIt({ html: false, linkify: true, maxNesting: MAX_NESTING });
  md.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false }); // only what says http:// or https://
  md.inline.ruler.before("escape", "formula", formula);
  md.validateLink = () => true; // judged where links are drawn (links.ts)
  return md;
}

/** Formulas stay as they are written: read as Markdown they would lose their backslashes and underscores. */
function formula(state: StateInline, silent: boolean): boolean {
  const opening = state.src.slice(state.pos, state.pos + 2);
  const closing = FORMULAS[opening];
  if (closing === undefined) return false;
  const end = state.src.indexOf(closing, state.pos + 2);
  if (end === -1 || end + 2 > state.posMax) return false;
  if (!silent) state.push("formula", "", 0).content = state.src.slice(state.pos, end + 2);
  state.pos = end + 2;
  return true;
}

const full = parser();
const outline = parser();
outline.core.ruler.enableOnly(["normalize", "block"]);

export function parse(source: string, env: Env): Token[] {
  return full.parse(source, env);
}

/** The first line of each top-level block of `source`; link definitions found on the way go to `env`. */
export function blockStarts(source: string, env: Env): number[] {
  return outline
    .parse(source, env)
    .filter((token) => token.level === 0 && token.nesting >= 0 && token.map)
    .map((token) => token.map![0]);
}
