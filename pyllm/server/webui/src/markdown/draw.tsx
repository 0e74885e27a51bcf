import { h, type ComponentChildren, type VNode } from "preact";
import { CodeBlock } from "./code-block";
import { safeLink, safePicture } from "./links";
import type { Token } from "./parser";

/**
 * Markdown tokens as page nodes. This is the whole of what an answer can become: elements named here, with the
 * attributes given here, and text. No string is ever read as HTML.
 */

// headings start below those of the page
const ELEMENTS: Record<string, string> = {
  p: "p",
  h1: "h3",
  h2: "h4",
  h3: "h5",
  h4: "h6",
  h5: "h6",
  h6: "h6",
  ul: "ul",
  ol: "ol",
  li: "li",
  blockquote: "blockquote",
  table: "table",
  thead: "thead",
  tbody: "tbody",
  tr: "tr",
  th: "th",
  td: "td",
  em: "em",
  strong: "strong",
  s: "s",
};

/** `open`: the text may still grow, so that an unfinished code block is not coloured over and over. */
export function draw(tokens: Token[], open: boolean): ComponentChildren {
  const root: ComponentChildren[] = [];
  const stack: { token: Token; children: ComponentChildren[] }[] = [];
  for (const token of tokens) {
    const children = stack.at(-1)?.children ?? root;
    if (token.nesting === 1) {
      stack.push({ token, children: [] });
    } else if (token.nesting === -1) {
      const closed = stack.pop();
      if (closed) (stack.at(-1)?.children ?? root).push(element(closed.token, closed.children));
    } else {
      children.push(leaf(token, open));
    }
  }
  // unfinished elements cannot be: the parser closes what it opens
  return root;
}

function element(token: Token, children: ComponentChildren[]): ComponentChildren {
  if (token.hidden) return children; // the paragraphs of a tight list
  if (token.tag === "a") return link(attribute(token, "href"), children);
  const name = ELEMENTS[token.tag];
  if (name === undefined) return children;
  const drawn = h(name, attributes(token), children);
  return name === "table" ? (
    <div class="table" tabIndex={0} role="region" aria-label="Table">
      {drawn}
    </div>
  ) : (
    drawn
  );
}

function attribute(token: Token, name: string): string {
  return String(token.attrGet(name) ?? "");
}

function attributes(token: Token): Record<string, string | number> | null {
  if (/^h[1-6]$/.test(token.tag)) return { class: `heading-${token.tag[1]}` };
  if (token.tag === "ol" && attribute(token, "start")) return { start: Number(attribute(token, "start")) };
  const align = /text-align:(left|center|right)/.exec(attribute(token, "style"))?.[1];
  return align ? { class: `align-${align}` } : null;
}

function leaf(token: Token, open: boolean): ComponentChildren {
  switch (token.type) {
    case "inline":
      return draw(token.children ?? [], open);
    case "text":
      return checkbox(token.content);
    case "code_inline":
      return <code>{token.content}</code>;
    case "fence":
    case "code_block":
      return <CodeBlock code={token.content} language={token.info.trim().split(/\s/)[0] ?? ""} open={open} />;
    case "formula":
      return <span class="formula">{token.content}</span>;
    case "softbreak":
      return "\n";
    case "hardbreak":
      return <br />;
    case "hr":
      return <hr />;
    case "image":
      return picture(token);
    default:
      return token.content;
  }
}

function checkbox(text: string): string {
  return text.replace(/^\[ \] /, "☐ ").replace(/^\[[xX]\] /, "☑ ");
}

function link(address: string, children: ComponentChildren): VNode {
  const safe = safeLink(address);
  if (safe === null)
    return (
      <span class="dead-link" title={`Not a web address: ${address.slice(0, 200)}`}>
        {children}
      </span>
    );
  return (
    <a href={safe} title={safe} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}

/** Pictures that are part of the answer are shown; others would tell their server who reads: they become links. */
function picture(token: Token): VNode {
  const address = attribute(token, "src");
  const text = token.content || "picture";
  const safe = safePicture(address);
  return safe ? <img src={safe} alt={text} /> : link(address, `🖼 ${text}`);
}
