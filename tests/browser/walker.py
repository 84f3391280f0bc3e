"""A newcomer in front of the demonstration, who does what the pages ask, and whose clicks and seconds are counted."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from playwright.sync_api import Locator, Page, expect

TRANSFER = re.compile(r"/transfers/\d+$")
TASK = re.compile(r"/tasks/\d+")


@dataclass
class Effort:
    """What one party needed. The seconds are the pages' own: the walker itself does not think."""

    clicks: int = 0
    entries: int = 0
    seconds: float = 0.0


@dataclass
class Walker:
    """Somebody who switches from party to party with the demo bar."""

    page: Page
    # Called with every page on the way.
    look: Callable[[Page], None] = lambda page: None
    efforts: dict[str, Effort] = field(default_factory=dict)
    # The words of what was clicked, as they stand on the page.
    clicked: list[str] = field(default_factory=list)
    # The steps done so far, by party and the page's own title.
    steps: list[tuple[str, str]] = field(default_factory=list)
    _party: str = ""
    _since: float = 0.0

    def act_as(self, party: str) -> None:
        self.rest()
        self._party, self._since = party, time.perf_counter()
        self.efforts.setdefault(party, Effort())

    def rest(self) -> None:
        if self._party:
            self.efforts[self._party].seconds += time.perf_counter() - self._since
        self._party = ""

    def click(self, target: Locator) -> None:
        self.clicked.append(target.inner_text())
        target.click()
        self.efforts[self._party].clicks += 1

    def follow(self, target: Locator) -> None:
        """Click on what leads to another page, and look at that page when it has loaded."""
        with self.page.expect_navigation():
            self.click(target)
        self.look(self.page)

    def enter(self, control: Locator, text: str) -> None:
        control.fill(text)
        self.efforts[self._party].entries += 1

    def choose(self, control: Locator) -> None:
        """Take the first choice that is offered and can be taken."""
        control.select_option(control.locator("option:not([disabled])").nth(1).get_attribute("value"))
        self.efforts[self._party].entries += 1

    # What a newcomer does --------------------------------------------------------------------------------------

    def apply(self, login: str, party: str, former_school: str) -> None:
        """From the login page to a saved application, for a student of another school whom the page offers."""
        page = self.page
        self.act_as(party)
        self.follow(page.locator(f"main button[value={login}]"))
        self.follow(page.locator(".head .actions a.primary"))
        example = page.locator(".examples form").filter(has=page.get_by_role("heading", name=former_school, exact=True))
        self.follow(example.locator("button"))
        grade, school_class = page.locator("#section-target select").all()
        self.choose(grade)
        page.locator("#section-target select").nth(1).locator("option").nth(1).wait_for(state="attached")
        self.choose(school_class)
        self.fill_in(page.locator("#application"))
        self.steps.append((party, page.locator("h1").inner_text()))
        self.follow(page.locator("#application .decision-buttons .primary"))
        page.wait_for_url(TRANSFER)

    def go_on(self) -> bool:
        """Do the next step of the transfer in view as whoever has it. Whether there was one."""
        page = self.page
        turn = page.locator(".party-chips button:has(svg)")
        if not turn.count():
            return False
        party = turn.inner_text()
        self.act_as(party)
        if turn.get_attribute("aria-current") is None:
            self.follow(turn)
            expect(turn).to_have_attribute("aria-current", "true")
        self.follow(page.locator(".head .actions a.primary"))
        page.wait_for_url(TASK)
        self.steps.append((party, page.locator("h1").inner_text()))
        self.fill_in(page.locator(".decision"))
        self.follow(page.locator(".decision .decision-buttons .primary"))
        page.wait_for_url(TRANSFER)
        return True

    def fill_in(self, part: Locator) -> None:
        """Enter what is required and still empty."""
        for control in part.locator("[required]:visible").all():
            if control.input_value():
                continue
            if control.evaluate("control => control.tagName") == "SELECT":
                self.choose(control)
            elif control.get_attribute("type") == "date":
                self.enter(control, "2026-09-22")
            else:
                self.enter(control, "随父母工作调动")
