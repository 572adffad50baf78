"""Laws of class folders: where they are, and which folders cannot be classes."""

import pytest

from bmjax.data.images.class_folders import find_layout, find_twins
from bmjax.data.images.folder import read_folder
from bmjax.data.images.listing import list_images
from bmjax.data.open_images import read_catalog
from bmjax.errors import DataError


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(b"x")
    return root


@pytest.mark.parametrize(
    ("names", "inside", "classes"),
    [
        (["A/1.jpg", "B/1.jpg"], "", ("A", "B")),
        (["cells/A/1.jpg", "cells/B/1.jpg"], "cells", ("A", "B")),
        (["cells/A/1.jpg", "cells/B/1.jpg", "docs/a.txt"], "cells", ("A", "B")),
        (["cells/A/1.jpg", "__MACOSX/cells/A/._1.jpg"], "cells", ("A",)),
        (["cells/A/1.jpg", "C/1.tif"], "", ("C", "cells")),
        (["BLA/0001-1000/1.jpg", "BLA/1001-2000/2.jpg"], "", ("BLA",)),
        (["A/1.jpg", "A/more/2.jpg"], "", ("A",)),
        (["A/1.jpg", "B/"], "", ("A", "B")),
        ([], "", ()),
    ],
)
def test_class_folders_are_in_the_root_or_in_the_one_that_wraps_them(
    tmp_path, names, inside, classes
):
    layout = find_layout(list_images(write(tmp_path, *names)))
    assert (layout.inside, layout.classes) == (inside, classes)


@pytest.mark.parametrize(
    "parts",
    [("train", "test"), ("Train", "VAL"), ("train_set", "test_set"), ("fold1", "fold2"),
     ("training", "validation", "testing"), ("train", "unlabelled")],
)  # fmt: skip
@pytest.mark.parametrize("wrapper", ["", "outer/"])
def test_parts_of_a_data_set_are_no_classes(tmp_path, parts, wrapper):
    names = [f"{wrapper}{part}/{c}/{c}.jpg" for part in parts for c in ("AAA", "BBB")]
    write(tmp_path, *names)
    with pytest.raises(DataError, match=r"parts of a data set.*root.*path,part"):
        read_folder(tmp_path)
    assert read_folder(tmp_path / wrapper / parts[0]).classes == ("AAA", "BBB")


def test_flat_parts_are_no_classes_either_and_one_class_may_have_such_a_name(tmp_path):
    write(tmp_path / "two", "train/1.jpg", "test/2.jpg")
    with pytest.raises(DataError, match=r"parts of a data set"):
        read_folder(tmp_path / "two")
    write(tmp_path / "one", "test/1.jpg", "BLA/2.jpg")
    assert read_folder(tmp_path / "one").classes == ("BLA", "test")


@pytest.mark.parametrize(
    ("names", "twins"),
    [
        (["BAS", "bas", "EOS"], [("BAS", "bas")]),
        (["EOS", "EOS ", " eos"], [(" eos", "EOS", "EOS ")]),
        (["stra\u00dfe", "STRASSE"], [("STRASSE", "stra\u00dfe")]),
        (["caf\u00e9", "cafe\u0301"], [("cafe\u0301", "caf\u00e9")]),
        (["BAS", "EOS", "BAS2", "B AS"], []),
    ],
)
def test_names_that_are_one_to_people_are_twins(names, twins):
    assert find_twins(names) == twins


def test_twins_are_refused_with_both_names_until_one_is_left_out(tmp_path):
    write(tmp_path, "EOS/1.jpg", "EOS /2.jpg", "BAS/3.jpg")
    with pytest.raises(DataError, match=r"'EOS' and 'EOS '"):
        read_folder(tmp_path)
    assert read_folder(tmp_path, exclude=("EOS ",)).classes == ("BAS", "EOS")


def test_a_class_without_a_readable_format_is_refused_until_it_is_left_out(tmp_path):
    write(tmp_path, "A/1.jpg", "B/2.jpg", "C/3.tif", "C/4.BMP")
    with pytest.raises(DataError, match=r"'C'.*hold 2 images, none of them a JPEG"):
        read_folder(tmp_path)
    catalog = read_folder(tmp_path, exclude=("C",))
    assert catalog.classes == ("A", "B")
    assert catalog.notes == ()


def test_every_command_that_reads_a_folder_says_what_it_passes_over(tmp_path):
    write(tmp_path, "A/1.jpg", "A/2.tiff", "B/3.jpg", "4.jpg", "empty/", "B/notes.txt")
    (tmp_path / "B" / "gone.jpg").symlink_to("nowhere")
    said = []
    catalog = read_catalog(tmp_path, say=said.append)
    assert catalog.paths == ("A/1.jpg", "B/3.jpg")
    assert said == list(catalog.notes)
    for words in (
        "1 image(s) of a format",
        "1 link(s) to nothing",
        "lie outside",
        "'empty'",
    ):
        assert sum(words in sentence for sentence in said) == 1
    assert len(said) == 4


def test_notes_go_to_standard_error_unless_told_otherwise(tmp_path, capsys):
    write(tmp_path, "A/1.jpg", "B/2.jpg", "B/3.gif")
    read_catalog(tmp_path)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("note: 1 image(s) of a format that is not read")
