import { announcement } from "../chats/answer";
import { current } from "../chats/library";
import { Composer } from "./composer";
import { Header } from "./header";
import { HelpDialog } from "./help-dialog";
import { KeyDialog } from "./key-dialog";
import { Notice } from "./notice";
import { narrow, panelOpen, sidebarOpen } from "./layout";
import { SettingsPanel } from "./settings-panel";
import { Sidebar } from "./sidebar";
import { Thread } from "./thread";

export function App() {
  const chat = current.value;
  const close = (): void => void (sidebarOpen.value = panelOpen.value = false);
  return (
    <div class={`app ${sidebarOpen.value ? "with-sidebar" : ""} ${panelOpen.value ? "with-panel" : ""}`}>
      <a class="skip" href="#composer">
        Skip to the message box
      </a>
      <Sidebar />
      <div class="scrim" onClick={close} />
      <main inert={narrow.value && sidebarOpen.value}>
        <Header />
        <Thread key={chat.id} chat={chat} />
        <Composer chat={chat} />
      </main>
      {panelOpen.value && <SettingsPanel key={chat.id} />}
      <Notice />
      <HelpDialog />
      <KeyDialog />
      <div class="sr-only" role="status" aria-live="polite">
        {announcement.value}
      </div>
    </div>
  );
}
