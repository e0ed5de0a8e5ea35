"""YAML text as a tree of nodes that remember where they stood; refuses what cannot be understood or trusted.

PyYAML only tokenises here. Building the tree from its events, rather than asking it for Python values, keeps
three things its loaders throw away: the position of every value, the digits of every number as they were
typed, and the second of two equal keys. It also bounds depth and the size aliases unfold to, so that a
hostile file costs no more than its own length.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple, cast

import yaml
from msgspec import Struct, field
from yaml.resolver import Resolver

MAX_CHARACTERS = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 100_000
MAX_HINTS = 20

_MERGE = "<<"
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WANTED = re.compile(
    r"(?:did|could) not find expected (?P<name>.+)|expected (?P<other>.+), but (?:got|found) .+"
)
"""How libyaml, and PyYAML itself, say what they missed."""
_TOKENS = {
    "key": "a key",
    "<block end>": "a key",
    "<document start>": "the end of the file",
    "':'": "`:` after a key",
    "'-' indicator": "`-` before an item",
}
_FAULTS = {
    "mapping values are not allowed in this context": "a `:` where no mapping can begin: check the indentation, or "
    "put the text in quotes",
    "found unexpected end of stream": "the end of the file inside quotes",
    "found character that cannot start any token": "a character that begins nothing in YAML: put the text in quotes",
}
_CONTEXTS = {
    "a flow mapping": "mapping in braces",
    "a flow sequence": "list in brackets",
    "a block mapping": "mapping",
    "a block collection": "list",
    "a block sequence": "list",
}
_KINDS = {"str": "text", "timestamp": "date", "value": "text", "merge": "text"}


class Spot(NamedTuple):
    """Where something begins; both count from 1."""

    line: int
    column: int


Trail = tuple[str | int, ...]


def render(path: Trail) -> str:
    """A path as people write it: `models.gpt-5.targets[1].provider`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def quoted(value: str) -> str:
    """A piece of the file fit to be shown: short, and with nothing that could move a terminal's cursor."""
    short = value if len(value) <= 60 else value[:57] + "..."
    return "`" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short) + "`"


class Problem(Struct, frozen=True, kw_only=True):
    """One thing wrong with a file. `field` is empty where the text itself could not be read."""

    file: str
    line: int
    column: int
    field: str
    found: str
    expected: str
    hint: str | None = None

    @property
    def message(self) -> str:
        """What was expected, what was found, and the name that was probably meant."""
        text = f"expected {self.expected}, found {self.found}"
        return f"{text}; did you mean {quoted(self.hint)}?" if self.hint else text

    def __str__(self) -> str:
        """`file:line: field: message`, the form editors and terminals turn into a link."""
        where = f"{self.file}:{self.line}: "
        return f"{where}{self.field}: {self.message}" if self.field else where + self.message


class Report:
    """Collects every problem of one file, so that a person mends them in one go."""

    def __init__(self, file: str) -> None:
        """`file` is the name to show; nothing is opened."""
        self.file = file
        self.problems: list[Problem] = []
        self._told: set[Trail] = set()
        self._above: set[Trail] = set()

    def add(self, at: Spot, path: Trail, *, found: str, expected: str, hint: str | None = None) -> None:
        """Note one problem."""
        self.excuse(path)
        field = render(path)
        self.problems.append(
            Problem(
                file=self.file,
                line=at.line,
                column=at.column,
                field=field,
                found=found,
                expected=expected,
                hint=hint,
            )
        )

    def hint(self, word: str, words: list[str]) -> str | None:
        """The word probably meant, if any is close; for the first problems only, as guessing is slow."""
        if len(self.problems) >= MAX_HINTS:
            return None
        by_case = {w.lower(): w for w in words}
        close = get_close_matches(word.lower()[:100], list(by_case), n=1, cutoff=0.6)
        return by_case[close[0]] if close else None

    def excuse(self, path: Trail) -> None:
        """Count a path as told already: what is missing there was probably meant by a misspelt key."""
        self._told.add(path)
        self._above.update(path[:length] for length in range(len(path) + 1))

    def has(self, path: Trail) -> bool:
        """Whether something is wrong with just this path."""
        return path in self._told

    def touches(self, path: Trail) -> bool:
        """Whether something at this path or below is known to be wrong: one slip, one message."""
        return path in self._above


