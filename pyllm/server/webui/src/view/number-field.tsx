import { useEffect, useState } from "preact/hooks";
import type { Sampler } from "../chats/settings";

/** One number of the panel. Empty means: the server's default. What is out of range is said, not sent. */
export function NumberField(props: {
  sampler: Sampler;
  slider: boolean;
  value: number | undefined;
  onChange: (value: number | undefined) => void;
}) {
  const { name, label, hint, min, max, step, neutral } = props.sampler;
  const [text, setText] = useState(props.value === undefined ? "" : String(props.value));
  useEffect(() => {
    // what was typed ("0.", "1e") stays while it means the same number
    if (read(text) !== props.value) setText(props.value === undefined ? "" : String(props.value));
  }, [props.value]);
  const problem = problemOf(text, props.sampler);
  const type = (entered: string): void => {
    setText(entered);
    if (!problemOf(entered, props.sampler)) props.onChange(read(entered));
  };
  const id = `setting-${name}`;
  return (
    <div class="number" title={hint}>
      <label for={id}>{label}</label>
      {props.slider && (
        <input
          type="range"
          class={props.value === undefined ? "unset" : ""}
          aria-label={`${label}, slider`}
          tabIndex={-1}
          min={min}
          max={max}
          step={step}
          value={props.value ?? neutral}
          onInput={(event) => type(event.currentTarget.value)}
        />
      )}
      <input
        id={id}
        inputMode="decimal"
        autocomplete="off"
        placeholder="default"
        value={text}
        aria-invalid={problem !== null}
        aria-describedby={problem ? `${id}-problem` : undefined}
        onInput={(event) => type(event.currentTarget.value)}
      />
      {problem && (
        <p class="error" id={`${id}-problem`} role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}

function read(text: string): number | undefined {
  return text.trim() === "" ? undefined : Number(text);
}

function problemOf(text: string, { min, max, step }: Sampler): string | null {
  const value = read(text);
  if (value === undefined) return null;
  if (!Number.isFinite(value)) return "not a number";
  if (step === 1 && !Number.isInteger(value)) return "a whole number";
  return value < min || value > max ? `from ${min} to ${max}` : null;
}
