"""The soak disturbs as its seed says, and tells a run that ended otherwise."""

import json
import random
from pathlib import Path

import pytest

from bmjax.soak import __main__ as soak
from bmjax.soak import trial
from bmjax.soak.disturbances import draw
from bmjax.soak.trial import Done, TrialFailed, Undisturbed
from bmjax.training.manifest import file_digests, make_manifest, whole_manifest


def checkpoints(folder, steps):
    for step in steps:
        for name in ("a", "b/c"):
            file = folder / str(step) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(bytes(range(200)))
        digests = file_digests(folder / str(step))
        content = make_manifest(step, meta={}, empty={}, files=digests, state_sha256="")
        (folder / f"{step}.json").write_text(json.dumps(content))
    return folder


def test_damage_meets_the_newest_checkpoint_and_leaves_the_one_before(tmp_path):
    chance, names = random.Random(0), set()
    for number in range(120):
        drawn = draw(chance, saves=[8])
        if not drawn.damage:
            continue
        names.add(drawn.name)
        alone = checkpoints(tmp_path / f"{number}-alone", [2])
        assert drawn.damage(alone, chance) == ""
        assert whole_manifest(alone, 2)
        folder = checkpoints(tmp_path / str(number), [2, 4])
        assert drawn.damage(folder, chance)
        assert not whole_manifest(folder, 4)
        assert whole_manifest(folder, 2)
    assert len(names) == 5


def test_a_seed_draws_the_same_disturbances():
    one, other, third = (
        [draw(random.Random(seed + n), saves=[2, 4])[:5] for n in range(30)]
        for seed in (0, 0, 1000)
    )
    assert one == other
    assert one != third


def test_a_run_with_another_result_is_told_apart(tmp_path):
    for name, digest, seconds in (("a", "1" * 64, 1.0), ("b", "2" * 64, 2.0)):
        (tmp_path / name).mkdir()
        content = {"params_sha256": digest, "accuracy": 0.5, "seconds": seconds}
        (tmp_path / name / "results.json").write_text(json.dumps(content))
    trial._check_equal(tmp_path / "a", tmp_path / "a")
    with pytest.raises(TrialFailed, match="2222, expected 1111"):
        trial._check_equal(tmp_path / "a", tmp_path / "b")


def test_a_failed_trial_is_exit_1_with_what_repeats_it(monkeypatch, capsys):
    like = Undisturbed([], [2], Path("nowhere"), 1.0)
    monkeypatch.setattr(soak, "_undisturbed", lambda config, scratch: like)

    def run_trial(like, workdir, chance, done, *, any_devices):
        workdir.mkdir()
        done.append(Done("kill", "kill after 0.1 s", True))
        if workdir.name == "run-5":
            raise TrialFailed("kill has exit code 1")

    monkeypatch.setattr(soak, "run_trial", run_trial)
    assert soak.main(["--runs=3", "--seed=4"]) == 1
    said = capsys.readouterr().out
    assert "kill has exit code 1, in the run of seed 5 (kill after 0.1 s)" in said
    assert "--runs=1 --seed=5 --config=supervised:smoke" in said
    assert soak.main(["--runs=1", "--seed=4"]) == 0
    assert "| kill" in capsys.readouterr().out
    assert soak.main(["--runs=0"]) == 2


@pytest.mark.slow
def test_disturbed_runs_end_as_one_that_was_not(monkeypatch, capsys):
    """One run on the same device, and one on others at each start."""
    monkeypatch.setattr(soak, "_STEPS", 12)
    monkeypatch.setattr(trial, "_MOST", 1)
    assert soak.main(["--runs=2", "--seed=3"]) == 0
    said = capsys.readouterr().out
    assert said.count("ended as it should") == 2
    assert "| all" in said
