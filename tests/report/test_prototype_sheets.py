"""Laws of the atlas of prototypes on a page."""

import json

import numpy as np
import pytest

from bmjax.errors import DataError
from bmjax.evals.prototypes import prototype_atlas
from bmjax.report import write_report
from bmjax.report.pictures import Album
from bmjax.report.prototype_sheets import MOST_SHOWN, describe_atlas
from tests.helpers.report_pages import CLASSES, HOSTILE, Page, make_run


@pytest.fixture
def atlas():
    """Sixty prototypes, one of them dead and two of them twins, on 200 images."""
    random = np.random.default_rng(0)
    embeddings = random.normal(size=(200, 8)).astype(np.float32)
    labels = random.integers(0, len(CLASSES), 200)
    prototypes = embeddings[:60].T.copy()
    prototypes[:, 1] = prototypes[:, 0]
    paths = [f"{HOSTILE}/{i}.jpg" for i in range(200)]
    return prototype_atlas(embeddings, prototypes, labels, paths, CLASSES)


def test_every_class_of_prototypes_is_shown(atlas):
    shown = describe_atlas(atlas, CLASSES, Album([]))
    assert len(shown.prototypes) == MOST_SHOWN
    assert {one.label for one in shown.prototypes} == {
        entry["class"] for entry in atlas["prototypes"] if entry["images"]
    }


def test_classes_count_every_image_once(atlas):
    shown = describe_atlas(atlas, CLASSES, Album([]))
    assert sum(int(row.images) for row in shown.classes) == 200


def test_dead_prototypes_and_twins_are_said(atlas):
    said = " ".join(describe_atlas(atlas, CLASSES, Album([])).sentences)
    assert f"{len(atlas['dead'])} of 60 prototypes are no image" in said
    assert "2 prototypes have a twin" in said


def test_atlas_is_on_the_page_with_names_escaped(tmp_path, atlas):
    run = make_run(tmp_path / "run")
    (run / "atlas.json").write_text(json.dumps(atlas))
    text = write_report(run).read_text("utf-8")
    assert Page(text).rows("prototypes") == CLASSES
    assert "<img src=x" not in text
    assert "their names are shown" in text


@pytest.mark.parametrize("key", ["prototypes", "dead", "purity", "mutual_information"])
def test_a_damaged_atlas_is_one_sentence(tmp_path, atlas, key):
    run = make_run(tmp_path / "run")
    (run / "atlas.json").write_text(json.dumps({**atlas, key: {"a": 1}}))
    if key == "mutual_information":
        del atlas[key]
        (run / "atlas.json").write_text(json.dumps(atlas))
    with pytest.raises(DataError, match=r"atlas\.json"):
        write_report(run)
