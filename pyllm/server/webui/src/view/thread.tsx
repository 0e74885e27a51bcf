import { useEffect, useRef, useState } from "preact/hooks";
import type { Chat } from "../chats/chat";
import logo from "../logo.svg";
import { model, modelLabel } from "../api/server";
import { IconButton } from "./icons";
import { MessageView } from "./message";

const NEAR_END = 60; // pixels: closer than this the reader follows the answer

export function Thread({ chat }: { chat: Chat }) {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const [away, setAway] = useState(false);
  const path = chat.path.value;

  const toEnd = (): void => {
    const box = scroller.current;
    if (box) box.scrollTop = box.scrollHeight;
  };
  useEffect(() => {
    const observer = new ResizeObserver(() => following.current && toEnd());
    if (content.current) observer.observe(content.current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (chat.run.value) following.current = true; // a question was just asked
    if (following.current) toEnd();
  }, [path.at(-1)]);

  const onScroll = (): void => {
    const box = scroller.current;
    if (!box) return;
    following.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END;
    setAway(!following.current);
  };
  return (
    <div class="thread" ref={scroller} onScroll={onScroll}>
      <div class="column" ref={content} role="log" aria-label="Conversation" aria-live="off">
        {path.length === 0 ? <Welcome /> : path.map((id) => <MessageView key={id} chat={chat} id={id} />)}
      </div>
      {away && <IconButton class="to-end" icon="down" label="To the end" onClick={toEnd} />}
    </div>
  );
}

function Welcome() {
  return (
    <div class="welcome">
      <img src={logo} alt="" width="52" height="52" />
      <h2>What is on your mind?</h2>
      <p>
        {model.value ? (
          <>
            You are talking to <strong>{modelLabel(model.value)}</strong>, on your own machine.
          </>
        ) : (
          "Waiting for a model…"
        )}
      </p>
    </div>
  );
}
