"""The site of the documentation: it is whole, and its form builds commands that exist."""

import functools
import http.server
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pufferlib import registry

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ROOT = Path(__file__).resolve().parent.parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--fail-on-warning", "--keep-going", "--nitpicky"]
    command = [sys.executable, "-m", "sphinx", *options, str(ROOT / "docs"), str(folder)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert built.returncode == 0, built.stderr
    return folder


def test_every_link_within_the_site_leads_somewhere(site):
    pages = {path: path.read_text() for path in site.rglob("*.html")}
    for path, text in pages.items():
        for link in re.findall(r'(?:href|src)="([^":#?]+)[#"?]', text):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_each_family_has_a_page_with_its_tasks(site):
    for name in registry.builtin_families():
        page = (site / "families" / f"{name}.html").read_text()
        for task in registry.load(name).FAMILY.samples:
            assert task in page


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served, on localhost."""
    handler = functools.partial(QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without printing a line for each."""

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    """The page of commands in Chromium; errors in its console fail the test."""
    from playwright.sync_api import sync_playwright

    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        page = browser.new_page()
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{address}/commands.html")
        yield page
        browser.close()
    assert errors == []


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({"family": "nethack"}, "puffer train NetHackScore-v0"),
        (
            {"family": "atari", "task": "ALE/Pong-v5", "action": "test", "where": "make"},
            "make test-env ENV=ALE/Pong-v5",
        ),
        (
            {"family": "mpe", "backend": "Ray", "where": "make"},
            "make train ENV=simple_spread_v3 ARGS='--vec.backend Ray'",
        ),
        (
            {"family": "classic_control", "task": "Acrobot-v1", "action": "film"},
            "puffer eval Acrobot-v1 --video film.mp4",
        ),
        (
            {"family": "ocean", "task": "memory", "action": "sweep", "backend": "Serial"},
            "puffer sweep memory --vec.backend Serial",
        ),
        ({"family": "atari", "task": "ALE/Pnog-v5"}, ""),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
def test_the_form_builds_the_command(page, choices, expected):
    for name, value in choices.items():
        field = page.locator(f"[name={name}]")
        if name == "task":
            field.fill(value)
        else:
            field.select_option(value)
    assert page.locator("#command").inner_text() == expected
    note = "" if expected else "atari has no task named ALE/Pnog-v5."
    assert page.locator("#note").inner_text() == note


def test_the_command_is_copied_by_a_click(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#copy").click()
    page.get_by_text("Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator("#command").inner_text() != ""


def test_the_form_fits_a_telephone(page):
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


@pytest.mark.parametrize("width", [375, 1010, 1100, 1400])
def test_a_page_is_no_wider_than_its_window(page, address, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{address}/your-own-environment.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_command_of_the_form_is_one_of_puffer(page):
    help_text = subprocess.run(
        [sys.executable, "-m", "pufferlib.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for option in page.locator("[name=action] option").all():
        page.locator("[name=action]").select_option(option.get_attribute("value"))
        command = page.locator("#command").inner_text().split()[1]
        assert re.search(rf"\b{command}\b", help_text)