class Scalar(Struct, frozen=True):
    """One value as typed. `kind` is what YAML 1.1 takes it for: text, int, float, bool, null or date."""

    text: str
    kind: str
    at: Spot
    size: int = 1


class Items(Struct, frozen=True):
    """A list. `size` counts the values in it with every alias unfolded."""

    items: list["Node"]
    at: Spot
    size: int


class Entry(NamedTuple):
    """A key's place and its value."""

    at: Spot
    value: "Node"


class Mapping(Struct, frozen=True):
    """Keys and values, merge keys already applied."""

    entries: dict[str, Entry]
    at: Spot
    size: int


Node = Scalar | Items | Mapping


class _HaltError(Exception):
    """The rest of the text cannot be made sense of; the reason is in the report."""


class _Frame(Struct):
    """A list or mapping whose end has not been seen."""

    mapping: bool
    at: Spot
    anchor: str | None
    items: list[Node] = field(default_factory=list[Node])
    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    merged: list[Mapping] = field(default_factory=list[Mapping])
    key: Scalar | None = None
    size: int = 1


def read_tree(text: str, report: Report) -> Node | None:
    """The file's one document, or None when what stands there is no document; the reason is in `report`.

    Problems that leave the rest readable, such as a key given twice, are reported and reading goes on.
    """
    start = Spot(1, 1)
    if len(text) > MAX_CHARACTERS:
        report.add(start, (), found="a longer one", expected=f"at most {MAX_CHARACTERS} characters")
        return None
    text = text.removeprefix("\ufeff")
    if bad := _FORBIDDEN.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - text.rfind("\n", 0, bad.start())
        report.add(
            Spot(line, column),
            (),
            found=f"the character U+{ord(bad.group()):04X}",
            expected="printable characters",
        )
        return None
    try:
        return _Tree(report).build(_events(text))
    except yaml.YAMLError as error:
        _syntax(error, text, report)
    except ValueError:
        # PyYAML turns escapes and directives into numbers unchecked; "\UFFFFFFFF" ends up here.
        report.add(
            start, (), found="an escape or directive with a number out of range", expected="valid YAML"
        )
    except _HaltError:
        return None  # the report has the reason already
    return None


