"""Each page in light and dark, as wide as a desktop and as a phone: nothing broken or cut off, readable for everybody."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, expect

from covid_core import phantom
from tests import golden


def side_by_side(page: Page) -> None:
    page.get_by_text("Side by side, to zoom").click()
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(3)


def answer_phantoms(page: Page) -> None:
    page.get_by_role("button", name="Try it with phantoms").click()
    expect(page.get_by_text("13 of 13 rows")).to_be_visible(timeout=120_000)


def open_table(page: Page) -> None:
    page.get_by_text(re.compile("All (numbers|figures)")).first.click()
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()


def abstain(page: Page) -> None:
    page.get_by_text("Abstain", exact=True).click()
    expect(page.get_by_text(re.compile("% wrong")).first).to_be_visible()


def move_letters(page: Page) -> None:
    slider = page.get_by_role("slider", name="Across")
    expect(slider).to_have_value("0.3")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_value("0.35")


def next_model(page: Page) -> None:
    page.get_by_role("tab", name="ResNet50", exact=True).click()
    expect(page.get_by_role("heading", name="ResNet50", exact=True)).to_be_visible()


def next_step(page: Page) -> None:
    for number in (2, 3):
        settle(page)  # until then the button is that of the step before
        page.get_by_test_id("stBaseButton-primary").click()
        heading = page.get_by_role("heading", name=re.compile(f"^{number}[.] "))
        expect(heading).to_be_in_viewport(timeout=60_000)
        expect(page.locator(".st-key-step")).to_be_focused()
        page.mouse.click(1, 500)  # and away from it


def read_on(page: Page) -> None:
    expect(page.get_by_role("heading", name="Privacy")).to_be_attached()


# Address, title, and what is done there.
PAGES: dict[str, tuple[str, Callable[[Page], None]]] = {
    "": ("Diagnose", side_by_side),
    "batch": ("Batch", answer_phantoms),
    "compare": ("Compare", open_table),
    "uncertainty_lab": ("Uncertainty lab", abstain),
    "shortcut_lab": ("Shortcut lab", move_letters),
    "scoreboard": ("Scoreboard", open_table),
    "models": ("Models", next_model),
    "learn": ("Learn", next_step),
    "about": ("About", read_on),
}


def settle(page: Page) -> None:
    """Wait until the script has run: Streamlit marks the app while it does."""
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=60_000)
    page.wait_for_function(
        "document.querySelector('[data-testid=stApp]')?.getAttribute('data-test-script-state') === 'notRunning'",
        timeout=60_000,
    )


def check(page: Page) -> None:
    """What holds of every page: no error box, nothing wider than the window, no serious finding of axe-core."""
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_text("Not a medical device.").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for _ in range(4):
        found = Axe().run(page).response["violations"]
        serious = [(f["id"], f["nodes"][0]["html"]) for f in found if f["impact"] in ("serious", "critical")]
        if not serious:
            break
        page.wait_for_timeout(1000)  # what Streamlit draws anew is pale at first
    assert not serious, serious


def is_dark(page: Page) -> bool:
    """Whether the page is: Streamlit follows the visitor's system, also while the page is open."""
    shade = page.get_by_test_id("stApp").evaluate("app => getComputedStyle(app).backgroundColor")
    return sum(int(part) for part in re.findall(r"\d+", shade)[:3]) < 3 * 128


@pytest.mark.parametrize("width", [1280, 390])
def test_every_page(address: str, browser: Browser, tmp_path: Path, width: int) -> None:
    """Opened, used and photographed, light and dark; pytest keeps the photographs of its last three runs."""
    context = browser.new_context(viewport={"width": width, "height": 1400})
    for path, (title, use) in PAGES.items():
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
        page.goto(f"{address}/{path}?sample=ct-lesions")
        settle(page)
        use(page)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            settle(page)
            check(page)
            assert is_dark(page) == (scheme == "dark")
            page.screenshot(path=tmp_path / f"{title} {scheme}.png")
        assert not errors, (path, errors)
        page.close()
    context.close()


def test_the_way_through_the_pages_logs_no_error(address: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    pending: set[Request] = set()
    page.on("request", lambda request: pending.add(request))
    for ended in ("requestfinished", "requestfailed"):
        page.on(ended, lambda request: pending.discard(request))
    page.goto(f"{address}/?sample=ct-healthy")
    settle(page)
    for title, _ in PAGES.values():
        page.get_by_role("link", name=title, exact=True).click()
        expect(page.get_by_role("link", name=title, exact=True)).to_have_attribute(
            "aria-current", "page", timeout=60_000
        )
        settle(page)
        page.wait_for_timeout(300)
        while pending:  # who leaves at once finds gone what the page still asks for
            page.wait_for_timeout(50)
    page.close()
    assert not errors


def test_two_visitors_at_once_never_mix(address: str, browser: Browser, tmp_path: Path) -> None:
    """Both upload at the same time; each sees the own picture's name and nothing of the other's."""
    contexts = [browser.new_context() for _ in range(2)]
    pages = [context.new_page() for context in contexts]
    for page in pages:
        page.goto(address)
        settle(page)
    for number, (page, case) in enumerate(zip(pages, ("ct-lesions", "xray-healthy"), strict=True)):
        file = tmp_path / f"visitor{number}.png"
        file.write_bytes(golden.png(case))
        page.locator("input[type=file]").first.set_input_files(str(file))
    for number, (page, kind) in enumerate(zip(pages, ("CT slice", "X-ray"), strict=True)):
        expect(page.get_by_text(f"visitor{number}.png; layers")).to_be_visible(timeout=120_000)
        expect(page.get_by_text(f"Read as a chest {kind}")).to_be_visible()
        expect(page.get_by_text(f"visitor{1 - number}.png")).to_have_count(0)
    for context in contexts:
        context.close()


def test_a_large_picture_is_answered(address: str, browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    file.write_bytes(phantom.png_bytes(phantom.ct(seed=2, size=1024)))
    page = browser.new_page()
    page.goto(address)
    page.locator("input[type=file]").first.set_input_files(str(file))
    expect(page.get_by_text("large.png; layers")).to_be_visible(timeout=120_000)
    page.close()
