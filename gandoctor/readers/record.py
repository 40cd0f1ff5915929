"""From a line of a log to its named numbers.

A record is `key: number` or `key=number`, any times, in whatever dress people print it:

    (epoch: 1, iters: 100, time: 0.189) G_GAN: 2.261 D_real: 0.056
    [Epoch 0/200] [Batch 3/938] [D loss: 0.63, acc.: 51.56%] [G loss: 0.72]
    [3/25][10/1583] Loss_D: 0.53 Loss_G: 2.10 D(x): 0.71 D(G(z)): 0.31 / 0.12
    INFO:2024-01-02 03:04:05,678: Epoch [1/5], Step [10/62], Disc Loss: 1.39
    tick 77    kimg 308.0    time 4h 28m 45s    augment 0.563

A key is what stands before the sign, back to the number, bracket, comma, bar or wide blank before
it; its spelling is kept. `KEY: a / b` gives `KEY.1` and `KEY.2`, a short list `KEY.1`, `KEY.2`, …; a
key that a line repeats becomes `KEY.1`, as pandas does with columns. Counters may stand without a
sign (`Epoch 3`) and with their range (`3/200`); nameless ones at the front get a name here
(`_FRONTS`). Dates, times of day, durations, calls and URLs hold no numbers of the log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from gandoctor.readers.columns import is_counter, length_of, plain
from gandoctor.readers.numbers import MISSING, NUMBER, to_number
from gandoctor.readers.positional import list_names

LONGEST_KEY = 60
_MOST_WORDS = 6
_MOST_FIELDS = 500  # numbers that one line may give
_LONGEST_LIST = 16
_MOST_CALLS = 50

# --- what is blanked before anything else ---------------------------------------------------------
_STAMP = re.compile(
    r"(?<!\d)(?:19|20)\d\d[-/](?:0?[1-9]|1[0-2])[-/](?:[0-2]?\d|3[01])[ T_]+"
    r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d{1,9})?)?(?:Z|[-+]\d\d:?\d\d)?(?!\d|:\d)"
)
_STAMP_WITHIN = 64  # a record's own time stands at its front
_NOISE = re.compile(
    r"https?://\S+"
    r"|(?:^|(?<=\s))[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ [^\s\]]+\]"  # the front of Google's logs
    r"|(?<![\w./\\-])[\w./\\-]+\.(?:py|pyc|cu|cpp|so):\d+"  # the place in the source that wrote the line
    r"|\((?!epoch|ep:|iter|it:|step|batch)[a-z_]\w*:\d{2,5}\)"  # the same, as ESPnet has it
    r"|(?<![\w.])\d{1,4}[-/]\d{1,2}[-/]\d{1,4}(?![\w.])"  # a date
    r"|(?<![\w.])\d+:\d\d(?::\d\d)?(?:[.,]\d+)?(?![\w.]|:\d)"  # a time of day, a duration
    r"|(?<![\w.])\d+(?:\.\d+)?(?:d|h|hr|hrs|m|min|s|sec|ms|us)(?![\w.])(?:/\w+)?"  # 4h, 28m, 25ms/step
    r"|(?<![\w.])\d+(?:\.\d+)? (?:days?|hours?|hrs?|minutes?|mins?|seconds?|secs?|ms|sec/\w+)(?!\w)"
)
_MAYBE_NOISE = re.compile(r"[0-9](?:[:/-][0-9]| ?[dhmsu])|://|\.(?:py|cu|cp|so)|:[0-9]+\)")
_CALL = re.compile(r"(?<![\w.])[A-Za-z_][\w.]*+\(")

# --- numbers --------------------------------------------------------------------------------------
_DIGIT = re.compile("[0-9]")
_BLANK = re.compile(r"[ \t:-]*")
_LETTERS_NUMBER = re.compile("nan|inf", re.IGNORECASE)
_SIGN = re.compile(r"(?<![<>=!~+*/])[:=](?![:=])[ \t]*")
_VALUE = re.compile(
    r"(?P<open>(?:<tf\.Tensor[^>\n]{0,80}?numpy=|(?:\w+\.)*(?:tensor|Tensor|EagerTensor|Variable|array|Array"
    r"|DeviceArray|float\d*)\()?[\[( ]*)"
    rf"(?P<number>[-+]?1\.#(?:INF|IND|QNAN|SNAN)\d*|{NUMBER})(?P<percent>[ ]?%)?",
    re.ASCII,
)
_NO_END = re.compile(r"[\w#]|\.[\w.]|:\d|[-+]\d|,\d{3}(?!\d)", re.ASCII)  # after a number that is none
_WRAP_END = re.compile(
    r"\s*(?:,\s*(?:device|grad_fn|dtype|requires_grad|shape)\s*=\s*"
    r"(?:'[^']*'|<[^>]*>|\([^()]*\)|[\w.]+))*[\s)\]>]*"
)
_SECOND = re.compile(rf"[ \t]*[/|][ \t]*(?P<number>{NUMBER})(?![\w.:#%]|[ \t]*[:=/])", re.ASCII)
_NEXT = re.compile(rf"[ \t]*[,; ][ \t]*(?P<number>{NUMBER})(?![\w.:#])", re.ASCII)
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?P<rest>\.\d+)?(?![\w.]|,\d)", re.ASCII)
_LIST_END = re.compile(r"\s*,?\s*[\])]")
_TOKEN_END = re.compile(r"[\s,;|\])}]")
_LIKE_NUMBER = re.compile(r"[-+.]*\d|[^\w\s]*$")
_WHOLE = re.compile(r"\+?\d{1,15}(?:\.\d*)?", re.ASCII)
_RANGE = re.compile(r"[ \t]*(?:/|of )[ \t]*(?P<length>[0-9]{1,15})(?![\w.])", re.ASCII)
_NAMELESS = re.compile(rf"\[[ ]*(?P<list>(?:{NUMBER})(?:,[ ]*(?:{NUMBER}))+)[ ]*\]\s*$", re.ASCII)
_WITHIN = re.compile(
    r"[\])]?[ \t]*\[[ \t]*(?P<count>[0-9]{1,15})[ \t]*/[ \t]*(?P<length>[0-9]{1,15})(?![\w.])", re.ASCII
)

# --- keys -----------------------------------------------------------------------------------------
_CUT = re.compile(r"[,;|\t\[\]{}<>\"'`=:•·]|\s{2,}|\s[-–—*>]+\s|(?<=[)\d])\s*/(?=\s)")
_FRONT_OF_KEY = re.compile(r"(?:[^\w]|[\d.]+(?!\w))+")
_AFTER_NUMBER = re.compile(r"\s*(?:dB|ms|it/s|px|[KMG]i?B)(?=\s)")
_LETTER = re.compile(r"[^\W\d_]")
_LEVEL_FRONT = re.compile(r"^(?:INFO|DEBUG|WARNING|ERROR)\s+")
_LEVEL = frozenset({"info", "debug", "warning", "warn", "error", "critical", "trace", "notice", "success"})

# --- counters and fields without a sign -----------------------------------------------------------
_COUNTER = re.compile(
    r"(?<![\w/])(?P<name>(?:(?:global|train|training|total|current|g|d)[ _])?"
    r"(?:epochs?|ep|iterations?|iters?|itr|steps?|batch|minibatch|kimg|tick))"
    r"(?:[ \t]*[\[(#][ \t]*|[ \t]+#?|-(?=\d+(?![\w.-])))"
    r"(?P<number>[0-9]{1,15})(?![0-9A-Za-z_]|\.\d|:\d|-\d|[ \t]*=)",
    re.IGNORECASE | re.ASCII,
)
_COUNTER_BEHIND = re.compile(  # 3epoch:train:101-150batch:
    r"(?<![\w.-])(?:\d{1,12}-)?(?P<number>\d{1,12})(?P<name>epoch|batch|iter|step)(?=[\s:,|\]])", re.ASCII
)
_FRONTS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(pattern, re.ASCII), names)
    for pattern, names in (
        # DCGAN example, WGAN: [epoch/epochs][batch/batches], WGAN adds [iterations of G]
        (r"\[\s*(\d+)/\d+\]\s*\[\s*(\d+)/(\d+)\]\s*\[\s*(\d+)\]", ("epoch", "batch", "/batch", "iteration")),
        (r"\[\s*(\d+)/\d+\]\s*\[\s*(\d+)/(\d+)\]", ("epoch", "batch", "/batch")),
        # tutorials with Keras: >epoch, batch/batches, and >step
        (r">\s*(\d+),\s*(\d+)/(\d+),", ("epoch", "batch", "/batch")),
        (r">\s*(\d+),", ("step",)),
        (r"[\[(]?\s*(\d+)\s*/\s*(\d+)[\])]?(?=[\s:,|-])", ("it", "/it")),
        (r"\**\s*(\d+)(?=:?\s*[\[(|]|:\s|\s+-\s)", ("step",)),  # Keras-GAN: 100 [D loss: …]
    )
)  # fmt: skip
_WORD = r"[^\W\d](?:[\w./%+-]|\((?:[^()]|\([^()]*\))*\))*"
_NAME = rf"(?P<name>{_WORD}(?: {_WORD}){{0,3}})"
_FIELD = re.compile(rf"{_NAME}[ \t]+(?P<number>{NUMBER})(?:\s?\(\s*(?:{NUMBER})\))?(?=[\s,;]|$)[\s,;]*")
_BLANK_NUMBER = re.compile(r"[\w.)%/+-][ \t]+[-+]?[0-9.ni]|\([-+]?[0-9]", re.ASCII | re.IGNORECASE)
_NEAR_NUMBER = re.compile(r"(?<![ \t])[ \t]++(?=[-+]?[\d.])")
_WIDE = re.compile(r"(?<! ) {2,}+(?![-+\d.])")
_PROSE = frozenset(
    {"of", "in", "to", "at", "took", "for", "and", "the", "is", "on", "after", "with", "than", "by"}
)
_IN_PARENTHESES = re.compile(rf"\s*{_NAME}\s*\((?P<number>{NUMBER})\)\s*:?\s*")

# --- fronts that tell runs or parts apart ---------------------------------------------------------
_LABEL = re.compile(
    r"[^\w\[]{0,70}(?:(?:INFO|DEBUG|WARNING)[^\w\[]{1,8})?\[(?P<label>[^\W\d][^\[\]:=/|]{0,40})\](?=[\s:|-])"
)
_PART = re.compile(
    r"\W*(?P<part>val|valid|validation|test|testing|eval|evaluation)\s*(?:\]|:|\||-|\s-)\s", re.IGNORECASE
)

# --- progress bars --------------------------------------------------------------------------------
_KERAS_BAR = re.compile(
    r"^\s*(?P<count>\d+)/(?P<length>\d+|Unknown)\s*(?:\[[=>. ]+\]|[━─╸╺ ]*[━─╸╺])(?=\s|$)"
)
_TQDM = re.compile(
    r"(?P<before>.*?)(?<!\d)\d{1,3}%\|[^|]{0,400}\|\s*(?P<count>[\d.]+[kMG]?)/(?P<length>[\d.]+[kMG]?|\?)"
    r"\s*\[(?P<after>[^\]]*)\]?(?P<tail>.*)"
)
_TQDM_OPEN = re.compile(
    r"(?P<before>(?:.*?(?<=[\s:|]))?)(?P<count>\d+)(?P<length>)(?:it|batch|steps?|img|ex)?\s\[(?P<after>\d+:\d\d,[^\]]*)\]?(?P<tail>.*)"
)
_TQDM_SPEED = re.compile(r"^\s*[\d:.]+(?:<[\d:?.]+)?|,\s*[\d.?]+\s*[kMG]?\w*/\w+")


@dataclass(frozen=True, slots=True)
class Field:
    """One number of a line: its name, value, and where its digits stand."""

    name: str
    value: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A progress bar that is drawn anew again and again. running: its numbers are means since its start."""

    count: int
    length: int
    running: bool


