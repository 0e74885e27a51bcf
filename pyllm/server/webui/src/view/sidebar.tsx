import { useEffect, useRef, useState } from "preact/hooks";
import { cleanLine } from "../api/clean";
import { addChats, current, list, notice, remove, rename, show, startNew } from "../chats/library";
import { download, exportChats, importChats } from "../chats/transfer";
import type { ChatInfo } from "../chats/types";
import logo from "../logo.svg";
import { Icon, IconButton } from "./icons";
import { focusComposer, helpOpen, nextTheme, sidebarOpen, theme } from "./layout";

const FILTER_FROM = 8; // chats; fewer are found by looking

export function Sidebar() {
  const [filter, setFilter] = useState("");
  const close = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (sidebarOpen.value) close.current?.querySelector("button")?.focus();
  }, [sidebarOpen.value]);
  const wanted = filter.toLowerCase();
  const chats = list.value.filter((info) => info.title.toLowerCase().includes(wanted));
  const begin = (): void => {
    startNew();
    sidebarOpen.value = false;
    focusComposer();
  };
  return (
    <aside class="sidebar" aria-label="Chats">
      <div class="brand" ref={close}>
        <img src={logo} alt="" width="26" height="26" />
        <h1>pyllm</h1>
        <IconButton
          class="narrow-only"
          icon="close"
          label="Close chats"
          onClick={() => (sidebarOpen.value = false)}
        />
      </div>
      <button type="button" class="new-chat" onClick={begin}>
        <Icon name="plus" />
        New chat
      </button>
      {list.value.length >= FILTER_FROM && (
        <input
          class="filter"
          type="search"
          placeholder="Find a chat"
          aria-label="Find a chat"
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
      )}
      <nav aria-label="Chats">
        <Groups chats={chats} />
        {list.value.length === 0 && <p class="empty">Chats stay in this browser.</p>}
      </nav>
      <Footer />
    </aside>
  );
}

const DAY_MS = 86_400_000;
const AGES: [string, number][] = [
  ["Today", 0],
  ["Last seven days", 7],
  ["Earlier", Infinity],
];

function Groups({ chats }: { chats: ChatInfo[] }) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  const age = (info: ChatInfo): number =>
    AGES.findIndex(([, days]) => info.updated >= midnight - days * DAY_MS);
  return AGES.map(([name], index) => {
    const group = chats.filter((info) => age(info) === index);
    if (group.length === 0) return null;
    return (
      <section key={name} aria-label={name}>
        <h2>{name}</h2>
        <ul>
          {group.map((info) => (
            <Row key={info.id} info={info} />
          ))}
        </ul>
      </section>
    );
  });
}

function Row({ info }: { info: ChatInfo }) {
  const [renaming, setRenaming] = useState(false);
  const title = cleanLine(info.title) || "Untitled";
  const shown = current.value.id === info.id;
  if (renaming)
    return (
      <li>
        <RenameBox info={info} done={() => setRenaming(false)} />
      </li>
    );
  const open = async (): Promise<void> => {
    await show(info.id);
    sidebarOpen.value = false;
    focusComposer();
  };
  return (
    <li class={shown ? "shown" : ""}>
      <button
        type="button"
        class="title"
        aria-current={shown ? "page" : undefined}
        title={title}
        onClick={() => void open()}
        onDblClick={() => setRenaming(true)}
      >
        {title}
      </button>
      <span class="row-actions">
        <IconButton icon="edit" label={`Rename ${title}`} onClick={() => setRenaming(true)} />
        <IconButton icon="export" label={`Export ${title}`} onClick={() => void exportAs([info.id], title)} />
        <IconButton icon="trash" label={`Delete ${title}`} onClick={() => void remove(info.id)} />
      </span>
    </li>
  );
}

function RenameBox({ info, done }: { info: ChatInfo; done: () => void }) {
  const cancelled = useRef(false);
  return (
    <input
      class="rename"
      aria-label="Title"
      value={info.title}
      maxLength={200}
      ref={(input) => input?.focus()}
      onKeyDown={(event) => {
        cancelled.current = event.key === "Escape";
        if (event.key === "Escape" || (event.key === "Enter" && !event.isComposing)) {
          event.preventDefault();
          event.currentTarget.blur();
        }
      }}
      onBlur={(event) => {
        const title = event.currentTarget.value.trim();
        if (title && !cancelled.current) void rename(info.id, title);
        done();
      }}
    />
  );
}

async function exportAs(ids: string[], title: string): Promise<void> {
  const name =
    title
      .replace(/[^\p{L}\p{N}]+/gu, "-")
      .replace(/^-|-$/g, "")
      .slice(0, 60) || "chat";
  download(await exportChats(ids), `pyllm-${name}.json`);
}

async function importFrom(file: File): Promise<void> {
  try {
    const chats = await importChats(file);
    addChats(chats);
    notice.value = { text: `Imported ${chats.length} ${chats.length === 1 ? "chat" : "chats"}` };
  } catch (error) {
    notice.value = { text: `Not imported: ${(error as Error).message}` };
  }
}

function Footer() {
  const picker = useRef<HTMLInputElement>(null);
  const themes = { auto: "auto", light: "sun", dark: "moon" } as const;
  return (
    <footer>
      <IconButton icon={themes[theme.value]} label={`Colours: ${theme.value}`} onClick={nextTheme} />
      <IconButton icon="import" label="Import chats" onClick={() => picker.current?.click()} />
      <IconButton
        icon="export"
        label="Export all chats"
        disabled={list.value.length === 0}
        onClick={() =>
          void exportAs(
            list.value.map((info) => info.id),
            "chats",
          )
        }
      />
      <span class="space" />
      <IconButton icon="help" label="Help and keys" onClick={() => (helpOpen.value = true)} />
      <input
        ref={picker}
        type="file"
        accept="application/json,.json"
        hidden
        aria-label="File to import"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          event.currentTarget.value = "";
          if (file) void importFrom(file);
        }}
      />
    </footer>
  );
}
