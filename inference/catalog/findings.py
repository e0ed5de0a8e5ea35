"""What is found wrong, or worth a word, while a catalogue is resolved: each told at its place in the file, once."""

from inference.yaml_source import Report, Spot, Trail, quoted
from inference.yaml_struct import Reader


class Findings:
    """The report of one file, by the paths at which its reader found things."""

    def __init__(self, report: Report, reader: Reader) -> None:
        """`reader` has read the file; the fields it left for later versions are worth a word each."""
        self._report = report
        self._reader = reader
        self._warnings = [
            (spot, f"{quoted(key)} has no effect in this version") for spot, key in reader.later
        ]
        self.hint = report.hint
        self.has = report.has
        self.touches = report.touches

    def wrong(self, path: Trail, *, found: str, expected: str, hint: str | None = None) -> None:
        """Report at a path, or at the nearest one above it that stands in the file; nothing where a slip at or
        below it is known."""
        if self.touches(path):
            return
        known = path
        while known not in self._reader.spots:
            known = known[:-1]
        self._report.add(self._reader.spots[known], path, found=found, expected=expected, hint=hint)

    def warn(self, path: Trail, words: str) -> None:
        """Say something of what stands at a path, without refusing the file."""
        self._warnings.append((self.spot(path), words))

    def spot(self, path: Trail) -> Spot:
        """Where a path stands in the file; its beginning for what is not written there."""
        return self._reader.spots.get(path, Spot(1, 1))

    def warnings(self) -> tuple[str, ...]:
        """All of them, in the order of the file."""
        return tuple(f"{self._report.file}:{spot.line}: {words}" for spot, words in sorted(self._warnings))