@dataclass(frozen=True, slots=True)
class Record:
    """What a line says.

    stamp: where its time stands. wall_time: seconds since 1970; a time without a zone counts as UTC.
    garbled: keys with what stands there in place of a number. rigid: other lines of this shape, with
    other digits, say the same.
    """

    fields: tuple[Field, ...] = ()
    label: str = ""
    wall_time: float | None = None
    stamp: tuple[int, int] | None = None
    bar: Bar | None = None
    garbled: tuple[tuple[str, str], ...] = ()
    rigid: bool = True


NOTHING = Record()


def record_of(line: str) -> Record:
    """The record that a clean line holds; `NOTHING` if it holds none.

    >>> [(f.name, f.value) for f in record_of("Epoch 3: D loss: 0.63, D(G(z)): 0.4 / 0.1").fields]
    [('Epoch', 3.0), ('D loss', 0.63), ('D(G(z)).1', 0.4), ('D(G(z)).2', 0.1)]
    """
    if not _may_hold_numbers(line):
        return NOTHING
    bar = None
    if "/" in line and ("%|" in line or "[" in line or "━" in line):
        line, bar = _without_bar(line)
    stamp = _STAMP.search(line, 0, _STAMP_WITHIN)
    work = line
    if stamp is not None:
        work = line[: stamp.start()] + "\t" * (stamp.end() - stamp.start()) + line[stamp.end() :]
    if _MAYBE_NOISE.search(work) is not None:
        work = _NOISE.sub(lambda found: "\t" * len(found[0]), work)
    if "(" in work and "=" in work:
        work = _without_calls(work)
    found = _Reading(work)
    found.read()
    return Record(
        tuple(found.fields),
        found.label,
        None if stamp is None else _seconds(stamp[0]),
        None if stamp is None else stamp.span(),
        bar,
        tuple(found.garbled),
        found.rigid and bar is None,
    )


