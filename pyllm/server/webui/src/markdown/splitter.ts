import { blockStarts, type Env } from "./parser";

/**
 * Cuts a growing text into top-level blocks, so that only the last one is parsed and drawn again.
 *
 * A block is finished once a later block has begun on a line that is itself complete: an unfinished line may still
 * turn into something else ("2" into the second item of a list).
 */
export class Splitter {
  private source = "";
  private finished: string[] = [];
  private start = 0; // where the unfinished part begins in source
  /** link definitions of the finished blocks: one that is still being written would be taken at half its length */
  readonly env: Env = { references: {} };

  /** All blocks of `source`, the last of which may change while the text is `open`. */
  update(source: string, open: boolean): string[] {
    if (!source.startsWith(this.source)) {
      this.finished = [];
      this.start = 0;
      this.env.references = {};
    }
    this.source = source;
    if (!open) blockStarts(source.slice(this.start), this.env);
    const rest = source.slice(this.start);
    const offsets = lineOffsets(rest);
    const complete = offsets.length - 1; // lines that end in a line end
    const cuts = blockStarts(rest, {})
      .slice(1)
      .filter((line) => line < complete);
    let from = 0;
    for (const line of cuts) {
      const block = rest.slice(from, offsets[line]);
      blockStarts(block, this.env);
      this.finished.push(block);
      from = offsets[line] ?? from;
    }
    this.start += from;
    return [...this.finished, rest.slice(from)];
  }
}

function lineOffsets(text: string): number[] {
  const offsets = [0];
  for (const end of text.matchAll(/\r\n|\n|\r(?!$)/g)) offsets.push(end.index + end[0].length);
  return offsets;
}
