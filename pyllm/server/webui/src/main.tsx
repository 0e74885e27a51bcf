import { render } from "preact";
import { loadModels } from "./api/server";
import { start } from "./chats/library";
import { App } from "./view/app";
import { listenToKeys } from "./view/keyboard";
import { focusComposer } from "./view/layout";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/thread.css";
import "./styles/markdown.css";
import "./styles/controls.css";

void loadModels();
void start().then(() => {
  render(<App />, document.getElementById("app")!);
  listenToKeys();
  if (matchMedia("(hover: hover)").matches) focusComposer(); // phones would open their keyboard
});