def _may_hold_numbers(line: str) -> bool:
    return _DIGIT.search(line) is not None or (_LETTERS_NUMBER.search(line) is not None)


class _Reading:
    """The state of reading one line: what was found, and which stretches of it are used up."""

    def __init__(self, work: str) -> None:
        self.work = work
        self.fields: list[Field] = []
        self.names: set[str] = set()
        self.used: list[tuple[int, int]] = []
        self.garbled: list[tuple[str, str]] = []
        self.label = ""
        self.prefix = ""
        self.rigid = True

    def read(self) -> None:
        front = self._front()
        self._counters()
        self._pairs()
        if any(not is_counter(field.name) for field in self.fields) or not self.fields:
            self._nameless_front(front)
        self._signless()
        if not self.fields:
            self._nameless_list()
        self.fields.sort(key=lambda field: field.start)

    def add(self, name: str, text: str, start: int, end: int, percent: bool = False) -> None:
        """Take a number. A counter that the line names twice is taken once."""
        value = to_number(text + "%" if percent else text)
        if value is None or len(self.fields) >= _MOST_FIELDS:
            return
        if is_counter(name) and _whole(text):
            if name in self.names:
                return
        else:
            name = self.prefix + name
            repeated = 0
            while name in self.names:
                repeated += 1
                stem = name if repeated == 1 else name.rpartition(".")[0]
                name = f"{stem}.{repeated}"
        self.names.add(name)
        if self.work[end : end + 1] == "," and self.work[end + 1 : end + 2].isdigit():
            self.rigid = False  # 10,20 is two numbers, 10,200 may be one
        self.fields.append(Field(name, value, start, end))

    def _front(self) -> int:
        """Read a label or the part of the data at the line's front; where the rest begins."""
        label = _LABEL.match(self.work)
        if label is not None and not _COUNTER.search(label[0]):
            text = label["label"].strip()
            if text.lower() not in _LEVEL:
                self.label = text
                self.rigid = self.rigid and not any(map(str.isdigit, text))
            return label.end()
        part = _PART.match(self.work)
        if part is not None:
            self.prefix = part["part"] + "/"
            return part.end() - 1
        return 0

    def _pairs(self) -> None:
        """Every `key sign number`."""
        work, position = self.work, 0
        counters = iter([end for _, end in self.used])
        counter = next(counters, len(work) + 1)
        for sign in _SIGN.finditer(work):
            while counter <= sign.start():
                position, counter = max(position, counter), next(counters, len(work) + 1)
            if sign.start() < position:
                continue
            if len(self.fields) >= _MOST_FIELDS:
                return
            key = key_of(work[max(position, sign.start() - LONGEST_KEY - 20) : sign.start()])
            value = _VALUE.match(work, sign.end())
            if value is not None and not _NO_END.match(work, value.end()):
                position = self._value(key, value) if key else value.end()
            elif key and (grouped := _GROUPED.match(work, sign.end())) and self._is_grouped(key, grouped):
                self.rigid = False
                self.add(key, grouped[0].replace(",", ""), *grouped.span())
                position = grouped.end()
            else:
                position = max(position, self._no_number(key, sign.end()))
                continue
            self.used.append((max(0, sign.start() - len(key)), position))

    def _is_grouped(self, key: str, number: re.Match[str]) -> bool:
        """Whether `1,200` is one number: only of a counter, or with decimals."""
        return is_counter(key) != bool(number["rest"])

    def _no_number(self, key: str, start: int) -> int:
        """Keep in mind what stands in the place of a number, if it looks like one; where it ends."""
        token = _TOKEN_END.split(self.work[start : start + 40], maxsplit=1)[0]
        if token.lower() in MISSING or not _LIKE_NUMBER.match(token):
            return 0
        if key:
            self.garbled.append((key, token))
        return start + len(token)

    def _value(self, key: str, value: re.Match[str]) -> int:
        """Take the number or numbers of a key; where the rest begins."""
        start, end = value.span("number")
        after = value.end()
        if is_counter(key) and _whole(value["number"]):
            self.add(key, value["number"], start, end)
            return self._length(key, after)
        opened = value["open"]
        if "[" in opened or opened.endswith("("):
            rest = self._list(key, value)
            if rest is not None:
                return rest
        second = _SECOND.match(self.work, after)
        if second is not None:
            self.rigid = self.rigid and "." in value["number"] + second["number"]
            if "." in value["number"] or "." in second["number"]:
                self.add(key + ".1", value["number"], start, end)
                self.add(key + ".2", second["number"], *second.span("number"))
                return second.end()
            after = second.end()  # 8 / 8: a count and its whole
        self.add(key, value["number"], start, end, percent=value["percent"] is not None)
        wrapped = _WRAP_END.match(self.work, after) if opened.strip() else None
        return after if wrapped is None else wrapped.end()

    def _list(self, key: str, value: re.Match[str]) -> int | None:
        """`[a, b]` and `(a, b)`; None if there is one number only."""
        numbers = [value.span("number")]
        after = value.end("number")
        while (item := _NEXT.match(self.work, after)) is not None:
            numbers.append(item.span("number"))
            after = item.end()
        if len(numbers) == 1 or _LIST_END.match(self.work, after, after + 8) is None:
            return None
        if len(numbers) <= _LONGEST_LIST:
            texts = [self.work[start:end] for start, end in numbers]
            names = list_names(key, texts) or [f"{key}.{place}" for place in range(1, len(texts) + 1)]
            for name, text, span in zip(names, texts, numbers, strict=True):
                self.add(name, text, *span)
        return after

    def _length(self, key: str, after: int) -> int:
        """What follows a counter: its range (`3/200`), and a count within it (`[0][10/1000]`)."""
        length = _RANGE.match(self.work, after)
        if length is not None:
            self.add(length_of(key), length["length"], *length.span("length"))
            after = length.end()
        within = _WITHIN.match(self.work, after)
        if within is not None and plain(key).endswith("epoch"):
            self.add("batch", within["count"], *within.span("count"))
            self.add(length_of("batch"), within["length"], *within.span("length"))
            after = within.end()
        return after

    def _counters(self) -> None:
        """Counters without a sign: `Epoch 3`, `[Batch 3/938]`, `Epoch [1/5]`, `Iter-1000`."""
        for found in _COUNTER_BEHIND.finditer(self.work):
            self.add(found["name"], found["number"], *found.span("number"))
            self.used.append(found.span())
        after = 0
        for found in _COUNTER.finditer(self.work):
            start, end = found.span("number")
            if start >= after and len(self.fields) < _MOST_FIELDS:
                self.add(found["name"], found["number"], start, end)
                after = self._length(found["name"], end)
                self.used.append((found.start(), after))
        self.used.sort()

    def _nameless_front(self, front: int) -> None:
        """Counters at the line's front that have no name: `[3/25][10/1583]`, `>3, 10/468,`."""
        blank = _BLANK.match(self.work, front)
        front = blank.end() if blank is not None else front
        if self._is_used(front) or any(is_counter(field.name) for field in self.fields):
            return
        for pattern, names in _FRONTS:
            found = pattern.match(self.work, front)
            if found is None:
                continue
            if not self.fields and not _FIELD.search(self.work, found.end()):
                return
            for group, name in enumerate(names, start=1):
                called = length_of(name[1:]) if name.startswith("/") else name
                self.add(called, found[group], *found.span(group))
            self.used.append(found.span())
            return

    def _signless(self) -> None:
        """Numbers after a name and a blank, where the line begins with a counter or the name says loss."""
        begins = bool(_COUNTER.match(self.work.lstrip("\t -=>[(*"))) or bool(
            self.fields and is_counter(min(self.fields, key=lambda f: f.start).name)
        )
        bracketed: list[tuple[str, str, int, int]] = []
        for start, end in self._unused():
            if _BLANK_NUMBER.search(self.work, start, end) is None:
                continue
            place = start
            for piece in _pieces(self.work[start:end]):
                self._fields_of(piece, place, begins)
                found = _IN_PARENTHESES.fullmatch(piece)
                if found is not None and "." in found["number"]:
                    span = found.span("number")
                    bracketed.append((found["name"], found["number"], place + span[0], place + span[1]))
                place += len(piece) + 1
        if len(bracketed) >= 2:  # CTGAN: Gen. (-00.42) | Discrim. (-00.41)
            for name, text, start, end in bracketed:
                self.add(name, text, start, end)

    def _fields_of(self, piece: str, place: int, begins: bool) -> None:
        matches = []
        after = len(piece) - len(piece.lstrip())
        while (found := _FIELD.match(piece, after)) is not None:
            matches.append(found)
            after = found.end()
        if not matches or after < len(piece):
            return
        if not (begins or any("loss" in found["name"].lower() for found in matches)):
            return
        for found in matches:
            if not set(found["name"].lower().split()) & _PROSE:
                span = found.span("number")
                self.add(found["name"], found["number"], place + span[0], place + span[1])

    def _nameless_list(self) -> None:
        """A list of numbers and nothing else, whose places are known: `[2.3, 2.6, 13.9, 0, 0.0001]`."""
        found = _NAMELESS.search(self.work)
        if found is None:
            return
        numbers = list(re.finditer(NUMBER, found["list"]))
        names = list_names("", [number[0] for number in numbers])
        for name, number in zip(names, numbers, strict=False):
            start = found.start("list") + number.start()
            self.add(name, number[0], start, start + len(number[0]))
        self.rigid = False  # one of the places must be a whole number

    def _is_used(self, position: int) -> bool:
        return any(start <= position < end for start, end in self.used)

    def _unused(self) -> list[tuple[int, int]]:
        gaps, position = [], 0
        for start, end in sorted(self.used):
            if start > position:
                gaps.append((position, start))
            position = max(position, end)
        return [*gaps, (position, len(self.work))]


