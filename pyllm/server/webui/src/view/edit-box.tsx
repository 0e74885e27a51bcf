import { useEffect, useRef, useState } from "preact/hooks";

export function EditBox(props: {
  text: string;
  action: string;
  onDone: (text: string) => void;
  onCancel: () => void;
}) {
  const [text, setText] = useState(props.text);
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    box.current?.focus();
    box.current?.setSelectionRange(text.length, text.length);
  }, []);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.isComposing) return;
    if (event.key === "Escape") props.onCancel();
    else if (event.key === "Enter" && !event.shiftKey && props.action === "Send") props.onDone(text);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="edit">
      <textarea
        ref={box}
        aria-label="Edit message"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      <div class="dialog-buttons">
        <button type="button" class="text-button" onClick={props.onCancel}>
          Cancel
        </button>
        <button type="button" class="primary" disabled={!text.trim()} onClick={() => props.onDone(text)}>
          {props.action}
        </button>
      </div>
    </div>
  );
}
