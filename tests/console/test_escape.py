r"""Names reach a terminal as they read, and never as commands to it."""

import sys

import pytest

from bmjax.console.apply_options import complain
from bmjax.console.escape import escaped, on_one_line
from bmjax.console.notes import print_lines, print_note
from bmjax.run.logs import say

HOSTILE = "A\x1b[2J\nbmjax: done\u202egpj.\udcff\x9b31m"
SHOWN = r"A\x1b[2J\nbmjax: done\u202egpj.\xff\x9b31m"


def test_what_moves_a_cursor_or_feigns_a_line_is_shown():
    assert on_one_line(HOSTILE) == SHOWN
    assert on_one_line("Blast; Zelle, \u7d30\u80de, C:\\cells") == (
        "Blast; Zelle, \u7d30\u80de, C:\\cells"
    )
    assert escaped("C:\\cells") == r"C:\\cells"


@pytest.mark.parametrize("speak", [say, print_lines, print_note, complain])
def test_whatever_speaks_escapes_the_names_in_it(capsys, speak):
    speak(f"class {HOSTILE} has 3 images")
    said = capsys.readouterr()
    assert f"class {SHOWN} has 3 images" in said.out + said.err
    assert (said.out + said.err).count("\n") == 1


def test_a_strict_terminal_gets_the_same(monkeypatch, tmp_path):
    with open(tmp_path / "out", "w", encoding="utf-8", errors="strict") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        say("class caf\udce9 has 3 images")
        print_lines("class caf\udce9")
    assert (tmp_path / "out").read_text() == (
        "class caf\\xe9 has 3 images\nclass caf\\xe9\n"
    )
