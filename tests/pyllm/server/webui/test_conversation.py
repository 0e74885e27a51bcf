"""A conversation: it streams, stops, is asked again, edited, branched, kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pyllm.server.webui.mock_server import Reply, delta, finish, pieces, saying, usage
from tests.pyllm.server.webui.visit import Visit

ENDLESS = Reply([delta(content=f"word{n} ") for n in range(10_000)], pause=0.01)


def test_an_answer_streams_as_markdown(visit: Visit) -> None:
    visit.open()
    visit.server.replies.append(Reply([*pieces("Some **bold** text"), *ENDLESS.chunks], 0.02))
    visit.write("Say something")
    visit.page.wait_for_selector(".message.assistant[aria-busy=true] strong")
    visit.see("word9")
    assert visit.page.locator(".stats").inner_text().count("tok/s") == 1


def test_what_is_sent(visit: Visit) -> None:
    visit.open()
    visit.ask("First", "One")
    visit.ask("Second", "Two")
    sent = visit.server.requests[1]
    assert sent["messages"] == [
        {"role": "user", "content": "First"},
        {"role": "assistant", "content": "One"},
        {"role": "user", "content": "Second"},
    ]
    assert sent["model"] == "tiny-Q8_0.gguf"
    assert sent["stream"] is True
    assert sent["stream_options"] == {"include_usage": True}
    # what nobody set is the server's to decide
    assert set(sent) == {"model", "messages", "stream", "stream_options", "return_progress"}


def test_code_is_coloured_and_copied(visit: Visit) -> None:
    visit.open()
    answer = visit.ask("Code", "Here:\n\n```python\nif True:\n    print('hi')\n```\n")
    assert answer.locator(".hljs-keyword").first.inner_text() == "if"
    visit.click("Copy code", answer)
    answer.get_by_role("button", name="Copied").wait_for()
    copied = visit.page.evaluate("navigator.clipboard.readText()")
    assert copied == "if True:\n    print('hi')"


@pytest.mark.parametrize("how", ["button", "escape"])
def test_stopping_frees_the_server_and_keeps_the_text(visit: Visit, how: str) -> None:
    visit.open()
    visit.server.replies.append(ENDLESS)
    visit.write("Go on for ever")
    visit.see("word5")
    if how == "button":
        visit.click("Stop")
    else:
        visit.page.keyboard.press("Escape")
    answer = visit.finished()
    assert "word5" in answer.inner_text()
    assert "Stopped." in answer.inner_text()
    for _ in range(100):
        if visit.server.open_streams == 0:
            break
        visit.page.wait_for_timeout(50)
    assert visit.server.open_streams == 0


def test_asking_again_makes_a_sibling(visit: Visit) -> None:
    visit.open()
    visit.ask("Pick a number", "Three")
    visit.again("Seven")
    assert visit.page.get_by_role("group", name="Version 2 of 2").inner_text() == "2/2"
    visit.click("Previous version")
    assert visit.answers == ["Three"]
    visit.page.keyboard.press("ArrowRight")
    assert visit.answers == ["Seven"]
    visit.page.keyboard.press("ArrowRight")  # there is no third
    assert visit.answers == ["Seven"]


def test_editing_a_question_branches(visit: Visit) -> None:
    visit.open()
    visit.ask("Colour of the sky?", "Blue")
    visit.ask("And the sea?", "Also blue")
    first = visit.page.locator(".message.user").first
    first.hover()
    visit.server.replies.append(saying("Green"))
    visit.click("Edit", first)
    visit.page.get_by_label("Edit message").fill("Colour of grass?")
    visit.page.keyboard.press("Enter")
    visit.see("Green")
    visit.finished()
    assert visit.questions == ["Colour of grass?"]
    assert visit.server.requests[-1]["messages"] == [
        {"role": "user", "content": "Colour of grass?"}
    ]
    visit.click("Previous version")
    assert visit.questions == ["Colour of the sky?", "And the sea?"]
    assert visit.answers == ["Blue", "Also blue"]


def test_an_answer_can_be_corrected(visit: Visit) -> None:
    visit.open()
    answer = visit.ask("2 + 2?", "5")
    visit.click("Edit", answer)
    visit.page.get_by_label("Edit message").fill("4")
    visit.click("Save")
    assert visit.answers == ["4"]
    visit.ask("Thanks")
    assert visit.server.requests[-1]["messages"][1] == {"role": "assistant", "content": "4"}


def test_escape_leaves_an_edit(visit: Visit) -> None:
    visit.open()
    visit.ask("Unchanged", "Fine")
    visit.page.focus("#composer")
    visit.page.keyboard.press("ArrowUp")
    visit.page.get_by_label("Edit message").fill("Changed")
    visit.page.keyboard.press("Escape")
    assert visit.questions == ["Unchanged"]


def test_everything_survives_a_reload(visit: Visit) -> None:
    visit.open()
    visit.ask("Remember me", "I *will*")
    visit.again("Another")
    visit.page.fill("#composer", "a half-written thou")
    visit.page.reload()
    visit.finished()
    assert visit.questions == ["Remember me"]
    assert visit.answers == ["Another"]
    visit.click("Previous version")
    assert visit.answers == ["I will"]
    assert visit.page.input_value("#composer") == "a half-written thou"


def test_a_reload_in_the_middle_keeps_what_came(visit: Visit) -> None:
    visit.open()
    visit.server.replies.append(ENDLESS)
    visit.write("Go on")
    visit.see("word250")  # past several saves, one a second: the first may still be under way
    visit.page.reload()
    answer = visit.finished()
    assert "word40" in answer.inner_text()
    assert "Stopped." in answer.inner_text()


def test_chats_are_listed_renamed_and_deleted(visit: Visit) -> None:
    visit.open()
    visit.ask("First chat")
    visit.page.keyboard.press("Control+k")
    visit.ask("Second chat")
    titles = visit.page.locator(".sidebar .title")
    assert titles.all_inner_texts() == ["Second chat", "First chat"]
    assert visit.page.title() == "Second chat · pyllm"
    titles.last.hover()
    visit.click("Rename First chat")
    visit.page.get_by_label("Title", exact=True).fill("Renamed")
    visit.page.keyboard.press("Enter")
    assert titles.all_inner_texts() == ["Second chat", "Renamed"]
    titles.first.hover()
    visit.click("Delete Second chat")
    titles.nth(1).wait_for(state="detached")
    assert visit.questions == []
    visit.click("Undo")
    titles.get_by_text("Second chat").click()
    visit.finished()
    assert visit.questions == ["Second chat"]
    visit.page.reload()
    visit.finished()
    assert sorted(titles.all_inner_texts()) == ["Renamed", "Second chat"]


def test_an_answer_goes_on_while_another_chat_is_shown(visit: Visit) -> None:
    visit.open()
    visit.server.replies.append(saying("slow but sure, to the end", pause=0.1))
    visit.write("Take your time")
    visit.see("slow")
    visit.page.keyboard.press("Control+k")
    assert visit.questions == []
    visit.page.locator(".sidebar .title").click()
    visit.see("slow but sure, to the end")


def test_export_and_import(visit: Visit, tmp_path: Path) -> None:
    visit.open()
    visit.ask("Take this along", "Gladly")
    visit.again("Gladly again")
    with visit.page.expect_download() as download:
        visit.click("Export all chats")
    path = tmp_path / "chats.json"
    download.value.save_as(path)
    exported = json.loads(path.read_text("utf-8"))
    assert exported["format"] == "pyllm-chats"
    visit.page.locator(".sidebar .title").hover()
    visit.click("Delete Take this along")
    visit.page.locator("input[type=file]").set_input_files(path)
    visit.page.get_by_text("Imported 1 chat").wait_for()
    visit.page.locator(".sidebar .title").click()
    visit.finished()
    assert visit.answers == ["Gladly again"]
    visit.click("Previous version")
    assert visit.answers == ["Gladly"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": "other"}', '{"format": "pyllm-chats", "chats": 3}']
)
def test_a_wrong_file_is_refused_in_words(visit: Visit, tmp_path: Path, content: str) -> None:
    path = tmp_path / "chats.json"
    path.write_text(content)
    visit.open()
    visit.page.locator("input[type=file]").set_input_files(path)
    visit.page.get_by_text("Not imported: the file is not").wait_for()


def test_reasoning_folds(visit: Visit) -> None:
    visit.open()
    thoughts = [delta(reasoning_content="Hmm, ", reasoning="Hmm, "), delta(reasoning="well.")]
    answer = visit.ask("Think", Reply([*thoughts, *pieces("Done"), finish()]))
    assert not answer.get_by_text("Hmm, well.").is_visible()
    answer.get_by_text("Thought").click()
    assert answer.get_by_text("Hmm, well.", exact=True).is_visible()
    visit.ask("And now")
    assert visit.server.requests[-1]["messages"][1]["content"] == "Done"


def test_tool_calls_are_shown_and_nothing_more(visit: Visit) -> None:
    visit.open()
    calls = [
        delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "rm", "arguments": ""}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"path":'}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": ' "x"}'}}]),
        delta(tool_calls=[{"index": 1, "id": "b", "function": {"name": "ls", "arguments": "{}"}}]),
    ]
    answer = visit.ask("Tidy up", Reply([*calls, finish("tool_calls")]))
    assert answer.locator(".tool strong").all_inner_texts() == ["rm", "ls"]
    assert '"path": "x"' in answer.locator(".tool").first.inner_text()
    assert len(visit.server.requests) == 1


def test_figures_of_an_answer(visit: Visit) -> None:
    visit.open()
    slow = Reply([*pieces("one two three four"), finish(), usage(1400, 5, 1000)], 0.05)
    answer = visit.ask("Count", slow)
    figures = answer.locator(".stats").inner_text()
    assert "5 tokens" in figures
    assert "1000 of 1400 cached" in figures
    assert "tok/s" in figures
    assert "to first token" in figures


def test_progress_of_a_long_prompt(visit: Visit) -> None:
    visit.open()
    seen = {"choices": [], "prompt_progress": {"total": 900, "processed": 300, "cache": 100}}
    comment = ": 400 of 900 prompt tokens read\n\n"
    visit.server.replies.append(Reply([seen, comment, *pieces("Read it all")], pause=0.5))
    visit.write("A long text")
    bar = visit.page.get_by_role("progressbar")
    bar.wait_for()
    assert (bar.get_attribute("max"), bar.get_attribute("value")) == ("900", "300")
    visit.see("300 of 900 tokens, 100 from the cache")
    visit.finished()
    assert bar.count() == 0


def test_the_model_can_be_changed(visit: Visit) -> None:
    visit.server.models = ["dir/first-Q4_K_M.gguf", "second"]
    visit.open()
    choice = visit.page.get_by_label("Model", exact=True)
    choices = choice.locator("option")
    choices.nth(1).wait_for(state="attached")  # the page is there before the server has named them
    assert choices.all_inner_texts() == ["first-Q4_K_M", "second"]
    choice.select_option("second")
    visit.ask("Who are you?")
    assert visit.server.requests[0]["model"] == "second"
    visit.page.reload()
    visit.finished()
    choices.nth(1).wait_for(state="attached")
    assert choice.input_value() == "second"
