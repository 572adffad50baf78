"""A signal stops what runs, once, with its code, and does not cut a save off."""

import os
import signal
import subprocess
import sys
import time

import pytest

from bmjax.console import signals
from bmjax.console.command import run_command
from bmjax.console.signals import StopSignals
from bmjax.errors import CheckpointError, Stopped


@pytest.fixture(autouse=True)
def as_in_a_terminal():
    """Nothing is ignored, as it would be under nohup or in the background."""
    usual = {
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGINT: signal.default_int_handler,
    }
    before = {number: signal.signal(number, to) for number, to in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 75), (signal.SIGHUP, 75), (signal.SIGINT, 130)],
)
def test_a_second_signal_does_not_cut_the_save_off(number, code):
    saved = []

    def step_and_save():
        with StopSignals() as received, received.at_the_next_step():
            send(number)
            send(signal.SIGTERM)
            saved.append("whole")

    with pytest.raises(Stopped) as stopped:
        step_and_save()
    assert saved == ["whole"]
    assert stopped.value.exit_code == code


def test_the_third_ends_the_process():
    program = """if True:
        import os, signal
        from bmjax.console.signals import StopSignals
        with StopSignals() as received, received.at_the_next_step():
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGTERM)
            print("goes on")
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert done.returncode == -signal.SIGTERM
    assert not done.stdout


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)]
)
def test_a_signal_within_an_import_waits_for_its_end(number, code, tmp_path):
    """This module would have caught it, and the command would have gone on."""
    (tmp_path / "careful.py").write_text(
        "import os, time\n"
        "try:\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    time.sleep(0.3)\n"
        "    print('imported', flush=True)\n"
        "except BaseException:\n"
        "    pass\n"
    )
    program = """if True:
        import sys, time
        from bmjax.console.command import leave, run_command
        def command():
            import careful
            time.sleep(20)
        leave(run_command(command))
    """
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.getcwd()}"},
    )
    assert (done.returncode, done.stdout) == (code, "imported\n")
    assert done.stderr == "bmjax: stopped\n"


def test_an_error_that_a_library_swallows_comes_again(monkeypatch):
    monkeypatch.setattr(signals, "_AGAIN", 0.05)
    swallowed = []

    def work():
        with StopSignals(insist=True):
            try:
                send(signal.SIGTERM)
            except Exception as error:
                swallowed.append(error)
            end = time.monotonic() + 5
            while time.monotonic() < end:
                time.sleep(0.01)

    with pytest.raises(Stopped) as stopped:
        work()
    assert len(swallowed) == 1
    assert stopped.value.exit_code == 75
    time.sleep(0.1)  # and not after the block


def test_what_a_library_makes_of_it_is_a_stop_again():
    def work():
        with StopSignals():
            try:
                send(signal.SIGINT)
            except Exception:
                raise CheckpointError("does not fit") from None

    with pytest.raises(Stopped) as stopped:
        work()
    assert stopped.value.exit_code == 130


def test_an_error_of_its_own_stays_where_a_signal_waits():
    def step():
        with StopSignals() as received, received.at_the_next_step():
            send(signal.SIGTERM)
            raise CheckpointError("of its own")

    with pytest.raises(CheckpointError):
        step()


def test_what_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with StopSignals() as received:
            send(signal.SIGHUP)
        assert not received.number
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_every_command_says_that_it_was_stopped(number, capsys):
    code = run_command(lambda: send(number))
    assert code == (130 if number == signal.SIGINT else 75)
    assert capsys.readouterr().err == "bmjax: stopped\n"