def _events(text: str) -> Iterator[yaml.Event]:
    """PyYAML's event stream, by libyaml where the installed PyYAML has it: ten times quicker."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.parse(text, Loader=loader)


def _syntax(error: yaml.YAMLError, text: str, report: Report) -> None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    at = Spot(mark.line + 1, mark.column + 1) if mark else Spot(1, 1)
    lines = text.splitlines()
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent or line[at.column - 1 : at.column] == "\t":
        report.add(at, (), found="a tab", expected="spaces for indentation")
        return
    reason = str(getattr(error, "problem", None) or "something that is not YAML")
    wanted = _WANTED.fullmatch(reason)
    rest = line[at.column - 1 :].split()
    if wanted is None:
        found, expected = _FAULTS.get(reason, reason.removeprefix("found ")), "valid YAML"
    else:
        found = quoted(rest[0]) if rest else "the end of the line" if line else "the end of the file"
        name = wanted["name"] or wanted["other"]
        expected = _TOKENS.get(name, name.replace("'", "`"))
    report.add(at, (), found=found + _within(error, at), expected=expected)


def _within(error: yaml.YAMLError, at: Spot) -> str:
    """What was being read there and where that began, where it began on another line."""
    context, mark = getattr(error, "context", None), getattr(error, "context_mark", None)
    name = _CONTEXTS.get(str(context).removeprefix("while parsing "))
    if name is None or mark is None or mark.line + 1 == at.line:
        return ""
    return f", in the {name} that begins in line {mark.line + 1}"


class _Tree:
    """Turns events into nodes without recursion: depth is a limit of ours, not of Python's stack."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._resolver = Resolver()
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Node | None] = {}
        self._root: Node | None = None
        self._documents = 0

    def build(self, events: Iterator[yaml.Event]) -> Node | None:
        for event in events:
            self._take(event)
        if self._root is None:
            self._report.add(Spot(1, 1), (), found="an empty file", expected="a catalogue")
        return self._root

    def _take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        at = Spot(mark.line + 1, mark.column + 1) if mark else Spot(1, 1)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._halt(at, found="a second `---`", expected="one document in the file")
        elif isinstance(event, yaml.AliasEvent):
            self._place(self._alias(str(event.anchor), at), at)
        elif isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, at)
            self._name(event.anchor, node)
            self._place(node, at)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            self._open(event, at)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self._close()

    def _halt(self, at: Spot, *, found: str, expected: str) -> None:
        self._report.add(at, self._path(), found=found, expected=expected)
        raise _HaltError

    def _path(self) -> Trail:
        steps = [
            (frame.key.text if frame.key else None) if frame.mapping else len(frame.items)
            for frame in self._stack
        ]
        return tuple(step for step in steps if step is not None)

    def _alias(self, anchor: str, at: Spot) -> Node:
        node = self._anchors.get(anchor)
        if node is None:
            known = "it stands inside what it names" if anchor in self._anchors else "nothing has that name"
            self._halt(at, found=f"{quoted('*' + anchor)}: {known}", expected="the name of an earlier anchor")
        return cast("Node", node)

    def _name(self, anchor: str | None, node: Node | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node

    def _scalar(self, event: yaml.ScalarEvent, at: Spot) -> Scalar:
        self._untagged(event.tag, at)
        text = str(event.value)
        if not event.implicit[0]:
            return Scalar(text, "text", at)
        resolve = cast("str", self._resolver.resolve(yaml.ScalarNode, text, (True, False)))  # pyright: ignore[reportUnknownMemberType] # stubs leave it open
        kind = resolve.rpartition(":")[2]
        return Scalar(text, _KINDS.get(kind, kind), at)

    def _untagged(self, tag: str | None, at: Spot) -> None:
        if tag is not None:
            self._halt(at, found=f"the tag {quoted(tag)}", expected="a plain value without a tag")

    def _open(self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent, at: Spot) -> None:
        self._untagged(event.tag, at)
        if len(self._stack) >= MAX_DEPTH:
            self._halt(at, found="more", expected=f"at most {MAX_DEPTH} levels of nesting")
        self._name(event.anchor, None)
        self._stack.append(
            _Frame(mapping=isinstance(event, yaml.MappingStartEvent), at=at, anchor=event.anchor)
        )

    def _close(self) -> None:
        frame = self._stack.pop()
        if frame.mapping:
            for other in frame.merged:
                frame.entries |= {k: v for k, v in other.entries.items() if k not in frame.entries}
            node: Node = Mapping(frame.entries, frame.at, frame.size)
        else:
            node = Items(frame.items, frame.at, frame.size)
        self._name(frame.anchor, node)
        self._place(node, frame.at)

    def _place(self, node: Node, at: Spot) -> None:
        """Put a finished node where it belongs: the root, the next item, a key, or a key's value."""
        if not self._stack:
            self._root = node
            return
        frame = self._stack[-1]
        frame.size += node.size
        if frame.size > MAX_VALUES:
            self._halt(at, found="more", expected=f"at most {MAX_VALUES} values once aliases are unfolded")
        if not frame.mapping:
            frame.items.append(node)
        elif frame.key is None:
            self._key(frame, node, at)
        elif frame.key.text == _MERGE:
            self._merge(frame, node, at)
            frame.key = None
        else:
            frame.entries.setdefault(frame.key.text, Entry(frame.key.at, node))
            frame.key = None

    def _key(self, frame: _Frame, node: Node, at: Spot) -> None:
        if not isinstance(node, Scalar):
            self._halt(at, found="a list or mapping", expected="a name as the key")
            return
        frame.key = Scalar(node.text, node.kind, at)
        if first := frame.entries.get(node.text):
            self._report.add(
                at,
                self._path(),
                found=f"{quoted(node.text)} again (first on line {first.at.line})",
                expected="each key once",
            )

    def _merge(self, frame: _Frame, node: Node, at: Spot) -> None:
        for part in node.items if isinstance(node, Items) else [node]:
            if isinstance(part, Mapping):
                frame.merged.append(part)
            else:
                self._report.add(at, self._path(), found=describe(part), expected="a mapping to merge")


def describe(node: Node, *, secret: bool = False) -> str:
    """A value in words for an error message; where a secret may stand, only its kind."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Items):
        return "a list"
    if node.kind == "null":
        return "nothing"
    noun = {"int": "the number", "float": "the number", "date": "the date", "bool": ""}.get(
        node.kind, "the text"
    )
    if secret:
        return "text (not shown, it may be a secret)"
    return f"{noun} {quoted(node.text)}".strip()
