import { cleanLine, clean } from "./clean";

/** Why an answer did not come, in words for the reader. */
export interface Failure {
  message: string;
  /** HTTP status; 0 when no answer arrived at all */
  status: number;
  /** seconds the server asked to wait, when it did */
  retryAfter: number | null;
}

export class FailureError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

export const UNREACHABLE: Failure = {
  message: "The server does not answer. Your text is kept; try again when it is back.",
  status: 0,
  retryAfter: null,
};

export const CUT_OFF: Failure = {
  message: "The connection was lost before the answer was finished.",
  status: 0,
  retryAfter: null,
};

/** What an error body says: OpenAI's `{error: {message}}`, FastAPI's `{detail}`, or its text. */
export function errorMessage(body: unknown): string {
  if (typeof body === "string") return clean(body).trim().slice(0, 2000);
  if (typeof body !== "object" || body === null) return "";
  const { error, detail, message } = body as Record<string, unknown>;
  for (const inner of [error, detail, message]) {
    const found = errorMessage(inner);
    if (found) return found;
  }
  return "";
}

const BY_STATUS: Record<number, string> = {
  401: "This server wants an API key.",
  404: "The server does not know this model or route.",
  413: "The request is too large for the server.",
  429: "The server is busy.",
  503: "The server is not ready.",
};

/** The failure that an HTTP response with an error status means. */
export async function responseFailure(response: Response): Promise<Failure> {
  const text = await response.text().catch(() => "");
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch {
    // not JSON: proxies answer in HTML, of which the status says enough
    body = text.trimStart().startsWith("<") ? "" : text;
  }
  const fallback =
    BY_STATUS[response.status] ?? `The server answered ${response.status} ${cleanLine(response.statusText)}`;
  return {
    message: errorMessage(body) || fallback.trim(),
    status: response.status,
    retryAfter: retryAfter(response.headers.get("Retry-After")),
  };
}

function retryAfter(header: string | null): number | null {
  if (!header) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.min(Math.max(Math.ceil(seconds), 0), 3600) : null;
}