def key_of(before: str) -> str:
    """The key at the end of the text before a sign; "" if there is none.

    >>> key_of("0.63] [G loss "), key_of("(epoch"), key_of(") D(G(z))"), key_of(", time (data)")
    ('G loss', 'epoch', 'D(G(z))', 'time (data)')
    """
    text = before.rstrip(" \t\"'*`")
    unit = _AFTER_NUMBER.match(text)
    text = _CUT.split(text[unit.end() :] if unit is not None else text)[-1]
    if text.count("(") != text.count(")"):
        text = (
            text[text.rfind("(") + 1 :] if text.count("(") > text.count(")") else text[text.find(")") + 1 :]
        )
    front = _FRONT_OF_KEY.match(text)
    if front is not None:
        text = text[front.end() :]
    text = text.strip().rstrip("-*#>").strip()
    text = _LEVEL_FRONT.sub("", text)
    if len(text) > LONGEST_KEY or not _LETTER.search(text) or text.count(" ") >= _MOST_WORDS:
        return ""
    return "" if text.lower() in _LEVEL else text


def _pieces(text: str) -> list[str]:
    """Text between delimiters, each delimiter one character: places can be counted on."""
    near = _NEAR_NUMBER.sub(lambda found: " " * len(found[0]), text)
    wide = _WIDE.sub(lambda found: "\t" * len(found[0]), near)
    return re.split(r"[\t,|;\[\]]", wide)


