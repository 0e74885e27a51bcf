import { effect, signal } from "@preact/signals";
import { browserMemory } from "../api/memory";

/** What of the page is open, and how it is coloured. */

export const sidebarOpen = signal(false); // the drawer of narrow windows; wide ones always show it
export const panelOpen = signal(false);
const narrowWindow = matchMedia("(max-width: 760px)"); // as in layout.css
export const narrow = signal(narrowWindow.matches);
narrowWindow.addEventListener("change", () => (narrow.value = narrowWindow.matches));
export const helpOpen = signal(false);

export type Theme = "auto" | "light" | "dark";
const THEMES: Theme[] = ["auto", "light", "dark"];
const stored = browserMemory.get("pyllm.theme") as Theme;
export const theme = signal<Theme>(THEMES.includes(stored) ? stored : "auto");

export function nextTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "auto";
  browserMemory.set("pyllm.theme", theme.value);
}

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

/** Focuses the message box once what was just changed is on the page. */
export function focusComposer(): void {
  requestAnimationFrame(() => document.getElementById("composer")?.focus());
}
