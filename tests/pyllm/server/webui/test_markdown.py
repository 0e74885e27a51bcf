"""Markdown in pieces: the same page as all at once, and finished parts stay as they are."""

from __future__ import annotations

import pytest

from tests.pyllm.server.webui.mock_server import Reply, delta, pieces, saying
from tests.pyllm.server.webui.visit import Visit

DOCUMENTS = {
    "paragraphs": "One line\nand another.\n\nA second paragraph with `code` and *emphasis*.\n",
    "ordered list": "1. one\n\n2. two\n\n10. ten\n\ntext\n",
    "nested list": "- a\n  - b\n\n    more of b\n- c\n\n* other list\n",
    "setext": "Title\n=====\n\nunder\n-----\ntext\n",
    "table": "| a | b |\n|---|:-:|\n| 1 | 2 |\n\nafter\n",
    "fence in list": "1. first\n\n   ```python\n   x = 1\n\n   y = 2\n   ```\n\n2. second\n",
    "unclosed fence": "text\n\n~~~js\nlet a = 1;\n\nlet b = 2;\n",
    "quote": "> quoted\n> > deeper\n\nplain\nlazy\n",
    "windows lines": "a\r\n\r\n- b\r\n- c\r\n\r\nd\r\n",
    "definitions": "See [the page][p] and [it][q].\n\n[p]: https://example.org/page\n\n"
    "[q]: https://example.org/q\n",
    "rules": "a\n\n***\n\n- - -\n\nb\n",
    "indented": "para\n\n    code\n\n    more code\n\npara\n",
    "tasks": "- [ ] open\n- [x] done\n",
    "html": "<b>not bold</b>\n\n<div>\n\n*still emphasis*\n\n</div>\n",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_in_pieces_as_in_one(visit: Visit, name: str) -> None:
    visit.open()
    text = DOCUMENTS[name]
    # a little slower than frames, so that most pieces are drawn
    streamed = visit.ask("In pieces", saying(text, size=1, pause=0.012)).locator(".markdown")
    drawn = streamed.inner_html()
    whole = visit.ask("In one", Reply([delta(content=text)])).locator(".markdown").inner_html()
    assert _blocks(drawn) == _blocks(whole)
    visit.page.reload()
    visit.finished()
    assert visit.page.locator(".markdown").first.inner_html() == whole


def _blocks(html: str) -> str:
    return html.replace("\r", "")


def test_finished_blocks_are_not_drawn_again(visit: Visit) -> None:
    visit.open()
    rest = "".join(f"Paragraph {n} of a long text.\n\n" for n in range(400))
    slow = Reply([delta(content="# Start\n\nFirst.\n\n"), *pieces(rest, 40)], pause=0.005)
    visit.server.replies.append(slow)
    visit.write("At length")
    visit.see("Paragraph 3 ")
    visit.page.evaluate("""() => {
      window.first = [...document.querySelectorAll(".markdown > *")].slice(0, 3);
      window.changes = 0;
      const seen = { childList: true, characterData: true, attributes: true, subtree: true };
      const observer = new MutationObserver((found) => (window.changes += found.length));
      for (const block of window.first) observer.observe(block, seen);
    }""")
    visit.finished()
    same = """() => {
      const now = document.querySelectorAll(".markdown > *");
      return window.first.every((block, at) => block === now[at]);
    }"""
    assert visit.page.evaluate(same)
    assert visit.page.evaluate("window.changes") == 0
    assert visit.page.locator(".markdown > *").count() == 402


def test_fifty_thousand_characters(visit: Visit) -> None:
    visit.open()
    part = "## Part\n\nSome *text* and `code`.\n\n```python\nfor i in range(9):\n    f(i)\n```\n\n"
    text = part * (50_000 // len(part))
    answer = visit.ask("At length", saying(text, size=200))
    assert answer.locator("h4").count() == text.count("## Part")
    assert answer.locator(".code").count() == text.count("```python")


def test_links(visit: Visit) -> None:
    visit.open()
    answer = visit.ask(
        "Links", "[a](https://example.org/x) <mailto:me@example.org> https://example.org/bare"
    )
    links = answer.locator("a")
    assert [link.get_attribute("href") for link in links.all()] == [
        "https://example.org/x",
        "mailto:me@example.org",
        "https://example.org/bare",
    ]
    assert {link.get_attribute("rel") for link in links.all()} == {"noopener noreferrer nofollow"}
    assert {link.get_attribute("target") for link in links.all()} == {"_blank"}


def test_formulas_keep_their_backslashes(visit: Visit) -> None:
    visit.open()
    text = "So \\(a_1 * b_1\\) and\n\n\\[\n\\frac{x_1}{y*z*}\n\\]\n\nor $$p_i$$; \\(open and $5."
    answer = visit.ask("Prove it", text)
    formulas = ["\\(a_1 * b_1\\)", "\\[\n\\frac{x_1}{y*z*}\n\\]", "$$p_i$$"]
    assert answer.locator(".formula").all_text_contents() == formulas
    assert answer.locator("em").count() == 0


def test_pictures_from_elsewhere_become_links(visit: Visit) -> None:
    visit.open()
    dot = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
    answer = visit.ask("Show", f"![mine]({dot}) ![theirs](https://example.org/track.png)")
    assert answer.locator("img").count() == 1
    assert answer.locator("img").get_attribute("alt") == "mine"
    assert answer.locator("a").get_attribute("href") == "https://example.org/track.png"
    # the request that a picture would make is a misdeed: see Visit.check_inert
