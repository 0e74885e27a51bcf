import MarkdownIt, { type Env, type Token } from "markdown-it";

/** Markdown into tokens, and no further: markdown-it's HTML renderer is never called. */
export type { Env, Token };

const MAX_NESTING = 40; // lists in quotes in lists; deeper ones are shown flat

function parser() {
  const md = new MarkdownIt({ html: false, linkify: true, maxNesting: MAX_NESTING });
  md.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false }); // only what says http:// or https://
  md.validateLink = () => true; // judged where links are drawn (links.ts)
  return md;
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
