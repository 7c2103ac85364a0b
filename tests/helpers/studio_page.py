"""Drive Label Studio's page as an annotator does: sign in, open a task, click, accept, delete, submit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60_000  # milliseconds; a loaded machine is slow to show a page


class StudioPage:
    """One browser page on one Label Studio.

    Args:
        page: of Playwright.
        url: of Label Studio.
        shots: folder for screenshots.
    """

    def __init__(self, page: Any, url: str, shots: Path) -> None:
        self.page, self.url, self.shots = page, url, shots
        self._number = 0
        shots.mkdir(parents=True, exist_ok=True)
        page.set_default_timeout(PATIENCE)

    def shot(self, name: str) -> None:
        """Keep a screenshot."""
        self._number += 1
        self.page.screenshot(path=self.shots / f"{self._number:02d}-{name}.png")

    def sign_in(self, email: str, password: str) -> None:
        self.page.goto(f"{self.url}/user/login/")
        self.page.fill("input[name=email]", email)
        self.page.fill("input[name=password]", password)
        self.page.click("button[type=submit]")
        self.page.wait_for_url(lambda url: "login" not in url)

    def open(self, project: int, task: int) -> None:
        self.page.goto(f"{self.url}/projects/{project}/data?task={task}")
        self.page.wait_for_selector(
            "[data-testid=bottombar-submit-button], [data-testid=bottombar-update-button]"
        )
        self.page.wait_for_function(
            "(() => { const i = window.Htx?.annotationStore?.selected?.names?.get('image');"
            " return i?.imageRef?.naturalWidth > 0 && i.stageWidth > 1; })()"
        )
        self.page.wait_for_timeout(800)  # the page settles its layout

    def toggle(self, name: str, on: bool) -> None:
        """Set `auto-annotation` or `auto-accept`."""
        box = self.page.locator(f"[data-testid=bottombar-{name}-toggle]")
        box.set_checked(on, force=True)
        self.page.wait_for_timeout(300)

    def pick(self, key: str) -> None:
        """Choose the smart tool, then a label by its key, as the page's header says.

        The tool's key works only when the focus is not on a switch, as it is after auto-annotation was
        turned on.
        """
        self.page.locator("button[class*=tool_smart]").first.click()
        self.page.wait_for_timeout(150)
        self.page.keyboard.press(key)
        self.page.wait_for_timeout(150)

    def click(self, x: float, y: float, width: int, height: int, *modifiers: str) -> None:
        """Click a pixel of the photo."""
        left, top, wide, high = self.page.evaluate(
            "(() => { const image = Htx.annotationStore.selected.names.get('image');"
            " const r = image.imageRef.getBoundingClientRect();"
            " return [r.x, r.y, r.width, r.height]; })()"
        )
        for key in modifiers:
            self.page.keyboard.down(key)
        self.page.mouse.click(left + x / width * wide, top + y / height * high)
        for key in modifiers:
            self.page.keyboard.up(key)

    def wait_answered(self) -> None:
        """Wait until the backend's answer is on the page."""
        self.page.wait_for_timeout(150)
        self.page.wait_for_function("!Htx.awaitingSuggestions")
        self.page.wait_for_timeout(300)

    @property
    def suggestions(self) -> int:
        """How many suggestions wait to be accepted."""
        return self.page.evaluate("Htx.annotationStore.selected.suggestions.size")

    @property
    def regions(self) -> list[dict[str, Any]]:
        """The regions of the open annotation."""
        return self.page.evaluate(
            "Htx.annotationStore.selected.regionStore.regions"
            ".map(r => ({id: r.cleanId, type: r.type, parent: r.parentID, score: r.score}))"
        )

    def accept_all(self) -> None:
        self.page.click(".lsf-auto-accept__action_type_accept")
        self.page.wait_for_function("Htx.annotationStore.selected.suggestions.size === 0")
        self.page.wait_for_timeout(300)

    def delete(self, x: float, y: float, width: int, height: int) -> None:
        """Click the mask at a pixel of the photo, which selects it, and press Backspace."""
        self.click(x, y, width, height)
        self.page.wait_for_function("Htx.annotationStore.selected.selectedRegions.length === 1")
        self.page.keyboard.press("Backspace")
        self.page.wait_for_function("Htx.annotationStore.selected.selectedRegions.length === 0")
        self.page.wait_for_timeout(300)

    def submit(self) -> None:
        self.page.click("[data-testid=bottombar-submit-button]")
        self.page.wait_for_selector("[data-testid=bottombar-update-button]")
        self.page.wait_for_timeout(500)
