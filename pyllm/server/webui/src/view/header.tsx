import { chooseModel, model, modelLabel, models, reachable } from "../api/server";
import { changedCount } from "../chats/settings";
import { current, startNew } from "../chats/library";
import { Icon, IconButton } from "./icons";
import { focusComposer, panelOpen, sidebarOpen } from "./layout";

export function Header() {
  const changed = changedCount(current.value.info.value.settings);
  return (
    <header class="header">
      <IconButton
        class="narrow-only"
        icon="menu"
        label="Chats"
        expanded={sidebarOpen.value}
        onClick={() => (sidebarOpen.value = true)}
      />
      <ModelChoice />
      {!reachable.value && (
        <span class="offline" role="status">
          Server not reachable, trying again…
        </span>
      )}
      <span class="space" />
      <IconButton
        class="narrow-only"
        icon="plus"
        label="New chat"
        onClick={() => {
          startNew();
          focusComposer();
        }}
      />
      <button
        type="button"
        class="settings-button"
        aria-label="Settings"
        aria-expanded={panelOpen.value}
        title="Settings of this chat"
        onClick={() => (panelOpen.value = !panelOpen.value)}
      >
        <Icon name="sliders" />
        {changed > 0 && (
          <span class="badge" aria-label={`${changed} changed`}>
            {changed}
          </span>
        )}
      </button>
    </header>
  );
}

function ModelChoice() {
  const ids = models.value;
  if (ids.length === 0)
    return <span class="model-name">{model.value ? modelLabel(model.value) : "No model yet"}</span>;
  return (
    <span class="model">
      <select
        aria-label="Model"
        title={model.value}
        value={model.value}
        onChange={(event) => chooseModel(event.currentTarget.value)}
      >
        {ids.map((id) => (
          <option key={id} value={id}>
            {modelLabel(id)}
          </option>
        ))}
      </select>
      <Icon name="chevron" />
    </span>
  );
}
