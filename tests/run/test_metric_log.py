"""Metrics by step: what finds no room ends no training and is not lost."""

import json
import resource

from tensorboardX.proto.event_pb2 import Event

from bmjax.run.metric_log import MetricLog


def events(folder):
    """The scalars of the newest events file: (step, name, value)."""
    data = max(folder.glob("events.*")).read_bytes()
    found = []
    while data:
        size = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + size])
        found += [
            (event.step, value.tag, value.simple_value or value.tensor.float_val[0])
            for value in event.summary.value
        ]
        data = data[16 + size :]
    return found


def test_each_step_is_in_both_files(tmp_path):
    log = MetricLog(tmp_path, first_step=0)
    for step in (1, 2):
        log.write(step, {"train/loss": step / 2, "train/rate": float("nan")})
    # Both are whole while the run goes on: a kill loses nothing.
    assert events(tmp_path) == [(1, "train/loss", 0.5), (2, "train/loss", 1.0)]
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
    log.close()


def test_lines_that_find_no_room_are_written_when_there_is_some(tmp_path, capsys):
    log = MetricLog(tmp_path, first_step=0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    log.write(1, {"train/loss": 1.0})
    size = (tmp_path / "metrics.jsonl").stat().st_size
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, before[1]))
        for step in range(2, 50):
            log.write(step, {"train/loss": float(step)})
        assert (tmp_path / "metrics.jsonl").stat().st_size == size
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log.write(50, {"train/loss": 50.0})
    log.close()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 51))
    said = capsys.readouterr().out
    assert said.count("metrics.jsonl cannot be written (") == 1
    assert said.count("TensorBoard's events cannot be written") == 1


def test_forgetting_what_lies_beyond_a_checkpoint_takes_no_room(tmp_path, capsys):
    log = MetricLog(tmp_path, first_step=0)
    for step in range(1, 4):
        log.write(step, {"train/loss": float(step)})
    log.close()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
        MetricLog(tmp_path, first_step=2).close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
    assert "TensorBoard's events cannot be written" in capsys.readouterr().out
