"""Find the line of every key of a TOML text.

The standard library's ``tomllib`` reads values and forgets where they stood. This scanner does the opposite: it reads a
text that ``tomllib`` has accepted and returns the line of each key, table and array element, so that a wrong value can
be shown to its author where it stands. It understands what TOML 1.0 allows: tables, arrays of tables, dotted and quoted
keys, inline tables, arrays over several lines, all four kinds of strings and comments.
"""

import re

Path = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^\s,\]}#]+(?: \d[^\s,\]}#]*)?")  # a date and its time may be parted by one space
_BLANK = re.compile(r"[ \t]*")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}


def key_lines(text: str) -> dict[Path, int]:
    """Return the line (from 1) of every key, table and array element.

    Args:
        text: a TOML document that ``tomllib.loads`` accepts.

    Returns:
        Lines by path; an array element has its position (from 0) in the path, as in ``("policy", 0, "name")``.
    """
    return _Scanner(text.replace("\r\n", "\n")).scan()


class _Scanner:
    def __init__(self, text: str):
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self.lengths: dict[Path, int] = {}  # elements so far of every array of tables
        self._counted = (0, 1)

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        while True:
            self._skip_blank()
            if self.at >= len(self.text):
                return self.lines
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    # ------------------------------------------------------------------ structure

    def _header(self) -> Path:
        line = self._line()
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        names = self._names()
        self.at += 2 if many else 1
        path: Path = ()
        for name in names[:-1]:
            path = self._into((*path, name), line)
        path = (*path, names[-1])
        if not many:
            self.lines.setdefault(path, line)
            return path
        self.lines.setdefault(path, line)
        self.lengths[path] = self.lengths.get(path, 0) + 1
        path = (*path, self.lengths[path] - 1)
        self.lines[path] = line
        return path

    def _into(self, path: Path, line: int) -> Path:
        """Enter a table named on the way; of an array of tables, its last element."""
        self.lines.setdefault(path, line)
        return (*path, self.lengths[path] - 1) if path in self.lengths else path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for name in self._names():
            path = (*path, name)
            self.lines.setdefault(path, line)
        self.at += 1  # the equals sign
        self._skip_spaces()
        self._value(path)

    def _value(self, path: Path) -> None:
        head = self.text[self.at]
        if head == "[":
            self._array(path)
        elif head == "{":
            self._inline_table(path)
        elif head in "\"'":
            self._string()
        else:
            match = _SCALAR.match(self.text, self.at)
            assert match is not None
            self.at = match.end()

    def _array(self, path: Path) -> None:
        self.at += 1
        number = 0
        while True:
            self._skip_blank()
            if self.text[self.at] == "]":
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self.lines[(*path, number)] = self._line()
            self._value((*path, number))
            number += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while True:
            self._skip_blank()
            if self.text[self.at] == "}":
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._pair(path)

    # ------------------------------------------------------------------ tokens

    def _names(self) -> list[str]:
        """Read a key up to its equals sign or closing bracket: one or more names parted by dots."""
        names = []
        while True:
            self._skip_spaces()
            if self.text[self.at] in "\"'":
                names.append(self._string())
            else:
                match = _BARE.match(self.text, self.at)
                assert match is not None
                names.append(match.group())
                self.at = match.end()
            self._skip_spaces()
            if self.text[self.at] != ".":
                return names
            self.at += 1

    def _string(self) -> str:
        """Step over a string; return its value (needed for keys, which never span lines)."""
        quote = self.text[self.at]
        if self.text.startswith(quote * 3, self.at):
            self.at += 3
            while not self.text.startswith(quote * 3, self.at):
                self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
            self.at += 3
            while self.text.startswith(quote, self.at):  # one or two quotes may stand before the closing three
                self.at += 1
            return ""
        self.at += 1
        characters = []
        while (character := self.text[self.at]) != quote:
            self.at += 1
            characters.append(self._escape() if character == "\\" and quote == '"' else character)
        self.at += 1
        return "".join(characters)

    def _escape(self) -> str:
        kind = self.text[self.at]
        self.at += 1
        digits = {"x": 2, "u": 4, "U": 8}.get(kind)
        if digits is None:
            return _ESCAPES[kind]
        self.at += digits
        return chr(int(self.text[self.at - digits : self.at], 16))

    def _skip_spaces(self) -> None:
        match = _BLANK.match(self.text, self.at)
        assert match is not None
        self.at = match.end()

    def _skip_blank(self) -> None:
        """Skip white space, line ends and comments."""
        while self.at < len(self.text):
            if self.text[self.at] in " \t\n":
                self.at += 1
            elif self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                return

    def _line(self) -> int:
        at, line = self._counted
        line += self.text.count("\n", at, self.at)
        self._counted = (self.at, line)
        return line
