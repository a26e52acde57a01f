"""Upload to answer in a real Chromium against a real server."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import golden

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")

if CHROMIUM is None and not os.environ.get("CI"):
    pytest.skip("Chromium is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.port",
        str(port),
        "--server.headless",
        "true",
    ]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
                break
            except OSError:
                time.sleep(0.5)
        else:
            raise RuntimeError("the server did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def test_a_page_opened_first_by_its_own_address(address: str) -> None:
    """Must stay the first test of the file: it is about the very first visitor of a server."""
    from playwright.sync_api import expect, sync_playwright

    assert CHROMIUM is not None, "in CI a missing browser is a failure"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{address}/models")
        expect(page.get_by_text("Not a medical device.").first).to_be_visible(timeout=60_000)
        expect(page.get_by_role("heading", name="MobileNetV2", exact=True)).to_be_visible(timeout=60_000)
        expect(page.get_by_role("link", name="Diagnose")).to_be_visible()
        browser.close()


# Looks thirty times a second whether the former picture's answer is shown under the new one's name.
WATCH = """([former, name]) => {
  window.mixed = 0;
  const look = () => {
    const isNew = [...document.querySelectorAll("h3")].some((heading) => heading.innerText.includes(name));
    if (isNew && document.body.innerText.includes(`${former} with layers`)) window.mixed += 1;
    setTimeout(look, 30);
  };
  look();
}"""


def test_an_answer_never_stands_under_another_name(address: str, tmp_path: Path) -> None:
    from playwright.sync_api import expect, sync_playwright

    assert CHROMIUM is not None, "in CI a missing browser is a failure"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(address)
        for case in ("ct-lesions", "xray-lesions", "ct-healthy"):
            file = tmp_path / f"{case}.png"
            file.write_bytes(golden.png(case))
            page.locator("input[type=file]").first.set_input_files(str(file))
            expect(page.get_by_text(f"{file.name} with layers")).to_be_visible(timeout=120_000)
            if case != "ct-lesions":
                assert page.evaluate("window.mixed") == 0
            page.evaluate(WATCH, [file.name, "xray-lesions.png" if case == "ct-lesions" else "ct-healthy.png"])
        browser.close()


def test_upload_to_answer(address: str, tmp_path: Path) -> None:
    from playwright.sync_api import expect, sync_playwright

    assert CHROMIUM is not None, "in CI a missing browser is a failure"
    file = tmp_path / "slice.png"
    file.write_bytes(golden.png("ct-lesions"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        expect(page.get_by_text("Not a medical device.")).to_be_visible(timeout=60_000)
        page.locator("input[type=file]").first.set_input_files(str(file))
        expect(page.get_by_role("heading", name="slice.png")).to_be_visible(timeout=60_000)
        expect(page.get_by_role("button", name="Answer as JSON")).to_be_visible(timeout=120_000)
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Mask as PNG").click()
        assert Path(waiting.value.path()).read_bytes().startswith(b"\x89PNG")
        page.get_by_role("link", name="Models").click()
        expect(page.get_by_role("heading", name="MobileNetV2", exact=True)).to_be_visible(timeout=60_000)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        browser.close()
    assert not errors
