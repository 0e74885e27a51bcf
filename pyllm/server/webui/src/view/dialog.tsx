import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** A modal dialog; the browser traps focus in it, closes it on Esc and gives focus back. */
export function Dialog(props: {
  open: boolean;
  onClose: () => void;
  label: string;
  children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (props.open && !dialog.current?.open) dialog.current?.showModal();
    if (!props.open) dialog.current?.close();
  }, [props.open]);
  return (
    <dialog
      ref={dialog}
      aria-label={props.label}
      onClose={props.onClose}
      onClick={(event) => event.target === dialog.current && props.onClose()}
    >
      {props.open && <div class="dialog-body">{props.children}</div>}
    </dialog>
  );
}
