import { useMemo, useRef } from "preact/hooks";
import { clean } from "../api/clean";
import { draw } from "./draw";
import { parse, type Env } from "./parser";
import { Splitter } from "./splitter";

/** A text in Markdown that may still grow (`open`); only its last block is drawn again when it does. */
export function Markdown({ text, open }: { text: string; open: boolean }) {
  const splitter = useRef<Splitter>(null);
  splitter.current ??= new Splitter();
  const blocks = splitter.current.update(text, open);
  const { env } = splitter.current;
  const last = blocks.length - 1;
  const definitions = Object.keys(env.references ?? {}).length; // a new one may complete an earlier block's link
  return (
    <div class="markdown">
      {blocks.map((source, index) => (
        <Block
          key={index}
          source={source}
          env={env}
          definitions={definitions}
          open={open && index === last}
        />
      ))}
    </div>
  );
}

function Block({
  source,
  env,
  definitions,
  open,
}: {
  source: string;
  env: Env;
  definitions: number;
  open: boolean;
}) {
  // the same nodes again let Preact skip the block; definitions of an open one are not kept
  return useMemo(
    () => <>{draw(parse(clean(source), open ? { references: { ...env.references } } : env), open)}</>,
    [source, env, definitions, open],
  );
}
