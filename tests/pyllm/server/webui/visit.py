"""One visitor of the page, who also watches what it must never do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.pyllm.server.webui.mock_server import MockServer, Reply, saying

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) =>
  window.violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
"""
# What no message may hold, whatever a model wrote. svg: the page's own icons are the only ones.
FOREIGN = """() => [...document.querySelectorAll(
  "body script, iframe, object, embed, style, link:not(head link), meta:not(head meta), base," +
  "form, template, audio, video, math, marquee, noscript *, svg:not(.icon), [srcdoc], [srcset]," +
  "[formaction], [action], [background], [ping]"
)].map((found) => found.outerHTML).concat(
  [...document.querySelectorAll("body *")].flatMap((element) => [...element.attributes]
    .filter(({ name }) => name.startsWith("on") || name.includes(":"))
    .map(({ name }) => `attribute ${name}`)),
  [...document.querySelectorAll("a")]
    .filter((link) => !/^(https?:|mailto:)/.test(link.href) && !link.matches(".skip"))
    .map((link) => link.outerHTML),
  [...document.querySelectorAll(".message a")]
    .filter((link) => link.target !== "_blank" || link.rel !== "noopener noreferrer nofollow")
    .map((link) => link.outerHTML),
  [...document.querySelectorAll(".message img")]
    .filter((image) => !image.src.startsWith("data:image/"))
    .map((image) => image.outerHTML),
)"""


class Visit:
    def __init__(self, browser: Browser, server: MockServer, **options: Any) -> None:
        self.server = server
        options.setdefault("viewport", {"width": 1200, "height": 800})
        self.context = browser.new_context(permissions=["clipboard-read"], **options)
        self.context.add_init_script(WATCH)
        self.misdeeds: list[str] = []
        self.context.on("page", lambda page: self._watch(page))
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(10_000)

    def _watch(self, page: Page) -> None:
        if len(self.context.pages) > 1:
            self.misdeeds.append(f"a second page: {page.url}")
        page.on("dialog", lambda dialog: (self.misdeeds.append("a dialog"), dialog.dismiss()))
        page.on("pageerror", lambda error: self.misdeeds.append(f"an exception: {error}"))
        page.on("request", lambda request: self._request(request.url))

    def _request(self, url: str) -> None:
        if not url.startswith((self.server.url, "data:image/", f"blob:{self.server.url}")):
            self.misdeeds.append(f"a request to {url[:200]}")

    def open(self, below: str = "") -> None:
        self.page.goto(self.server.url + below)
        self.page.wait_for_selector("#composer")

    def write(self, text: str) -> None:
        self.page.fill("#composer", text)
        self.page.press("#composer", "Enter")

    def ask(self, text: str, reply: Reply | str | None = None) -> Locator:
        """Sends `text`, lets the server answer with `reply`, waits for its end."""
        if reply is not None:
            self.server.replies.append(saying(reply) if isinstance(reply, str) else reply)
        self.write(text)
        return self.finished()

    def again(self, reply: str) -> None:
        """Another answer to the last question."""
        self.server.replies.append(saying(reply))
        self.click("Answer again")
        self.see(reply)
        self.finished()

    def see(self, text: str) -> None:
        """Waits until the conversation shows `text`."""
        self.page.locator(".thread").get_by_text(text).first.wait_for()

    def finished(self) -> Locator:
        self.page.wait_for_selector(".message.assistant:last-child[aria-busy=false]")
        return self.last

    @property
    def last(self) -> Locator:
        return self.page.locator(".message.assistant").last

    @property
    def questions(self) -> list[str]:
        return self.page.locator(".said").all_inner_texts()

    @property
    def answers(self) -> list[str]:
        return self.page.locator(".message.assistant .markdown").all_inner_texts()

    def click(self, name: str, within: Locator | None = None) -> None:
        (within or self.page).get_by_role("button", name=name, exact=True).click()

    def check_inert(self) -> None:
        assert self.misdeeds == []
        assert self.page.evaluate("window.violations") == []
        assert self.page.evaluate("window.pwned") is None
        assert self.page.evaluate(FOREIGN) == []

    def close(self) -> None:
        self.context.close()
