"""What it takes to talk to Leshan: shared by `sync`, which drives it, and `debug`, which streams from it."""

from pathlib import Path


class Token:
    """The bearer token: given as text, or the first line of a file that is read again when it was refused."""

    def __init__(self, *, text: str = "", file: Path | None = None) -> None:
        """The text wins over the file; with neither, requests go without a token."""
        self._text = text
        self._file = None if text else file
        self._read: str | None = text or None

    def value(self) -> str:
        """The token, "" where there is none (no file, or an empty one)."""
        if self._read is None:
            self.refresh("")
        return self._read or ""

    def refresh(self, refused: str) -> bool:
        """Reads the file again; true where it now holds another token than the refused one."""
        if self._file is None:
            return False
        try:
            lines = self._file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            lines = []
        self._read = lines[0].strip() if lines else None
        return (self._read or "") != refused

    @property
    def source(self) -> str:
        """Where the token comes from, for messages."""
        return str(self._file) if self._file else "FLOWNEXUS_LESHAN_TOKEN"
