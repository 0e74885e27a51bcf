import { useEffect, useId, useRef, useState } from "preact/hooks";
import { changeSettings, current } from "../chats/library";
import { COUNTS, DEFAULTS, SAMPLERS, schemaError, type Sampler } from "../chats/settings";
import { IconButton } from "./icons";
import { panelOpen } from "./layout";
import { NumberField } from "./number-field";

export function SettingsPanel() {
  const { settings } = current.value.info.value;
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    // not a field: phones would open their keyboard
    if (!panel.current?.contains(document.activeElement)) panel.current?.focus();
  }, []);
  const [resets, setResets] = useState(0); // drops what was typed into a field but refused
  const wrong = schemaError(settings);
  const reset = (): void => {
    changeSettings({ ...DEFAULTS, system: settings.system, schema: settings.schema }); // texts take work to write
    setResets(resets + 1);
  };
  const field = (sampler: Sampler, slider: boolean) => (
    <NumberField
      key={`${sampler.name} ${resets}`}
      sampler={sampler}
      slider={slider}
      value={settings.sampling[sampler.name]}
      onChange={(value) => {
        const { [sampler.name]: _, ...others } = settings.sampling;
        changeSettings({ sampling: value === undefined ? others : { ...others, [sampler.name]: value } });
      }}
    />
  );
  return (
    <aside class="panel" aria-label="Settings of this chat" ref={panel} tabIndex={-1}>
      <div class="panel-head">
        <h2>Settings</h2>
        <button
          type="button"
          class="text-button"
          title="Back to the server's defaults; texts stay"
          onClick={reset}
        >
          Reset
        </button>
        <IconButton icon="close" label="Close settings" onClick={() => (panelOpen.value = false)} />
      </div>
      <label class="field">
        <span>System prompt</span>
        <textarea
          rows={4}
          value={settings.system}
          placeholder="How the model should behave"
          onInput={(event) => changeSettings({ system: event.currentTarget.value })}
        />
      </label>
      <fieldset>
        <legend>Sampling</legend>
        {SAMPLERS.map((sampler) => field(sampler, true))}
      </fieldset>
      <fieldset>
        <legend>Length and seed</legend>
        {COUNTS.map((sampler) => field(sampler, false))}
        <label class="field">
          <span>Stop at</span>
          <textarea
            rows={2}
            value={settings.stop}
            placeholder="One text a line"
            onInput={(event) => changeSettings({ stop: event.currentTarget.value })}
          />
        </label>
      </fieldset>
      <fieldset>
        <legend>Output</legend>
        <Switch
          label="Token probabilities"
          hint="tints every token; hover shows what else was likely"
          on={settings.tokenScores}
          onChange={(tokenScores) => changeSettings({ tokenScores })}
        />
        <Switch
          label="JSON schema"
          hint="the answer is guaranteed to fit it"
          on={settings.schemaOn}
          onChange={(schemaOn) => changeSettings({ schemaOn })}
        />
        {settings.schemaOn && (
          <div class="field">
            <textarea
              id="schema"
              class="code-input"
              rows={10}
              spellcheck={false}
              aria-label="Schema"
              aria-invalid={wrong !== null}
              aria-describedby={wrong ? "schema-error" : undefined}
              placeholder={'{\n  "type": "object",\n  "properties": {…}\n}'}
              value={settings.schema}
              onInput={(event) => changeSettings({ schema: event.currentTarget.value })}
            />
            {wrong && (
              <p class="error" id="schema-error" role="alert">
                {wrong}
              </p>
            )}
          </div>
        )}
      </fieldset>
    </aside>
  );
}

function Switch(props: { label: string; hint: string; on: boolean; onChange: (on: boolean) => void }) {
  const id = useId();
  return (
    <div class="switch">
      <label for={id}>{props.label}</label>
      <small id={`${id}-hint`}>{props.hint}</small>
      <input
        id={id}
        type="checkbox"
        role="switch"
        aria-describedby={`${id}-hint`}
        checked={props.on}
        onChange={(event) => props.onChange(event.currentTarget.checked)}
      />
    </div>
  );
}
