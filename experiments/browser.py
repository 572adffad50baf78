"""A page opened in Chromium without a window, and driven by a script."""

import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')

_FIGURE = re.compile(
    r'id="((?:class|lineage|threshold|marked|ratio|countable)[^"]*)"[^>]*>([^<]*)<'
)

# Presses a key where the focus is.
KEYS = """
const press = (key) => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
"""
# Shows what is saved in the page, and names the field of the reviewer.
SAVE = """
URL.createObjectURL = (blob) => {
  blob.text().then((text) => {
    const saved = document.createElement("pre");
    saved.id = "saved";
    saved.textContent = text;
    document.body.append(saved);
  });
  return "#";
};
const who = document.getElementById("who");
"""


def find_browser() -> str | None:
    """The path of Chromium or Chrome; None where there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def drive_page(browser: str, page: Path, profile: Path, script: str = "") -> str:
    """The document as it is after a script ran in it.

    A page's own policy allows no script but its own, so that a script runs in a copy
    without it, beside the page.

    Args:
        browser: from `find_browser`.
        page: a file.
        profile: folder of what the browser keeps from one time to the next.
        script: JavaScript, which runs after the page's own.

    Raises:
        subprocess.SubprocessError: the browser failed, or took two minutes.
    """
    if script:
        text = _POLICY.sub("", page.read_text("utf-8"))
        text = text.replace("</body>", f"<script>{script}</script></body>")
        page = page.with_name(f"driven-{page.name}")
        page.write_text(text, "utf-8")
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={profile}",
            "--virtual-time-budget=5000",
            "--dump-dom",
            page.resolve().as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


def text_of(document: str, name: str) -> str:
    """The text of the element with this id."""
    found = re.search(rf'<(\w+)[^>]* id="{name}"[^>]*>(.*?)</\1>', document, re.DOTALL)
    found = found or re.search(
        rf'<(\w+) id="{name}"[^>]*>(.*?)</\1>', document, re.DOTALL
    )
    if not found:
        raise LookupError(f"the document has no element {name!r}")
    return unescape(re.sub(r"<[^>]*>", "", found[2])).strip()


def figures_of_count(document: str) -> dict[str, str]:
    """Every figure of the count that a case's page shows, by the id of its place."""
    return dict(_FIGURE.findall(document))
