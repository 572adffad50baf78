"""Every file in the collection of odd ones, by name, and what is said of it."""

import pytest

from bmjax.data.verify import summarize_report, verify

MADE = {
    "BLA_00001.jpg": {"truncated"},  # cut at half its bytes
    "BLA_00002.jpg": {"empty"},
    "BLA_00003.jpg": {"suffix", "same_pixels"},  # a PNG of BLA_00004's picture
    "BLA_00004.JPG": {"misnamed", "same_pixels"},
    "BLA_00005.jpg": {"grey"},
    "BLA_00006.jpg": {"cmyk"},
    "BLA_00007.jpg": {"progressive"},
    "BLA_00008.jpg": {"rotated"},
    "BLA_00009.jpg": {"truncated"},  # the end marker is missing
    "BLA_00010.jpg": {"trailing_bytes", "same_pixels"},
    "._BLA_00001.jpg": {"hidden"},
    "Thumbs.db": {"stray"},
    "notes.txt": {"stray"},
}


@pytest.fixture(scope="module")
def reports(shared):
    """A report on each of the folders, held against the release."""
    folders = ("made", "matek_garbled", "pbc_cross_label_duplicate", "pbc_native_sizes")
    odd = shared / "cells" / "odd"
    return {name: verify(odd / name, accept=["count"]) for name in folders}


def kinds(report):
    """What is said of each path."""
    found = {}
    for finding in report.findings:
        found.setdefault(finding.path, set()).add(finding.kind)
    for group in report.duplicates:
        for position in group.members:
            found.setdefault(report.paths[position], set()).add(group.kind)
    return found


@pytest.mark.parametrize("name", MADE)
def test_a_made_file_is_called_what_it_is(reports, name):
    assert kinds(reports["made"])[f"BLA/{name}"] == MADE[name]


def test_of_the_made_files_none_is_left_out(reports, shared):
    files = {path.name for path in (shared / "cells/odd/made/BLA").iterdir()}
    assert files == set(MADE)
    assert reports["made"].files == len(files) + 1  # and the table that describes them


def test_the_garbled_files_are_known_by_name_and_by_their_look(reports):
    found = kinds(reports["matek_garbled"])
    images = {path: said for path, said in found.items() if path.endswith(".jpg")}
    assert len(images) == 8
    assert set(map(frozenset, images.values())) == {
        frozenset({"reported_garbled", "looks_garbled"})
    }


def test_one_picture_under_two_labels_is_told(reports):
    found = kinds(reports["pbc_cross_label_duplicate"])
    for name in ("EOS/EOS_00001.jpg", "NGB/NGB_00001.jpg"):
        assert found[name] == {"same_picture_two_classes", "size"}
    text = summarize_report(reports["pbc_cross_label_duplicate"])
    assert "EOS/EOS_00001.jpg and NGB/NGB_00001.jpg" in text


def test_native_sizes_are_told(reports):
    report = reports["pbc_native_sizes"]
    sizes = {f.path: f.detail for f in report.findings if f.kind == "size"}
    assert sizes == {
        "BAS/BAS_00001.jpg": "360 x 363, not 250 x 250",
        "BAS/BAS_00002.jpg": "366 x 369, not 250 x 250",
        "EBO/EBO_00001.jpg": "360 x 360, not 250 x 250",
        "EBO/EBO_00002.jpg": "362 x 360, not 250 x 250",
    }


def test_rare_real_cells_have_no_fault_but_their_number(shared):
    report = verify(shared / "cells" / "rare")
    of_images = {finding.kind for finding in report.findings} - {"stray"}
    assert of_images == {"count"}
