"""What visitors wait for, in seconds, with a real server and a real Chromium: `make waiting`.

Seconds depend on the machine, so no test asserts on them. Printed are medians of the first paint of every page, of upload to
answer, and of a slider's move to its new point; then twenty visitors upload at once (without browsers, which would share the
cores with the server).
"""

import asyncio
import shutil
import statistics
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Browser, Page, async_playwright, expect

from covid_core import phantom
from tests import visitors
from tests.browser.conftest import serve
from tests.browser.test_every_page import PAGES

ROUNDS, VISITORS, PATIENCE = 7, 20, 120_000
WIDE = {"width": 1280, "height": 900}


def pictures(folder: Path, count: int) -> list[Path]:
    """Different phantoms, X-rays and CT slices in turns, with and without lesions."""
    files = []
    for seed in range(count):
        make = (phantom.ct, phantom.xray)[seed % 2]
        made = make(seed=seed + 50, lesions=phantom.Lesions(count=6, size=0.2, density=0.9) if seed % 4 < 2 else None)
        files.append(folder / f"visitor-{seed}.png")
        files[-1].write_bytes(phantom.png_bytes(made))
    return files


async def answered(page: Page, file: Path) -> float:
    """Upload; seconds until the answer is there."""
    started = time.perf_counter()
    await page.locator("input[type=file]").first.set_input_files(str(file))
    await expect(page.get_by_text(f"{file.name}; layers")).to_be_visible(timeout=PATIENCE)
    return time.perf_counter() - started


async def first_paints(browser: Browser, address: str) -> dict[str, float]:
    """Median seconds from the address to the page's own heading, for a browser that was there before."""
    found, context = {}, await browser.new_context(viewport=WIDE)
    for path, (title, _) in PAGES.items():
        times = []
        for _ in range(ROUNDS + 1):
            page = await context.new_page()
            started = time.perf_counter()
            await page.goto(f"{address}/{path}")
            await page.get_by_role("heading", level=1).wait_for(timeout=PATIENCE)
            times.append(time.perf_counter() - started)
            await page.close()
        found[title] = statistics.median(times[1:])
    await context.close()
    return found


async def slider(browser: Browser, address: str) -> float:
    """Median seconds from a key press on the strength to the curve's mark at the new strength."""
    page = await browser.new_page(viewport=WIDE)
    await page.goto(f"{address}/uncertainty_lab?sample=ct-lesions")
    await page.get_by_text("What to look for").wait_for(timeout=PATIENCE)
    handle = page.get_by_role("slider", name="Strength")
    times = []
    for _ in range(ROUNDS):
        await page.wait_for_timeout(1500)
        goal = float(await handle.input_value()) + 0.1
        started = time.perf_counter()
        await handle.press("ArrowRight")
        await page.wait_for_function(
            "at => [...document.querySelectorAll('.js-plotly-plot')].some(p => (p.layout.shapes || [])"
            ".some(s => Math.abs(s.x0 - at) < 1e-6))",
            arg=goal,
            timeout=PATIENCE,
        )
        times.append(time.perf_counter() - started)
    await page.close()
    return statistics.median(times)


def memory(server: "subprocess.Popen[bytes]", line: str) -> str:
    """A line of what Linux knows of the server's memory, in GB; "unknown" elsewhere."""
    status = Path(f"/proc/{server.pid}/status")
    if not status.exists():
        return "unknown"
    kilobytes = next(int(row.split()[1]) for row in status.read_text().splitlines() if row.startswith(line))
    return f"{kilobytes / 1e6:.2f} GB"


async def measure(address: str, server: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Print all figures."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        files = pictures(folder, VISITORS)
        page = await browser.new_page(viewport=WIDE)
        await page.goto(address)
        for file in files[:2]:
            await answered(page, file)  # loads the networks
        times = [await answered(page, file) for file in files[2 : 2 + 2 * ROUNDS]]
        print(f"upload to answer, median of {len(times)}: X-ray {statistics.median(times[1::2]):.2f} s", end=", ")
        print(f"CT {statistics.median(times[::2]):.2f} s")
        await page.close()
        for title, seconds in (await first_paints(browser, address)).items():
            print(f"first paint of {title}, median of {ROUNDS}: {seconds:.2f} s")
        print(f"slider to new point, median of {ROUNDS}: {await slider(browser, address):.2f} s")
        await browser.close()
    visits = await visitors.at_once(address, files)
    waited = sorted(visit.seconds for visit in visits)
    print(f"{VISITORS} visitors at once: median {statistics.median(waited):.1f} s", end=", ")
    print(f"p95 {waited[round(0.95 * len(waited)) - 1]:.1f} s, last {waited[-1]:.1f} s")
    print(f"server memory: {memory(server, 'VmRSS')}, at most {memory(server, 'VmHWM')}")


if __name__ == "__main__":
    with TemporaryDirectory() as name, serve() as (where, process):
        asyncio.run(measure(where, process, Path(name)))
