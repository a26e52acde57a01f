"""Upload to answer in a real Chromium against a real server."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests import golden


def test_a_page_opened_first_by_its_own_address(address: str, browser: Browser) -> None:
    """Must stay the first test of the file: it is about the very first visitor of a server."""
    page = browser.new_page()
    elsewhere: list[str] = []
    page.on("request", lambda r: elsewhere.append(r.url) if not r.url.startswith((address, "data:", "blob:")) else None)
    page.goto(f"{address}/models")
    expect(page.get_by_text("Not a medical device.").first).to_be_visible(timeout=60_000)
    expect(page.get_by_role("heading", name="MobileNetV2", exact=True)).to_be_visible(timeout=60_000)
    expect(page.get_by_role("link", name="Diagnose")).to_be_visible()
    page.close()
    assert not elsewhere  # nothing is fetched from the web


# Looks thirty times a second whether the former picture's answer is shown under the new one's name.
WATCH = """([former, name]) => {
  window.mixed = 0;
  const look = () => {
    const isNew = [...document.querySelectorAll("h2")].some((heading) => heading.innerText.includes(name));
    if (isNew && document.body.innerText.includes(`${former}; layers`)) window.mixed += 1;
    setTimeout(look, 30);
  };
  look();
}"""


def test_an_answer_never_stands_under_another_name(address: str, browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(address)
    for case in ("ct-lesions", "xray-lesions", "ct-healthy"):
        file = tmp_path / f"{case}.png"
        file.write_bytes(golden.png(case))
        page.locator("input[type=file]").first.set_input_files(str(file))
        expect(page.get_by_text(f"{file.name}; layers")).to_be_visible(timeout=120_000)
        if case != "ct-lesions":
            assert page.evaluate("window.mixed") == 0
        page.evaluate(WATCH, [file.name, "xray-lesions.png" if case == "ct-lesions" else "ct-healthy.png"])
    page.close()


def test_upload_to_answer(address: str, browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "slice.png"
    file.write_bytes(golden.png("ct-lesions"))
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    expect(page.get_by_text("Not a medical device.")).to_be_visible(timeout=60_000)
    page.locator("input[type=file]").first.set_input_files(str(file))
    expect(page.get_by_role("heading", name="slice.png")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Answer as JSON")).to_be_visible(timeout=120_000)
    for button, start in (("Mask as PNG", b"\x89PNG"), ("Report to print", b"<!doctype html>")):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=button).click()
        assert Path(waiting.value.path()).read_bytes().startswith(start)
    page.get_by_text("Side by side, to zoom").click()
    expect(page.locator(".js-plotly-plot image")).to_have_count(2, timeout=60_000)
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("heading", name="MobileNetV2", exact=True)).to_be_visible(timeout=60_000)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    page.close()
    assert not errors


def test_letters_are_dragged_and_moved_by_keys(address: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{address}/shortcut_lab?sample=xray-lesions")
    letters, across = page.get_by_role("button", name="Letters R"), page.get_by_role("slider", name="Across")
    letters.scroll_into_view_if_needed(timeout=120_000)
    expect(across).to_have_value("0.3")
    edge = letters.locator("..").bounding_box()
    assert edge is not None
    letters.hover()
    page.mouse.down()
    page.mouse.move(edge["x"] + 0.6 * edge["width"], edge["y"] + 0.4 * edge["height"], steps=5)
    page.mouse.up()
    expect(across).to_have_value("0.6", timeout=60_000)
    letters.press("ArrowLeft")
    expect(across).to_have_value("0.55", timeout=60_000)
    expect(page.get_by_role("slider", name="Down")).to_have_value("0.4")
    page.close()
