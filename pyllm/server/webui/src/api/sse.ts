import { CUT_OFF, FailureError } from "./failure";

/** Server-sent events: the `data` of each event of a response body. Comments (keep-alives) are skipped. */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = "";
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(lost);
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      // a carriage return at the very end may be half of a line end
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "" && data.length > 0) {
          yield data.join("\n");
          data = [];
        } else if (line.startsWith("data:")) {
          data.push(line.slice(line[5] === " " ? 6 : 5));
        }
      }
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {}); // already closed or already failed: either way it is over
  }
}

function lost(error: unknown): never {
  if (error instanceof DOMException && error.name === "AbortError") throw error; // the reader's own wish
  throw new FailureError(CUT_OFF);
}
