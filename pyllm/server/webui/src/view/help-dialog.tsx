import { Dialog } from "./dialog";
import { IconButton } from "./icons";
import { helpOpen } from "./layout";

const KEYS: [string[], string][] = [
  [["Enter"], "send"],
  [["Shift", "Enter"], "new line"],
  [["Esc"], "stop the answer"],
  [["Ctrl / ⌘", "K"], "new chat"],
  [["/"], "to the message box"],
  [["↑"], "in an empty box: edit the last message"],
  [["←"], "previous version of a message"],
  [["→"], "next version of a message"],
  [["?"], "this help"],
];

export function HelpDialog() {
  const close = (): void => void (helpOpen.value = false);
  return (
    <Dialog open={helpOpen.value} onClose={close} label="Help and keys">
      <div class="dialog-head">
        <h2>Keys</h2>
        <IconButton icon="close" label="Close" onClick={close} />
      </div>
      <dl class="keys">
        {KEYS.map(([keys, meaning]) => (
          <div key={meaning}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
      <p>
        Chats and settings stay in this browser; this page talks to nothing but the server it came from.
        Editing a message or asking again keeps the earlier version: walk between them with the arrows.
      </p>
    </Dialog>
  );
}
