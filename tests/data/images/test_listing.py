"""Laws of the one way of listing images: what is taken, what is counted, no circle."""

import os
from pathlib import Path

import pytest

from bmjax.data.images.listing import list_images


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def paths(listing):
    return [path for path, _ in listing.images]


def passed_over(listing):
    return {(entry.kind, entry.path) for entry in listing.passed_over}


def test_every_file_is_taken_or_passed_over_by_its_kind(tmp_path):
    root = write(
        tmp_path,
        "A/1.jpg", "A/2.JPEG", "A/deep/3.Png", "A/4.tif", "A/5.WEBP", "A/6.txt",
        "A/noname", "A/._1.jpg", ".git/7.jpg", "__MACOSX/A/8.jpg",
    )  # fmt: skip
    listing = list_images(root)
    assert paths(listing) == ["A/1.jpg", "A/2.JPEG", "A/deep/3.Png"]
    assert passed_over(listing) == {
        ("other_format", "A/4.tif"), ("other_format", "A/5.WEBP"),
        ("stray", "A/6.txt"), ("stray", "A/noname"), ("hidden", "A/._1.jpg"),
        ("hidden", ".git"), ("hidden", "__MACOSX"),
    }  # fmt: skip
    assert listing.counts()["other_format"] == 2
    assert listing.files == 8
    assert len(listing.notes()) == 1
    assert listing.notes()[0].startswith("2 image(s) of a format that is not read")


def test_links_to_files_and_folders_are_followed_inside_and_outside(tmp_path):
    outside = write(tmp_path / "store", "C/1.jpg", "C/sub/2.jpg", "3.jpg")
    root = write(tmp_path / "root", "A/1.jpg")
    (root / "C").symlink_to(outside / "C")
    (root / "B").symlink_to("A")
    (root / "A" / "3.jpg").symlink_to("../../store/3.jpg")
    listing = list_images(root)
    assert paths(listing) == [
        "A/1.jpg", "A/3.jpg", "B/1.jpg", "B/3.jpg", "C/1.jpg", "C/sub/2.jpg"
    ]  # fmt: skip
    assert listing.links_out == ["A/3.jpg", "B/3.jpg", "C"]
    assert listing.linked_folders == ["B"]
    assert listing.passed_over == []


@pytest.mark.parametrize("target", ["/", "..", ".", "../..", "../../root"])
def test_a_link_to_a_folder_around_it_is_not_followed(tmp_path, target):
    root = write(tmp_path / "root", "A/1.jpg")
    os.symlink(target, root / "A" / "round")
    listing = list_images(root)
    assert paths(listing) == ["A/1.jpg"]
    assert passed_over(listing) == {("link_loop", "A/round")}


def test_links_that_lead_to_each_other_end(tmp_path):
    root = write(tmp_path / "root", "A/1.jpg", "B/2.jpg")
    store = write(tmp_path / "store", "3.jpg")
    (root / "A" / "b").symlink_to(root / "B")
    (root / "B" / "a").symlink_to(root / "A")
    (root / "C").symlink_to(store)
    (store / "self").symlink_to(store)
    (store / "root").symlink_to(root)
    listing = list_images(root)
    assert set(paths(listing)) == {
        "A/1.jpg", "A/b/2.jpg", "B/2.jpg", "B/a/1.jpg", "C/3.jpg"
    }  # fmt: skip
    assert {kind for kind, _ in passed_over(listing)} == {"link_loop"}


def test_the_order_is_that_of_the_paths_whatever_the_disk_gives(tmp_path, monkeypatch):
    root = write(tmp_path, "B/1.jpg", "A/2.jpg", "A b/3.jpg", "A/z/4.jpg", "A/10.jpg")
    before = list_images(root)
    scandir = os.scandir

    class Backwards(list):
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    def backwards(path: Path):
        with scandir(path) as entries:
            return Backwards(sorted(entries, key=lambda e: e.name, reverse=True))

    monkeypatch.setattr(os, "scandir", backwards)
    assert list_images(root) == before
    assert paths(before) == sorted(paths(before))


def test_a_folder_that_cannot_be_listed_is_counted_with_its_cause(tmp_path):
    root = write(tmp_path, "A/1.jpg", "B/2.jpg")
    (root / "B").chmod(0)
    try:
        if os.access(root / "B", os.R_OK):
            pytest.skip("this user may read everything")
        listing = list_images(root)
        assert passed_over(listing) == {("unreadable", "B")}
        assert listing.passed_over[0].detail == "Permission denied"
    finally:
        (root / "B").chmod(0o700)