def _whole(text: str) -> bool:
    """Whether a number is written as one that counts: `3`, `308.0`; not `0.5e3` or `-1`."""
    return _WHOLE.fullmatch(text) is not None


def running_bar(line: str) -> Bar | None:
    """The bar of Keras that a line begins with: `10/469 [>....] - ETA: 9s - loss: 0.6`."""
    found = _KERAS_BAR.match(line)
    if found is None:
        return None
    length = int(found["length"][:15]) if found["length"].isdigit() else 0
    return Bar(int(found["count"][:15]), length, running=True)


def _without_bar(line: str) -> tuple[str, Bar | None]:
    """The numbers beside a progress bar, and the bar."""
    keras = running_bar(line)
    if keras is not None:
        return _KERAS_BAR.sub("", line), keras
    found = _TQDM.fullmatch(line) if "%|" in line else _TQDM_OPEN.fullmatch(line) if "[" in line else None
    if found is None:
        return line, None
    values = _TQDM_SPEED.sub("", found["after"])
    count, length = (found[name][:15] if found[name].isdigit() else "" for name in ("count", "length"))
    place = f", it: {count}{'/' if length else ''}{length}" if count else ""
    text = f"{found['before'].rstrip(': ')}{place}, {values.lstrip(', ')} {found['tail']}"
    return text, Bar(int(count or 0), int(length or 0), running=False)


