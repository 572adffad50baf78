"""What a command says beside its result."""

import sys

from bmjax.console.escape import on_one_line


def print_note(text: str) -> None:
    """Print a note to standard error, for any terminal."""
    encoding = sys.stderr.encoding or "utf-8"
    line = f"note: {on_one_line(text)}".encode(encoding, errors="backslashreplace")
    print(line.decode(encoding), file=sys.stderr, flush=True)


def print_lines(*lines: str) -> None:
    """Print lines to standard output, whatever names are in them."""
    for line in lines:
        print(on_one_line(line), flush=True)
