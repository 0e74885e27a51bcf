"""The page itself: keys, colours, narrow windows, and what a screen reader finds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.pyllm.server.webui.mock_server import MockServer, saying, scored
from tests.pyllm.server.webui.visit import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Elements a reader can act on that have no name a screen reader could say.
NAMELESS = """() => [...document.querySelectorAll(
    "button, input, select, textarea, a, img, dialog[open]")]
  .filter((element) => element.checkVisibility())
  .filter((element) => !element.hasAttribute("aria-label") && !element.hasAttribute("alt"))
  .filter((element) => !element.innerText && !element.labels?.[0]?.innerText)
  .map((element) => element.outerHTML)"""

# Texts whose colour is too close to what lies behind them (WCAG AA).
FAINT = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgb = (colour, under) => {
    canvas.fillStyle = `rgb(${under.join()})`;
    canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (colour) => colour.map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => element === null ? [255, 255, 255]
    : rgb(getComputedStyle(element).backgroundColor, behind(element.parentElement));
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    const visible = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    if (!own || !visible) continue;
    if (element.closest(":disabled, .sr-only, .skip")) continue;
    const under = behind(element);
    const [a, b] = [light(rgb(getComputedStyle(element).color, under)), light(under)].sort();
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${element.className}: ${element.innerText}`);
  }
  return found;
}"""

RICH = (
    "# Title\n\nText with `code`, [a link](https://example.org/) and [none](x).\n\n> quoted\n\n"
    "```python\n# comment\ndef f(x: int) -> str:\n    return 'text' + str(x + 1)\n```\n\n"
    "```diff\n- old\n+ new\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_and_everything_has_a_name(
    browser: Browser, server: MockServer, scheme: str
) -> None:
    visit = Visit(browser, server, color_scheme=scheme)
    visit.open()
    visit.ask("Show everything", RICH)
    visit.again("Twice")
    visit.click("Previous version")
    visit.click("Settings")
    visit.page.get_by_role("switch", name="Token probabilities").check()
    visit.ask("Every tint", scored([(f"w{n} ", -n / 5, [("other", -1.0)]) for n in range(20)]))
    visit.page.locator("[data-token]").first.hover()
    assert visit.page.evaluate(FAINT) == []
    visit.page.get_by_label("Temperature", exact=True).fill("9")
    visit.page.get_by_role("switch", name="JSON schema").check()
    visit.page.locator(".message.user").first.hover()
    assert visit.page.evaluate(FAINT) == []
    assert visit.page.evaluate(NAMELESS) == []
    visit.page.keyboard.press("Escape")
    visit.page.evaluate("document.activeElement.blur()")
    visit.page.keyboard.press("?")
    visit.page.get_by_role("dialog", name="Help and keys").wait_for()
    assert visit.page.evaluate(FAINT) == []
    visit.close()


def test_landmarks(visit: Visit) -> None:
    visit.open()
    visit.ask("Hello", "Hi there")
    for role, name in [
        ("complementary", "Chats"),
        ("navigation", "Chats"),
        ("log", "Conversation"),
    ]:
        assert visit.page.get_by_role(role, name=name, exact=True).count() == 1, role
    assert visit.page.get_by_role("main").count() == 1
    assert visit.page.get_by_role("article", name="Answer").count() == 1
    assert visit.page.locator("h1").inner_text() == "pyllm"


def test_only_a_finished_answer_is_announced(visit: Visit) -> None:
    visit.open()
    announced = visit.page.locator(".sr-only[role=status]")
    visit.server.replies.append(saying("Slowly now, word by word", pause=0.05))
    visit.write("Speak")
    visit.see("Slowly")
    assert announced.inner_text() == ""
    visit.finished()
    assert announced.inner_text() == "Answer finished. Slowly now, word by word"
    assert visit.page.locator("[aria-live=polite] .markdown").count() == 0


def test_keys(visit: Visit) -> None:
    visit.open()
    page = visit.page
    page.locator("#composer:focus").wait_for()
    page.keyboard.type("first")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second / ?")
    assert page.input_value("#composer") == "first\nsecond / ?"
    assert visit.server.requests == []
    page.keyboard.press("Enter")
    visit.finished()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    page.locator("#composer:focus").wait_for()
    assert page.input_value("#composer") == ""
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Help and keys")
    dialog.wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    page.keyboard.press("Meta+k")
    page.locator("#composer:focus").wait_for()
    assert visit.questions == []


def test_enter_of_an_input_method_does_not_send(visit: Visit) -> None:
    visit.open()
    visit.page.fill("#composer", "にほん")
    visit.page.evaluate("""() => document.getElementById("composer").dispatchEvent(
      new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true }))""")
    visit.page.wait_for_timeout(200)
    assert visit.server.requests == []


def test_colours_follow_the_system_or_the_reader(browser: Browser, server: MockServer) -> None:
    visit = Visit(browser, server, color_scheme="dark")
    visit.open()

    def lightness() -> int:
        colour = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    assert lightness() < 150
    visit.click("Colours: auto")
    assert lightness() > 600
    visit.page.reload()
    visit.page.get_by_role("button", name="Colours: light").wait_for()
    assert lightness() > 600
    visit.click("Colours: light")
    assert lightness() < 150
    visit.close()


# What a browser does that was told to keep nothing.
NOTHING_KEPT = """
for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });
Object.defineProperty(window, "indexedDB", { value: { open() { throw new Error("no"); } } });
"""


def test_a_browser_that_keeps_nothing(visit: Visit) -> None:
    visit.context.add_init_script(NOTHING_KEPT)
    visit.open()
    visit.page.get_by_text("This browser keeps no data for this page").wait_for()
    visit.ask("Still there?", "Yes")
    visit.click("Colours: auto")
    visit.page.keyboard.press("Control+k")
    visit.ask("And now?", "Now too")
    visit.page.get_by_role("button", name="Still there?", exact=True).click()
    visit.see("Yes")


def test_a_phone(browser: Browser, server: MockServer) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    visit = Visit(browser, server, **phone)
    visit.open()
    page = visit.page
    visit.ask("Wide things", RICH + "\n" + "x" * 300 + "\n\n```\n" + "y" * 300 + "\n```\n")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.querySelector('.thread').scrollWidth") <= 390
    chats = page.get_by_role("complementary", name="Chats", exact=True)
    assert not chats.is_visible()
    visit.click("Chats")
    chats.get_by_role("button", name="Wide things", exact=True).wait_for()
    assert page.locator("main").get_attribute("inert") is not None
    assert chats.get_by_role("button", name="Delete Wide things").is_visible()
    page.keyboard.press("Escape")
    chats.wait_for(state="hidden")
    visit.click("New chat", page.locator("main"))
    assert visit.questions == []
    small = """() => [...document.querySelectorAll("input, textarea, select")]
      .filter((field) => field.checkVisibility() && field.matches("#composer"))
      .filter((field) => parseFloat(getComputedStyle(field).fontSize) < 16).length"""
    assert page.evaluate(small) == 0  # smaller fields make phones zoom
    visit.check_inert()
    visit.close()