def _without_calls(work: str) -> str:
    """Blank `Adam(lr=0.1)`, `Namespace(…)`: what is printed of an object is no record."""
    pieces, position = [], 0
    for call in islice(_CALL.finditer(work), _MOST_CALLS):
        if call.start() < position:
            continue
        name = call[0].rpartition(".")[2] if "." in call[0] else call[0]
        end = _closing(work, call.end() - 1)
        if name.startswith(("Tensor", "EagerTensor", "Variable", "Array", "DeviceArray")):
            continue
        if not (name[0].isupper() and any(map(str.islower, name)) and "=" in work[call.end() : end]):
            continue
        pieces += [work[position : call.start()], "\t" * (end - call.start())]
        position = end
    return "".join(pieces) + work[position:]


def _closing(text: str, start: int) -> int:
    """The place after the bracket that closes the one at `start`, or the end of the text."""
    depth = 0
    for found in re.finditer(r"[()]", text[start:]):
        depth += 1 if found[0] == "(" else -1
        if depth == 0:
            return start + found.end()
    return len(text)


def _seconds(stamp: str) -> float | None:
    date, _, time = stamp.replace("/", "-").replace("T", " ").replace("_", " ").partition(" ")
    year, month, day = date.split("-")
    hour, _, rest = time.strip().replace(",", ".").partition(":")
    try:
        when = datetime.fromisoformat(f"{year}-{month:>02}-{day:>02}T{hour:>02}:{rest[:15]}")
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
