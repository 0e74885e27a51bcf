/** Text from elsewhere, made safe to look at: nothing in it may hide, reorder or overwrite what the reader sees. */

// Terminal sequences are dropped whole. They never span lines: the number of lines must survive cleaning.
const TERMINAL =
  /\u001b\[[0-?]*[ -/]*[@-~]|\u009b[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b\r\n]*(?:\u0007|\u001b\\)?/g;
// C0 and C1 but tab and line ends; embeddings, overrides and isolates of the bidirectional algorithm
const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
const EACH_HIDDEN = new RegExp(HIDDEN, "g");

function name(character: string): string {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code); // ␀ … ␟
  return `⟦U+${code.toString(16).toUpperCase().padStart(4, "0")}⟧`;
}

/** `text` without terminal sequences and with control and direction characters written out. */
export function clean(text: string): string {
  return HIDDEN.test(text) ? text.replace(TERMINAL, "").replace(EACH_HIDDEN, name) : text;
}

/** The same for what must fit one line: names, titles. */
export function cleanLine(text: string, limit = 200): string {
  const line = clean(text).replace(/\s+/g, " ").trim();
  return line.length > limit ? `${line.slice(0, limit - 1)}…` : line;
}
