import { useMemo } from "preact/hooks";
import { CopyButton } from "../view/copy-button";
import { highlight } from "./highlight";

const MAX_OPEN_CHARS = 6000; // 50 kB of growing code would be coloured anew every frame

/** Code with its language and a copy button. `open`: more may come. */
export function CodeBlock({ code, language, open }: { code: string; language: string; open: boolean }) {
  const plain = open && code.length > MAX_OPEN_CHARS;
  const coloured = useMemo(
    () => (plain ? code : highlight(code, language.toLowerCase())),
    [code, language, plain],
  );
  return (
    <figure class="code">
      <figcaption>
        <span>{language.slice(0, 40) || "text"}</span>
        <CopyButton text={() => code.replace(/\n$/, "")} label="Copy code" />
      </figcaption>
      <pre tabIndex={0} aria-label={`Code: ${language.slice(0, 40) || "text"}`}>
        <code>{coloured}</code>
      </pre>
    </figure>
  );
}
