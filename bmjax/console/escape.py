"""Names that people gave to files, as plain characters."""


def escaped(name: str) -> str:
    r"""A name in plain characters: `\n` for a newline, `\xff` for a byte alone."""
    return "".join(map(_escaped, name))


def on_one_line(line: str) -> str:
    r"""A line whose control characters are shown, not sent: `\x1b` for an escape.

    A name in it could otherwise move the cursor, color what follows, or feign a line of
    its own. Backslashes stay, so this is for reading alone.
    """
    return "".join(c if c.isprintable() else _escaped(c) for c in line)


def _escaped(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    if 0xDC80 <= ord(character) <= 0xDCFF:  # as Python holds a byte that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
