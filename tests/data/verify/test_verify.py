"""Each kind of fault in a folder of images, made here, has its name and its place."""

import os
import shutil

import numpy as np
import pytest

from bmjax.data.images.folder import read_folder
from bmjax.data.matek import CLASSES
from bmjax.data.verify import FINDING_KINDS, summarize_report, verify
from bmjax.errors import ConfigError, DataError
from tests.helpers import drawn_files as drawn

SOUND = [drawn.jpeg(drawn.cell(seed)) for seed in range(4)]


def write(root, files):
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.fixture
def own(tmp_path):
    """Four sound images in two class folders of one's own."""
    root = tmp_path / "cells"
    names = ("large/a.jpg", "large/b.jpg", "small/c.jpg", "small/part/d.JPG")
    write(root, dict(zip(names, SOUND, strict=True)))
    return root


def found(report):
    return {(finding.kind, finding.path) for finding in report.findings}


def detail(report, kind):
    return next(one.detail for one in report.findings if one.kind == kind)


def test_a_sound_folder_of_ones_own_is_clean(own):
    report = verify(own)
    assert not report.is_release
    assert report.problems == 0
    assert found(report) == set()
    assert {name: count.images for name, count in report.classes.items()} == {
        "large": 2,
        "small": 2,
    }


def test_fingerprint_and_images_are_those_that_training_reads(own):
    write(own, {"small/a b.png": drawn.image(drawn.cell(7), "RGB", "PNG")})
    catalog, report = read_folder(own), verify(own)
    assert report.paths == catalog.paths
    assert report.fingerprint == catalog.fingerprint


def test_nothing_below_the_root_is_changed(own):
    own.chmod(0o500)
    try:
        before = sorted((path, path.stat().st_mtime_ns) for path in own.rglob("*"))
        verify(own)
        assert before == sorted((p, p.stat().st_mtime_ns) for p in own.rglob("*"))
    finally:
        own.chmod(0o700)


# What is in a file.

DEEP = drawn.sixteen_bit_png(drawn.cell(9))
PNG = drawn.image(drawn.cell(9), "RGB", "PNG")
CUT = drawn.jpeg(drawn.cell(9))


def extraneous(data):
    """The data go on behind the last block, yet the picture decodes to its end."""
    return data[:-2] + b"\x12\x34" * 40 + data[-2:]


