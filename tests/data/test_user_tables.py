"""Tables of users: one meaning, however a spreadsheet or another system writes it."""

import csv
import io
import unicodedata

import pytest

from bmjax.data.user_tables import image_key, pair_images, read_user_table
from bmjax.errors import DataError

HEADER = ["path", "part", "note"]
ROWS = [["AAA/1.png", "train", "x, y; z"], ["AAA/é 2.png", "test", 'a "b"']]


def text(header=HEADER, rows=ROWS, separator=",", end="\n"):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator=end)
    writer.writerows([header, *rows])
    return out.getvalue()


def read(tmp_path, content, columns=("path", "part"), **options):
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_user_table(path, columns, **options)


SPELLINGS = {
    "plain": text().encode(),
    "Excel's mark": text(end="\r\n").encode("utf-8-sig"),
    "semicolons": text(separator=";", end="\r\n").encode("utf-8-sig"),
    "tabs": text(separator="\t").encode(),
    "UTF-16 with a mark": text(separator="\t", end="\r\n").encode("utf-16"),
    "UTF-16 of the other order": b"\xfe\xff" + text().encode("utf-16-be"),
    "UTF-16 without a mark": text().encode("utf-16-le"),
    "UTF-32 with a mark": text(separator=";").encode("utf-32"),
    "the separator told": ("sep=;\r\n" + text(separator=";", end="\r\n")).encode(),
    "blank rows": text(rows=[["", "", ""], *ROWS, ["", " ", ""], []]).encode(),
    "blank rows above": ("\n,,\n" + text()).encode(),
    "blank columns": text([*HEADER, "", ""], [[*row, "", ""] for row in ROWS]).encode(),
    "blank cells behind": text(rows=[[*row, "", ""] for row in ROWS]).encode(),
    "spaces and case of names": text([" Path", "PART ", "note"]).encode(),
    "all quoted": "\n".join(
        ",".join('"{}"'.format(c.replace('"', '""')) for c in row)
        for row in [HEADER, *ROWS]
    ).encode(),
    "no end of the last line": text().rstrip("\n").encode(),
    "ends of old Macs": text(end="\r").encode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_a_table_is_the_same_table(tmp_path, spelling):
    table = read(tmp_path, SPELLINGS[spelling])
    assert table.header == HEADER
    assert table.rows == ROWS


def test_lines_are_those_of_the_file(tmp_path):
    table = read(tmp_path, "\n\npath,part\n\nAAA/1.png,train\n\n,\nb,test\n")
    assert table.lines == [5, 8]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "has no column path, part"),
        ("file,part\na,b\n", "no column path; its first line should be path, part"),
        ("path|part\na|b\n", "is 'path|part'"),
        ("path,part\na\n", "line 2: 1 values for 2 columns"),
        ("path,part\na,b,c\n", "line 2: 3 values for 2 columns"),
        ("path,part\n\na,b,c\n", "line 3: 3 values for 2 columns"),
        ("path,part,part\na,b,c\n", "two columns named part"),
        ('path,part\n"a,b\n', "line 2: not a CSV table"),
        (b"\xff\xfep\0a\0t\0\xd8", "cannot be read as such"),
        (b"path,part\na\0,b\n", "bytes that are no text"),
        (b"PK\x03\x04\0\0xl/workbook.xml", "bytes that are no text"),
    ],
)
def test_what_is_no_table_is_refused_with_the_cause(tmp_path, content, sentence):
    with pytest.raises(DataError) as caught:
        read(tmp_path, content)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_of_several_columns_is_asked_for(tmp_path):
    table = read(tmp_path, "path;group\na;b\n", ("path",), any_of=("part", "group"))
    assert table.header == ["path", "group"]
    with pytest.raises(DataError, match="no column part or group"):
        read(tmp_path, "path;kind\na;b\n", ("path",), any_of=("part", "group"))


KNOWN = ["AAA/1.png", "AAA/2.png", "BBB/Zelle é.png"]


@pytest.mark.parametrize(
    "spell",
    [
        lambda path: path,
        lambda path: f"./{path}",
        lambda path: path.replace("/", "\\"),
        lambda path: f".\\{path}".replace("/", "\\"),
        lambda path: f"/data/cells/{path}",
        lambda path: f"cells/{path}",
        lambda path: f"C:\\data\\cells\\{path}".replace("/", "\\"),
        lambda path: f" {path} ",
        lambda path: unicodedata.normalize("NFD", path),
        lambda path: path.replace("/", "//"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_equal_images_are_paired_however_their_paths_are_spelled(spell, turned):
    spelled = [spell(path) for path in KNOWN]
    given, known = (KNOWN, spelled) if turned else (spelled, KNOWN)
    assert pair_images(given, known) == known
    assert pair_images(given[::-1], known) == known[::-1]
    assert pair_images(given[:1], known) == known[:1]


def test_what_is_not_plainly_the_same_image_is_not_paired():
    assert pair_images(["1.png", "AAA/3.png", "aaa/1.png"], KNOWN) == [None] * 3
    # Two folders before the classes: which of them is meant is not plain.
    assert pair_images(["a/AAA/1.png", "b/AAA/2.png"], KNOWN) == [None] * 2
    # One of two known paths that differ only in spelling is found as it stands alone.
    twins = ["A/é.png", unicodedata.normalize("NFD", "A/é.png")]
    assert pair_images([*twins, "./A/é.png"], twins) == [*twins, None]


def test_a_name_like_a_formula_is_the_same_with_and_without_its_dot():
    assert pair_images(["./=1/a.png"], ["=1/a.png"]) == ["=1/a.png"]
    assert image_key("./=1/a.png") == image_key("=1/a.png")


def test_a_name_that_is_no_text_is_paired_as_a_browser_saves_it():
    """A browser writes a mark for each byte that it cannot; two alike are no one's."""
    known = ["a/lat\udce4in.png", "a/lat\udce4\udcf6.png", "a/lat\udce4\udcfc.png"]
    given = ["a/lat\ufffdin.png", "a/lat\ufffd\ufffd.png"]
    assert pair_images(given, known) == [known[0], None]
    assert pair_images(known, known) == known
