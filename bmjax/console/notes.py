"""What a command says beside its result."""

import sys


def print_note(text: str) -> None:
    """Print a note to standard error, for any terminal."""
    encoding = sys.stderr.encoding or "utf-8"
    line = f"note: {text}".encode(encoding, errors="backslashreplace")
    print(line.decode(encoding), file=sys.stderr, flush=True)
