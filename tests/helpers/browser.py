"""A page opened in a real browser without a window, where there is one."""

from pathlib import Path

import pytest

from experiments.browser import KEYS, SAVE, drive_page, find_browser, text_of

__all__ = ["KEYS", "SAVE", "open_page", "text_of"]


def open_page(page: Path, profile: Path, script: str = "") -> str:
    """The document as it is after a script ran in it; skips where there is no browser.

    See `experiments.browser.drive_page`.
    """
    browser = find_browser()
    if browser is None:
        pytest.skip("no Chromium is installed")
    return drive_page(browser, page, profile, script)
