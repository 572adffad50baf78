"""The page on which suspects are settled, in a real browser where there is one."""

import base64
import csv
import hashlib
import io
import re

import numpy as np
import pytest

from bmjax.data.images.folder import read_folder
from bmjax.data.label_corrections import correct_labels, corrected_rows
from bmjax.report import noise_page
from bmjax.report.noise_page import DoubtedLabel, write_noise_page
from tests.helpers.browser import KEYS, SAVE, open_page, text_of
from tests.helpers.small_trees import write_tree

NAMES = ("=EBO", '</script><b onclick="x">&', "BLA", "NGS")
BLA, NGS = 2, 3


@pytest.fixture
def cells(tmp_path):
    """Twelve images of each class that a folder can be named after."""
    names = (NAMES[0], "BLA", "NGS")
    files = [f"{name}/={i},{i}.png" for name in names for i in range(12)]
    return write_tree(tmp_path / "cells", files)


def doubted(label, number, *, filed=None, rank=None, proposed=0):
    shares = np.full(4, 0.01, np.float32)
    shares[proposed], shares[label] = 0.9, 0.08
    filed = label if filed is None else filed
    path = f"{NAMES[filed]}/={number},{number}.png"
    rank = number + 1 if rank is None else rank
    return DoubtedLabel(path, label, filed, proposed, shares, rank)


def stored(number):
    return {
        "images": 36,
        "wrong": number,
        "agreement": 0.75,
        "notes": ["a <note>"],
        "runs": [{"name": "<run>", "images": 36}],
        "data_fingerprint": "0fa3",
        "copies": [],
        "classes": [
            {"class": name, "images": 12, "threshold": 0.5, "wrong": 0, "truly": {}}
            for name in NAMES
        ],
    }


def write(tmp_path, cells, suspects, **more):
    path = tmp_path / "index.html"
    return write_noise_page(path, stored(len(suspects)), suspects, cells, **more)


def test_one_script_alone_runs_and_names_are_escaped(tmp_path, cells):
    suspects = [doubted(NGS, i, proposed=1) for i in range(3)]
    (page,) = write(tmp_path, cells, suspects)
    text = page.read_text("utf-8")
    for never in ("<b onclick", "<note>", "<run>"):
        assert never not in text
    assert text.count("</script>") == 2
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in text
    assert text.count("data:image/jpeg") == 3


def test_the_most_doubtful_come_first_and_pages_are_bounded(
    tmp_path, cells, monkeypatch
):
    monkeypatch.setattr(noise_page, "SUSPECTS_ON_A_PAGE", 3)
    monkeypatch.setattr(noise_page, "MOST_SUSPECTS", 7)
    suspects = [doubted(label, i) for i in (4, 2, 0, 3, 1) for label in (NGS, BLA)]
    pages = write(tmp_path, cells, suspects)
    assert [page.name for page in pages] == [
        "index.html",
        "index-2.html",
        "index-3.html",
    ]
    texts = [page.read_text("utf-8") for page in pages]
    found = [re.findall(r'title="(\w+)/=(\d)', text) for text in texts]
    assert [one for page in found for one in page] == [
        *(("BLA", str(i)) for i in range(3)),
        *(("NGS", str(i)) for i in range(4)),
    ]
    assert [len(one) for one in found] == [3, 3, 1]
    assert "3 more are in suspects.csv alone" in texts[0]


@pytest.mark.slow
def test_what_is_settled_by_keys_is_read_as_labels(tmp_path, cells):
    catalog = read_folder(cells)
    first = tmp_path / "first.csv"
    first.write_text('path,label\n"NGS/=7,7.png",BLA\n"NGS/=8,8.png",-\n', "utf-8")
    given = correct_labels(catalog, first)
    suspects = [
        *(doubted(BLA, i) for i in range(6)),
        doubted(BLA, 7, filed=NGS, rank=7, proposed=NGS),
    ]
    (page,) = write(tmp_path, cells, suspects, earlier=corrected_rows(given))
    script = (
        KEYS
        + """
const who = document.getElementById("who");
who.value = "=Dr. A, B"; who.dispatchEvent(new Event("input"));
document.querySelector("button.cell").click();
press("Enter"); press("1"); press("u");
press("l");
const all = document.getElementById("all");
all.value = "3"; all.dispatchEvent(new Event("change", { bubbles: true }));
press("1"); press("z"); press("ArrowRight"); press("Enter"); press("z");
"""
    )
    profile = tmp_path / "profile"
    document = open_page(page, profile, script)
    assert text_of(document, "reviewed") == "4"
    assert text_of(document, "changed") == "3"
    # Opened again in the same browser, under its own policy, it has what was done.
    assert text_of(open_page(page, profile), "reviewed") == "4"
    saved = open_page(page, profile, SAVE + 'document.getElementById("save").click();')
    assert text_of(saved, "reviewed") == "4"
    table = tmp_path / "labels.csv"
    table.write_text(text_of(saved, "saved") + "\n", "utf-8")
    rows = list(csv.DictReader(io.StringIO(table.read_text("utf-8"))))
    assert [row["path"] for row in rows if row["who"]] == [
        f"BLA/={i},{i}.png" for i in range(4)
    ]
    assert {row["who"] for row in rows} == {"", "./=Dr. A, B"}
    assert [(row["label"], row["was"]) for row in rows if row["path"][:3] == "BLA"] == [
        ("BLA", "BLA"),
        ("./=EBO", "BLA"),
        ("-", "BLA"),
        ("NGS", "BLA"),
    ]
    read = correct_labels(catalog, table)
    assert corrected_rows(read) == [
        ("BLA/=1,1.png", "=EBO", "BLA"),
        ("BLA/=2,2.png", "", "BLA"),
        ("BLA/=3,3.png", "NGS", "BLA"),
        *corrected_rows(given),
    ]


def test_a_list_without_suspects_is_a_page_too(tmp_path, cells):
    (page,) = write(tmp_path, cells, [])
    assert "No label is in doubt" in page.read_text("utf-8")
