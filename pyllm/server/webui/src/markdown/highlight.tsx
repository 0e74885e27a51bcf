import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import csharp from "highlight.js/lib/languages/csharp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { createLowlight } from "lowlight";
import type { ComponentChildren } from "preact";

/** Code as coloured spans: highlight.js's tree becomes nodes, never HTML. */

const lowlight = createLowlight({
  bash,
  c,
  cpp,
  csharp,
  css,
  diff,
  go,
  ini,
  java,
  javascript,
  json,
  python,
  rust,
  sql,
  typescript,
  xml,
  yaml,
});
lowlight.registerAlias({ bash: ["console", "shell"], ini: ["toml"], python: ["python3"], xml: ["vue"] });

const MAX_CHARS = 20_000; // about 100 ms; beyond it colours cost more than they tell

export function highlight(code: string, language: string): ComponentChildren {
  if (!lowlight.registered(language) || code.length > MAX_CHARS) return code;
  return lowlight.highlight(language, code).children.map(node);
}

type Node = ReturnType<typeof lowlight.highlight>["children"][number];

function node(from: Node): ComponentChildren {
  if (from.type === "text") return from.value;
  if (from.type !== "element") return null;
  return (
    <span class={String(from.properties.className ?? "").replaceAll(",", " ")}>
      {from.children.map(node)}
    </span>
  );
}
