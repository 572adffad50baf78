"""Prototypes and hard cells, by hand."""

import numpy as np
import pytest

from bmjax.errors import DataError
from bmjax.evals.predictions import Predictions
from bmjax.evals.prototypes import hardest, prototype_atlas

RANDOM = np.random.Generator(np.random.PCG64(0))


def directions(*degrees):
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_an_atlas_by_hand():
    embeddings = directions(0, 5, 40, 93) * np.array([[1], [9], [2], [3]], np.float32)
    prototypes = 2 * directions(2, 90, 200, 91).T
    found = prototype_atlas(
        embeddings, prototypes, np.array([0, 0, 1, 1]), "abcd", "AB", nearest=2
    )
    assert found["dead"] == [1, 2]
    assert found["duplicates"] == [[1, 3]]
    first, _, dead, last = found["prototypes"]
    assert (first["images"], first["class"]) == (3, "A")
    assert first["purity"] == pytest.approx(2 / 3)
    assert [near["path"] for near in first["nearest"]] == ["a", "b"]
    assert last["nearest"][0] == {
        "path": "d",
        "label": "B",
        "cosine": pytest.approx(np.cos(np.deg2rad(2)), abs=1e-4),
    }
    assert (dead["images"], dead["class"], dead["purity"]) == (0, None, None)
    assert found["purity"] == pytest.approx(3 / 4)
    assert found["largest_class"] == pytest.approx(1 / 2)
    shares = np.array([3 / 4, 1 / 4])
    assert found["effective"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


def test_mutual_information_is_scikit_learns():
    from sklearn.metrics import normalized_mutual_info_score

    embeddings = RANDOM.standard_normal((80, 3)).astype(np.float32)
    prototypes = RANDOM.standard_normal((3, 6)).astype(np.float32)
    labels = RANDOM.integers(0, 4, 80)
    found = prototype_atlas(embeddings, prototypes, labels, ["x"] * 80, "ABCD")
    unit = prototypes / np.linalg.norm(prototypes, axis=0)
    known = normalized_mutual_info_score(labels, (embeddings @ unit).argmax(axis=1))
    assert found["mutual_information"] == pytest.approx(known)


def test_blocks_do_not_change_the_atlas(monkeypatch):
    embeddings = RANDOM.standard_normal((50, 4)).astype(np.float32)
    prototypes = RANDOM.standard_normal((4, 7)).astype(np.float32)
    labels, paths = RANDOM.integers(0, 3, 50), [str(i) for i in range(50)]
    whole = prototype_atlas(embeddings, prototypes, labels, paths, "ABC")
    monkeypatch.setattr("bmjax.evals.prototypes._BLOCK", 6)
    assert prototype_atlas(embeddings, prototypes, labels, paths, "ABC") == whole


def test_fewer_images_than_are_named_are_all_named():
    found = prototype_atlas(
        directions(0, 9), directions(0).T, np.array([0, 0]), "ab", "A"
    )
    assert len(found["prototypes"][0]["nearest"]) == 2
    assert found["mutual_information"] is None


def answers(source, paths, labels, predicted, classes=("A", "B", "C")):
    number = {name: i for i, name in enumerate(classes)}
    return Predictions(
        tuple(paths),
        classes,
        np.array([number[name] for name in labels]),
        np.array([number[name] for name in predicted]),
        None,
        source=source,
    )


def test_the_hardest_are_wrong_in_every_system_that_saw_them():
    first = answers("1", "abcd", "AAAB", "BBAC")
    second = answers("2", "abcd", "AAAB", "BCBC", classes=("C", "B", "A"))
    third = answers("3", "e", "A", "B")
    assert hardest([first, second, third]) == [
        {"path": "a", "label": "A", "tested": 2, "predicted": {"B": 2}, "agreed": 1.0},
        {"path": "d", "label": "B", "tested": 2, "predicted": {"C": 2}, "agreed": 1.0},
        {
            "path": "b",
            "label": "A",
            "tested": 2,
            "predicted": {"B": 1, "C": 1},
            "agreed": 0.5,
        },
    ]
    assert [one["path"] for one in hardest([first, second, third], least=1)] == [
        "a",
        "d",
        "e",
        "b",
    ]
    assert hardest([]) == []


def test_systems_that_disagree_on_a_label_are_refused():
    with pytest.raises(DataError, match="a is A in 1 and B in 2"):
        hardest([answers("1", "a", "A", "B"), answers("2", "a", "B", "A")])
