import type { Settings } from "./types";

/** A number of the sampling panel. An empty field is not sent: the server's default applies. */
export interface Sampler {
  name: string;
  label: string;
  hint: string;
  min: number;
  max: number;
  step: number;
  /** where the slider rests while the server decides: the value that changes nothing */
  neutral: number;
}

export const SAMPLERS: readonly Sampler[] = [
  {
    name: "temperature",
    label: "Temperature",
    hint: "0 always takes the likeliest token; higher is more varied",
    min: 0,
    max: 2,
    step: 0.05,
    neutral: 1,
  },
  {
    name: "top_p",
    label: "Top p",
    hint: "keeps the likeliest tokens that together reach this probability",
    min: 0,
    max: 1,
    step: 0.01,
    neutral: 1,
  },
  {
    name: "top_k",
    label: "Top k",
    hint: "keeps this many of the likeliest tokens; 0 keeps all",
    min: 0,
    max: 200,
    step: 1,
    neutral: 0,
  },
  {
    name: "min_p",
    label: "Min p",
    hint: "drops tokens below this share of the likeliest one's probability",
    min: 0,
    max: 1,
    step: 0.01,
    neutral: 0,
  },
  {
    name: "repetition_penalty",
    label: "Repeat penalty",
    hint: "above 1 makes tokens that were used before less likely",
    min: 1,
    max: 2,
    step: 0.01,
    neutral: 1,
  },
  {
    name: "presence_penalty",
    label: "Presence penalty",
    hint: "lowers every token that was used at all",
    min: -2,
    max: 2,
    step: 0.1,
    neutral: 0,
  },
  {
    name: "frequency_penalty",
    label: "Frequency penalty",
    hint: "lowers tokens by how often they were used",
    min: -2,
    max: 2,
    step: 0.1,
    neutral: 0,
  },
];

export const COUNTS: readonly Sampler[] = [
  {
    name: "max_tokens",
    label: "Max tokens",
    hint: "where the answer is cut off",
    min: 1,
    max: 1_000_000,
    step: 1,
    neutral: 1,
  },
  {
    name: "seed",
    label: "Seed",
    hint: "the same seed and settings give the same answer",
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    step: 1,
    neutral: 0,
  },
];

export const DEFAULTS: Settings = {
  system: "",
  sampling: {},
  stop: "",
  schemaOn: false,
  schema: "",
  tokenScores: false,
};

/** Why `schema` cannot be sent, or null. */
export function schemaError(settings: Settings): string | null {
  if (!settings.schemaOn) return null;
  try {
    const schema: unknown = JSON.parse(settings.schema);
    const isSchema = typeof schema === "object" && schema !== null && !Array.isArray(schema);
    return isSchema ? null : "A JSON schema is an object: {…}";
  } catch (error) {
    return settings.schema.trim() ? (error as Error).message : "Write a JSON schema, or switch this off.";
  }
}

/** The fields of a request that the panel decides. */
export function requestFields(settings: Settings): Record<string, unknown> {
  const fields: Record<string, unknown> = { ...settings.sampling };
  const stop = settings.stop.split("\n").filter(Boolean);
  if (stop.length > 0) fields.stop = stop;
  if (settings.schemaOn) {
    const schema: unknown = JSON.parse(settings.schema);
    fields.response_format = { type: "json_schema", json_schema: { name: "answer", schema, strict: true } };
  }
  if (settings.tokenScores) Object.assign(fields, { logprobs: true, top_logprobs: 5 });
  return fields;
}

/** How many settings differ from the defaults. */
export function changedCount(settings: Settings): number {
  const others = [settings.system, settings.stop, settings.schemaOn, settings.tokenScores].filter(Boolean);
  return Object.keys(settings.sampling).length + others.length;
}
