"""Owns how pieces of one task's stream become whole lines: UTF-8 in pieces, carriage returns, unfinished lines."""

from __future__ import annotations

import codecs


class LineAssembler:
    """One stream of one task: bytes in, whole lines out; keeps the unfinished line.

    A progress bar rewrites its line with carriage returns ten times a second. Only what would be seen is kept, so a
    line holds at most what it shows, however often it was rewritten.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.partial = ""
        """The unfinished line, as far as it was not taken yet."""
        self.continues = False
        """The beginning of the unfinished line was taken already, so `partial` goes on behind it."""

    def feed(self, data: bytes) -> str:
        """Take in some bytes and return the lines that they complete, each with its newline."""
        text = self.partial + self._decoder.decode(data)
        whole, newline, self.partial = text.rpartition("\n")
        if "\r" in whole:
            whole = _overwrite_lines(whole, self.continues)
        if newline:
            self.continues = False
        if "\r" in self.partial:
            self.partial = overwrite(self.partial, keep_first=self.continues)
        return whole + newline

    def take_partial(self) -> str:
        """Hand out the unfinished line; what comes later goes on behind it."""
        text, self.partial = self.partial, ""
        self.continues = self.continues or bool(text)
        return text

    def break_line(self) -> None:
        """The unfinished line was ended from outside; what comes later begins a line of its own."""
        self.continues = False


def _overwrite_lines(whole: str, continues: bool) -> str:
    lines = [line.removesuffix("\r") for line in whole.split("\n")]
    first = overwrite(lines[0], keep_first=continues)
    return "\n".join([first, *(overwrite(line, keep_first=False) for line in lines[1:])])


def overwrite(line: str, *, keep_first: bool) -> str:
    """Apply the carriage returns inside a line as a terminal would.

    With `keep_first` something of the line is on the screen already, so the text before the first return and that
    return itself must stay.

    >>> overwrite("10%\\r20%", keep_first=False)
    '20%'
    >>> overwrite("\\r10%\\r20%", keep_first=True)
    '\\r20%'
    >>> overwrite("abc\\rX", keep_first=False)
    'Xbc'
    """
    first, *rest = line.split("\r")
    if not rest:
        return line
    shown = "" if keep_first else first
    for segment in rest:
        shown = segment + shown[len(segment) :]
    back_at_start = "\r" if rest[-1] == "" and shown else ""
    return f"{first}\r{shown}{back_at_start}" if keep_first else shown + back_at_start
