import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

/** A modal dialog; the browser traps focus in it, closes it on Esc and gives focus back. */
export function Dialog(props: {
  open: boolean;
  onClose: () => void;
  label: string;
  children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  // The event of a close comes later, perhaps when the dialog is wanted again: only the reader's close counts.
  const ownCloses = useRef(0);
  useLayoutEffect(() => {
    const shown = dialog.current;
    if (shown === null || shown.open === props.open) return;
    if (props.open) {
      shown.showModal();
    } else {
      ownCloses.current += 1;
      shown.close();
    }
  });
  const closed = (): void => {
    if (ownCloses.current > 0) ownCloses.current -= 1;
    else props.onClose();
  };
  return (
    <dialog
      ref={dialog}
      aria-label={props.label}
      onClose={closed}
      onClick={(event) => event.target === dialog.current && props.onClose()}
    >
      {props.open && <div class="dialog-body">{props.children}</div>}
    </dialog>
  );
}