@pytest.mark.parametrize(
    ("kind", "name", "data", "said"),
    [
        ("empty", "x.jpg", b"", ""),
        ("not_an_image", "x.jpg", b"no image at all", "15 bytes"),
        ("not_an_image", "x.png", drawn.image(drawn.cell(), "P", "GIF"), "a GIF"),
        ("not_an_image", "x.jpg", b"<html>not found</html>", "a page"),
        ("truncated", "x.jpg", CUT[: len(CUT) // 2], "no end marker"),
        ("truncated", "x.jpg", CUT[:-2], "no end marker"),
        ("truncated", "x.jpg", CUT[:30], "within its header"),
        ("truncated", "x.png", PNG[: len(PNG) // 2], "no end marker"),
        ("truncated", "x.jpg", CUT[: len(CUT) // 2] + b"\xff\xd9", "too little before"),
        ("damaged", "x.jpg", extraneous(CUT), "extraneous bytes"),
        ("unreadable", "x.png", PNG[:5000] + bytes(500) + PNG[5500:], "gives up"),
        ("bomb", "x.png", drawn.bomb_png(), "40000 x 40000 pixels"),
        ("bomb", "x.jpg", drawn.bomb_jpeg(), "60000 x 60000 pixels"),
        ("size", "x.jpg", drawn.jpeg(drawn.cell(9)[:, :249]), "249 x 250, not 250"),
        ("grey", "x.jpg", drawn.image(drawn.cell(9), "L", "JPEG"), ""),
        ("grey", "x.png", drawn.image(drawn.cell(9), "1", "PNG"), ""),
        ("cmyk", "x.jpg", drawn.image(drawn.cell(9), "CMYK", "JPEG"), ""),
        ("sixteen_bit", "x.png", DEEP, ""),
        ("palette", "x.png", drawn.image(drawn.cell(9), "P", "PNG"), ""),
        ("alpha", "x.png", drawn.image(drawn.cell(9), "RGBA", "PNG"), ""),
        ("rotated", "x.jpg", drawn.turned_jpeg(drawn.cell(9)), "EXIF orientation 6"),
        ("progressive", "x.jpg", drawn.jpeg(drawn.cell(9), progressive=True), ""),
        ("trailing_bytes", "x.jpg", CUT + b"appended", "8 bytes"),
        ("suffix", "x.jpg", PNG, "a PNG named .jpg"),
        ("suffix", "x.png", CUT, "a JPEG named .png"),
    ],
)
def test_what_is_in_a_file_is_told(own, kind, name, data, said):
    write(own, {f"small/{name}": data})
    report = verify(own)
    assert found(report) == {(kind, f"small/{name}")}
    assert said in detail(report, kind)
    # What training converts is a note here, and nothing worse.
    assert report.problems == (FINDING_KINDS[kind].weight.name != "FOREIGN")


def test_a_file_closed_to_us_is_unreadable(own, monkeypatch):
    def refuse(path, *rest):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("bmjax.data.verify.examine.np.fromfile", refuse)
    assert {kind for kind, _ in found(verify(own))} == {"unreadable"}


def test_a_huge_file_is_not_read(own, monkeypatch):
    with open(own / "small" / "x.jpg", "wb") as file:
        file.truncate(2**40)  # a hole, no disk
    assert found(verify(own)) == {("bomb", "small/x.jpg")}


def test_every_kind_says_what_it_means_and_what_training_does():
    assert all(kind.meaning and kind.training for kind in FINDING_KINDS.values())


# Where a file is, and how it is named.


def test_strays_and_hidden_files_are_notes(own):
    write(own, {"large/Thumbs.db": b"x", "notes.txt": b"x", "large/._a.jpg": b"x"})
    write(own, {".git/config": b"x"})
    report = verify(own)
    assert found(report) == {
        ("stray", "large/Thumbs.db"),
        ("stray", "notes.txt"),
        ("hidden", "large/._a.jpg"),
        ("hidden", ".git"),
    }
    assert report.problems == 0


def test_images_that_training_would_not_see_are_problems(own):
    write(own, {"x.jpg": SOUND[0], "large/y.tif": b"II*\0"})
    report = verify(own)
    assert found(report) == {
        ("outside_classes", "x.jpg"),
        ("other_format", "large/y.tif"),
    }
    assert report.problems == 2


def test_a_class_folder_without_images_is_named(own):
    (own / "none").mkdir()
    assert found(verify(own)) == {("empty_class", "none")}


def test_paths_are_below_the_given_root_also_where_a_folder_wraps_the_classes(own):
    write(own, {"large/x.jpg": b""})
    report = verify(wrapped(own))
    assert report.inside == "cells"
    assert found(report) == {("empty", "cells/large/x.jpg"), ("stray", "README.md")}


def wrapped(own):
    outer = own.parent / "outer"
    outer.mkdir()
    own.rename(outer / "cells")
    (outer / "README.md").write_text("where it is from")
    return outer


HOSTILE = [
    "new\nline.jpg",
    'quo"te.jpg',
    "<script>alert(1)<",
    "bell\x07.jpg",
    "\x1b[31mred.jpg",
    "back\u202eward.jpg",
    os.fsdecode(b"no-utf8-\xff.jpg"),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_a_problem_and_its_image_is_examined(own, name):
    name = name if name.endswith(".jpg") else name + ".jpg"
    write(own, {f"large/{name}": b""})
    assert found(verify(own)) == {
        ("hostile_name", f"large/{name}"),
        ("empty", f"large/{name}"),
    }


def test_names_of_other_alphabets_are_not_hostile(own):
    write(own, {"large/Zelle größer, 3 (細胞).jpg": drawn.jpeg(drawn.cell(8))})
    assert verify(own).problems == 0


def test_links_are_followed_as_training_follows_them_and_told(own, tmp_path):
    outside = tmp_path / "outside"
    write(outside, {"x.jpg": SOUND[0] + b"1", "deep/y.jpg": SOUND[0] + b"2"})
    (own / "large" / "file.jpg").symlink_to(outside / "x.jpg")
    (own / "class").symlink_to(outside)
    (own / "small" / "all").symlink_to("/")
    (own / "large" / "again").symlink_to(own / "small" / "part")
    report, catalog = verify(own), read_folder(own)
    assert {(kind, path) for kind, path in found(report) if "link" in kind} == {
        ("link_out", "large/file.jpg"),
        ("link_out", "class"),
        ("link_loop", "small/all"),
        ("linked_folder", "large/again"),
    }
    assert report.paths == catalog.paths
    assert report.fingerprint == catalog.fingerprint
    assert {"class/deep/y.jpg", "large/again/d.JPG"} < set(report.paths)


def test_a_link_that_wraps_the_classes_is_followed(tmp_path):
    write(tmp_path / "outside", {"a/x.jpg": SOUND[0]})
    root = tmp_path / "root"
    root.mkdir()
    (root / "cells").symlink_to(tmp_path / "outside")
    report = verify(root)
    assert report.paths == ("cells/a/x.jpg",)
    assert report.fingerprint == read_folder(root).fingerprint
    assert found(report) == {("link_out", "cells")}


def test_links_to_nothing_and_in_a_circle_are_told(own):
    (own / "large" / "twin.jpg").symlink_to("a.jpg")
    (own / "large" / "gone.jpg").symlink_to("nothing.jpg")
    (own / "large" / "loop.jpg").symlink_to("loop.jpg")
    (own / "large" / "self").symlink_to(own / "large")
    report = verify(own)
    assert found(report) == {
        ("broken_link", "large/gone.jpg"),
        ("broken_link", "large/loop.jpg"),
        ("link_loop", "large/self"),
    }
    assert report.counts()["same_bytes"] == 2


@pytest.mark.parametrize("twin", ["Large", "large ", " LARGE"])
def test_class_folders_of_one_name_to_people_are_told(own, twin):
    write(own, {f"{twin}/x.jpg": drawn.jpeg(drawn.cell(8))})
    report = verify(own)
    assert {kind for kind, _ in found(report)} == {"twin_classes"}
    assert {repr(twin), repr("large")} == set(
        detail(report, "twin_classes").split(" and ")
    )


def test_names_that_differ_in_unicode_form_are_shown_apart(own):
    write(own, {"caf\u00e9/x.jpg": drawn.jpeg(drawn.cell(8))})
    write(own, {"cafe\u0301/y.jpg": drawn.jpeg(drawn.cell(7))})
    assert "\\xe9" in detail(verify(own), "twin_classes")


def test_parts_of_a_data_set_are_told_where_classes_are_expected(own):
    root = own.parent / "both"
    for part in ("train", "test"):
        shutil.copytree(own, root / part)
    report = verify(root, accept=["same_bytes", "same_picture_two_classes"])
    assert found(report) == {("part_of_data", "train"), ("part_of_data", "test")}


def test_a_pipe_is_not_opened(own):
    os.mkfifo(own / "large" / "x.jpg")
    assert found(verify(own)) == {("not_a_file", "large/x.jpg")}


# The whole.


def members(report):
    return [
        (group.kind, [report.paths[position] for position in group.members])
        for group in report.duplicates
    ]


def test_the_same_bytes_and_the_same_pixels_are_told_apart(own):
    write(own, {"large/x.jpg": SOUND[0], "large/y.jpg": SOUND[1] + b"tail"})
    assert members(verify(own)) == [
        ("same_bytes", ["large/a.jpg", "large/x.jpg"]),
        ("same_pixels", ["large/b.jpg", "large/y.jpg"]),
    ]


def test_one_picture_in_two_classes_is_a_kind_of_its_own(own):
    write(own, {"small/x.jpg": SOUND[0], "small/y.jpg": SOUND[1] + b"tail"})
    assert members(verify(own)) == [
        ("same_picture_two_classes", ["large/a.jpg", "small/x.jpg"]),
        ("same_picture_two_classes", ["large/b.jpg", "small/y.jpg"]),
    ]


def test_empty_files_are_not_each_others_copies(own):
    write(own, {"large/x.jpg": b"", "large/y.jpg": b""})
    assert members(verify(own)) == []


@pytest.fixture
def release(tmp_path):
    """Parts of two classes of the release, in its layout."""
    root = tmp_path / "BM_cytomorphology_data"
    names = [f"ABE/ABE_{n:05d}.jpg" for n in (1, 2, 5)]
    write(root, dict(zip([*names, "BLA/1001-2000/BLA_01001.jpg"], SOUND, strict=True)))
    return root


def test_counts_of_the_release_are_held_against_table_1(release):
    report = verify(release)
    assert report.is_release
    assert {n: count.expected for n, count in report.classes.items()} == {
        cell.abbreviation: cell.images for cell in CLASSES
    }
    assert report.classes["ABE"].images == 3
    assert report.classes["ABE"].missing == ("3-4", "6-8")
    assert found(report) == {("count", cell.abbreviation) for cell in CLASSES}


def test_of_a_part_of_the_release_the_summary_says_what_to_do(release):
    hint = "give --own; for a part of the release, --accept=count"
    assert hint in summarize_report(verify(release))
    assert hint not in summarize_report(verify(release, accept=["count"]))


def test_as_ones_own_data_the_same_folder_is_clean(release):
    assert verify(release, own=True).problems == 0


def test_accepted_kinds_are_no_problems_and_unknown_ones_refused(release):
    assert verify(release, accept=["count"]).problems == 0
    with pytest.raises(ConfigError, match=r"did you mean 'count'"):
        verify(release, accept=["counts"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ABE/ABE_3.jpg", "five digits"),
        ("ABE/ABE_00003.JPG", "expected ABE_00003.jpg"),
        ("ABE/BLA_00003.jpg", "expected ABE_00003.jpg"),
        ("ABE/ABE_00000.jpg", "from 1 to 8"),
        ("ABE/ABE_00009.jpg", "from 1 to 8"),
        ("BLA/1001-2000/BLA_02001.jpg", "expected at BLA/2001-3000/BLA_02001.jpg"),
        ("BLA/other/BLA_01002.jpg", "expected at BLA/1001-2000/BLA_01002.jpg"),
    ],
)
def test_a_name_or_place_that_is_not_the_releases_is_told(release, name, said):
    write(release, {name: drawn.jpeg(drawn.cell(9))})
    report = verify(release, accept=["count"])
    assert ("misnamed", name) in found(report)
    assert said in detail(report, "misnamed")
    assert report.problems == 1


def test_in_the_release_a_foreign_size_is_a_problem(release):
    write(release, {"ABE/ABE_00003.jpg": drawn.jpeg(drawn.cell(9)[:240])})
    report = verify(release, accept=["count"])
    assert detail(report, "size") == "250 x 240, not 250 x 250"
    assert report.problems == 1


def test_an_unknown_class_folder_beside_the_releases_is_told(release):
    write(release, {"XYZ/x.jpg": drawn.jpeg(drawn.cell(9))})
    report = verify(release, accept=["count"])
    assert ("unknown_class", "XYZ") in found(report)
    assert report.problems == 1


def test_the_ten_garbled_files_are_known_by_name(release):
    names = [
        "NGB/9001-9968/NGB_09454", "ART/7001-8000/ART_07788",
        "EBO/6001-7000/EBO_06999", "BLA/9001-10000/BLA_09522",
        "MYB/5001-6000/MYB_05527", "NGS/4001-5000/NGS_04035",
        "NGS/18001-19000/NGS_18642", "NGS/15001-16000/NGS_15228",
        "LYT/19001-20000/LYT_19975", "EOS/2001-3000/EOS_02571",
    ]  # fmt: skip
    paths = {f"{name}.jpg" for name in names}
    write(release, {path: drawn.jpeg(drawn.cell(n)) for n, path in enumerate(paths)})
    report = verify(release)
    assert {p for kind, p in found(report) if kind == "reported_garbled"} == paths
    assert not any(kind == "misnamed" for kind, _ in found(report))


def test_workers_find_what_one_process_finds(own):
    small = drawn.jpeg(np.zeros((16, 16, 3), np.uint8))
    write(own, {f"large/{n}.jpg": small[: 600 + n] for n in range(300)})
    assert verify(own, workers=2) == verify(own, workers=1)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"'.*nowhere' does not exist"):
        verify(tmp_path / "nowhere")
    assert found(verify(tmp_path)) == {("empty_class", ".")}
