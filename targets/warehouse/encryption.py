"""The keys that credentials are encrypted with: where they come from, and what is done with them.

`Fernet` of the cryptography library is used: AES-128-CBC and HMAC-SHA256, so that what was changed,
or sealed with another key, does not open. Of several keys the first encrypts and all open.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from warehouse.command import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KEYS", "KEY_FILE", "EncryptionError", "KeyMissing", "Keys", "fingerprint"]

KEYS: Final = "WAREHOUSE_ENCRYPTION_KEY"
KEY_FILE: Final = "WAREHOUSE_ENCRYPTION_KEY_FILE"
_DEFAULT_FILE: Final = Path(".warehouse", "encryption.key")
_HOW: Final = (
    "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
)
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class EncryptionError(Refusal):
    """There is no key, or not the right one; the message says what to do and never has a key."""


class KeyMissing(EncryptionError):
    """No key is set, and its file does not exist."""


@dataclass(frozen=True)
class Keys:
    """The keys in effect, the one that encrypts first.

    Attributes:
        keys: Each 32 bytes in URL-safe base64; never shown.
        origin: The variable or file they are from, for messages.
        file: The file they are from, None where a variable has them.
    """

    keys: tuple[str, ...]
    origin: str
    file: Path | None = None

    def __repr__(self) -> str:
        return f"Keys({len(self.keys)} of {self.origin})"

    @classmethod
    def load(cls, variables: Mapping[str, str], project: Path) -> Keys:
        """Return the keys of the variable, else those of the file.

        Raises:
            KeyMissing: There is neither.
            EncryptionError: They are no keys, or other users may read the file.
        """
        if text := variables.get(KEYS):
            return cls._parsed(text.split(","), KEYS)
        path = key_file(variables, project)
        try:
            status, text = path.stat(), path.read_text()
        except FileNotFoundError:
            raise KeyMissing(
                f"There is no encryption key: set {KEYS}, or make one with `warehouse credentials"
                f" init`, which writes {path}. What was encrypted with a key needs that key."
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise EncryptionError(
                f"The key file {path} cannot be read ({type(error).__name__})."
            ) from None
        if status.st_uid == os.getuid() and status.st_mode & _OTHERS:
            raise EncryptionError(f"Other users may read the key file; run: chmod 600 {path}")
        return replace(cls._parsed(text.split(), str(path)), file=path)

    @classmethod
    def create(cls, variables: Mapping[str, str], project: Path) -> Keys:
        """Make a key and its file, which only its owner may read.

        Raises:
            EncryptionError: The file exists, would be in git, or cannot be written.
        """
        path = key_file(variables, project)
        if path.exists():
            raise EncryptionError(f"There is a key already: {path}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EncryptionError(
                f"{path.parent} cannot be made ({type(error).__name__})."
            ) from None
        if _would_be_committed(path):
            raise EncryptionError(
                f"{path} would be in git. Add it to .gitignore, or name another place in"
                f" {KEY_FILE}."
            )
        made = cls((Fernet.generate_key().decode(),), str(path), path)
        made.write()
        return made

    def write(self) -> None:
        """Write the file anew, whole or not at all.

        Raises:
            EncryptionError: It cannot be written.
        """
        if self.file is None:
            raise EncryptionError(f"The keys are in the variable {KEYS}; change them there.")
        try:
            number, name = tempfile.mkstemp(dir=self.file.parent, prefix=self.file.name)
            with os.fdopen(number, "w") as file:  # which mkstemp made with mode 0600
                file.write("\n".join([*self.keys, ""]))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.file)
        except OSError as error:
            raise EncryptionError(
                f"The key file {self.file} cannot be written ({type(error).__name__})."
            ) from None

    def with_new(self) -> Keys:
        """Return keys of which a new one encrypts, and these still open."""
        return replace(self, keys=(Fernet.generate_key().decode(), *self.keys))

    def newest(self) -> Keys:
        """Return only the key that encrypts."""
        return replace(self, keys=self.keys[:1])

    def seal(self, text: str) -> str:
        """Encrypt a text."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Decrypt what `seal` gave.

        Raises:
            EncryptionError: No key opens it, or it was changed.
        """
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise EncryptionError(
                f"The key of {self.origin} does not open what is stored: it was encrypted with"
                " another key, or changed. Set the key that it was encrypted with"
                f" ({KEYS}=<new>,<old> takes several)."
            ) from None

    @classmethod
    def _parsed(cls, texts: list[str], origin: str) -> Keys:
        keys = cls(tuple(filter(None, map(str.strip, texts))), origin)
        try:
            if keys.keys:
                _ = keys._fernet
                return keys
        except ValueError:
            pass
        raise EncryptionError(
            f"{origin} has no usable key: each is 32 bytes in URL-safe base64, as made by {_HOW}"
        )

    @property
    def _fernet(self) -> MultiFernet:
        return MultiFernet([Fernet(key) for key in self.keys])


def key_file(variables: Mapping[str, str], project: Path) -> Path:
    """Return where the key file is; relative to the project."""
    return project / Path(variables.get(KEY_FILE) or _DEFAULT_FILE).expanduser()


def fingerprint(salt: str, text: str) -> str:
    """Return eight characters that tell whether a text changed, and nothing else about it.

    Args:
        salt: Random and as secret as the text, or short texts could be found by trying.
        text: What it stands for.
    """
    return hmac.new(salt.encode(), text.encode(), hashlib.sha256).hexdigest()[:8]


def _would_be_committed(path: Path) -> bool:
    """Whether git looks at that folder and would take the file."""
    git = shutil.which("git")
    if git is None:
        return False

    def says(*arguments: str) -> int:
        line = [git, "-C", str(path.parent), *arguments]
        return subprocess.run(line, check=False, capture_output=True).returncode  # noqa: S603

    return not says("rev-parse", "--is-inside-work-tree") and bool(
        says("check-ignore", "--quiet", str(path))
    )
