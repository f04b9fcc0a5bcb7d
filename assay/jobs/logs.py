"""The end of a process's output, for the error that it ended with."""

from __future__ import annotations

from pathlib import Path

from assay.foreign import cleaned, shortened

LINES_SHOWN = 15
TAIL_BYTES, CHARACTERS = 65_536, 1500


def log_tail(log: Path) -> str:
    """Return the last lines of a process's log, on one line; "" if somebody has removed it."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(log.stat().st_size - TAIL_BYTES, 0))
            return last_words(stream.read().decode(errors="replace"))
    except OSError:
        return ""


def last_words(text: str) -> str:
    """Return the last lines of what a process printed, on one line; a traceback is cut to its error."""
    lines = text.splitlines()
    said = (cleaned(line) for line in _without_traceback(lines)[-LINES_SHOWN:])
    return shortened(" | ".join(line for line in said if line), CHARACTERS)


def _without_traceback(lines: list[str]) -> list[str]:
    """Return the lines of a log with each traceback cut to its error; the log itself says where the error came from."""
    begins = [place for place, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if not begins:
        return lines
    after = next((place for place in range(begins[-1] + 1, len(lines)) if lines[place][:1].strip()), len(lines))
    return [line for line in lines[: begins[0]] if line[:1].strip()] + lines[after:]
