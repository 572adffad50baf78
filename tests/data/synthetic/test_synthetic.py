"""Laws of the synthetic cells: counts, folders, determinism, and no color shortcut."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bmjax.data import __main__ as command
from bmjax.data import matek as labels
from bmjax.data import synthetic
from bmjax.data.images.folder import read_folder
from bmjax.data.verify import verify
from bmjax.errors import DATA, USAGE, ConfigError, DataError

NAMES = [cell.abbreviation for cell in labels.CLASSES]


def _files(root):
    """Relative path -> bytes, of every file."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("images", [210, 211, 399, 630, 2100, 4217, 171_373])
def test_counts_sum_and_keep_the_order_of_the_release(images):
    counts = synthetic.class_counts(images)
    assert list(counts) == NAMES
    assert sum(counts.values()) == images
    assert min(counts.values()) >= synthetic.LEAST
    by_release = sorted(labels.CLASSES, key=lambda cell: cell.images)
    sizes = [counts[cell.abbreviation] for cell in by_release]
    assert sizes == sorted(sizes)


def test_large_classes_are_in_proportion():
    counts = synthetic.class_counts(20_000)
    large = [cell for cell in labels.CLASSES if cell.images > 2000]
    ratios = [counts[cell.abbreviation] / cell.images for cell in large]
    np.testing.assert_allclose(ratios, np.mean(ratios), rtol=0.01)


def test_too_few_images_are_refused():
    with pytest.raises(ConfigError, match="209"):
        synthetic.class_counts(209)


@pytest.mark.parametrize(
    ("number", "count", "path"),
    [
        (1, 8, "NGS/NGS_00001.jpg"),
        (1000, 1000, "NGS/NGS_01000.jpg"),
        (1, 1001, "NGS/0001-1000/NGS_00001.jpg"),
        (1000, 1200, "NGS/0001-1000/NGS_01000.jpg"),
        (1001, 1200, "NGS/1001-1200/NGS_01001.jpg"),
        (1001, 1001, "NGS/1001-1001/NGS_01001.jpg"),
        (19_975, 26_242, "NGS/19001-20000/NGS_19975.jpg"),
    ],
)
def test_folders_are_those_of_the_release(number, count, path):
    assert synthetic.image_path("NGS", number, count).as_posix() == path


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_is_a_function_of_seed_class_and_number(name):
    def draw(*which):
        return synthetic.draw_cell(name, synthetic.generator(*which))

    pixels = draw(0, name, 1)
    assert pixels.shape == (250, 250, 3)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, draw(0, name, 1))
    for other in [(1, name, 1), (0, name, 2), (0, "XXX", 1)]:
        assert np.abs(pixels.astype(int) - draw(*other)).mean() > 1


def test_an_unknown_class_is_refused():
    with pytest.raises(ConfigError, match="XYZ"):
        synthetic.draw_cell("XYZ", synthetic.generator(0, "XYZ", 1))


def test_a_set_is_whole_and_the_same_for_any_number_of_workers(tmp_path):
    seen = []
    alone = synthetic.synthesize(
        tmp_path / "a",
        images=210,
        seed=3,
        workers=1,
        progress=lambda *p: seen.append(p),
    )
    both = synthetic.synthesize(tmp_path / "b", images=210, seed=3, workers=2)
    assert alone == tmp_path / "a" / synthetic.ROOT
    files = _files(alone)
    assert files == _files(both)
    assert len(files) == len(set(files.values())) == 210
    assert files["ABE/ABE_00010.jpg"][:2] == b"\xff\xd8"  # a JPEG
    assert seen[-1] == (210, 210)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_names_sizes_and_fingerprint_do_not_depend_on_the_last_bits_of_the_pixels(
    tmp_path, monkeypatch
):
    """They differ with the processor; a set is the same data set all the same."""
    plain = synthetic.synthesize(tmp_path / "a", images=210, seed=3, workers=1)
    draw, random = synthetic.tree.draw_cell, np.random.default_rng(0)

    def elsewhere(*which):
        pixels = draw(*which).astype(int)
        return np.clip(pixels + random.integers(-1, 2, pixels.shape), 0, 255).astype(
            np.uint8
        )

    monkeypatch.setattr(synthetic.tree, "draw_cell", elsewhere)
    other = synthetic.synthesize(tmp_path / "b", images=210, seed=3, workers=1)
    assert _files(plain) != _files(other)
    assert read_folder(plain).fingerprint == read_folder(other).fingerprint


def test_files_of_a_set_are_whole_pictures_without_a_finding(tmp_path):
    root = synthetic.synthesize(tmp_path / "a", images=210, seed=0)
    report = verify(root, own=True)
    assert report.findings == ()
    assert report.problems == 0


def test_an_out_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="not an empty folder"):
        synthetic.synthesize(tmp_path, images=210, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 2**64}, {"workers": 0}])
def test_numbers_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(ConfigError, match="out of range"):
        synthetic.synthesize(tmp_path / "a", **{"images": 210, "seed": 0, **wrong})


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_leaves_nothing(tmp_path, workers):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthetic.synthesize(
            tmp_path / "a", images=210, seed=0, workers=workers, progress=interrupt
        )
    assert list(tmp_path.iterdir()) == []


def test_colors_alone_do_not_tell_the_class():
    numbers = range(1, 17)
    pictures = [
        synthetic.draw_cell(name, synthetic.generator(0, name, number))
        for name in NAMES
        for number in numbers
    ]
    features = [
        np.concatenate([pixels.mean((0, 1)), pixels.std((0, 1))]) for pixels in pictures
    ]
    classes = np.repeat(NAMES, len(numbers))
    train, test, train_classes, test_classes = train_test_split(
        np.array(features), classes, test_size=0.2, stratify=classes, random_state=0
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    predicted = model.fit(train, train_classes).predict(test)
    assert balanced_accuracy_score(test_classes, predicted) < 0.25


def test_command_writes_a_set_and_names_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(synthetic.tree, "_write", lambda root, *rest: root.mkdir())
    out = tmp_path / "cells"
    assert command.main(["synthesize", str(out), "--images", "210", "--seed", "1"]) == 0
    assert capsys.readouterr().out.strip() == str(out / synthetic.ROOT)


def test_command_says_what_is_wrong_in_one_line(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep")
    assert command.main(["synthesize", str(tmp_path), "--images", "210"]) == DATA
    assert command.main(["synthesize", str(tmp_path / "a"), "--images", "1"]) == USAGE
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert all(line.startswith("bmjax: ") for line in errors)
    with pytest.raises(SystemExit, match="2"):
        command.main(["synthesize"])


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path):
    """The limit on a file's size stands for the disk."""
    out = tmp_path / "out"
    command = f"ulimit -f 1; {sys.executable} -m bmjax.data synthesize {out}"
    done = subprocess.run(
        ["bash", "-c", f"{command} --images 210"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "File too large; make room" in done.stderr
    assert not list(tmp_path.iterdir())


def test_drawing_never_loads_jax():
    code = (
        "import sys, bmjax.data.__main__, bmjax.data.synthetic; "
        "sys.exit('jax' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
