"""Where the index of a store lies: in its folder, or where that is not to be had, below the user's cache."""

from __future__ import annotations

import os


def index_folder(local_path: str | None, store_id: str) -> str:
    """Where the index is kept: beside a local store, else in the user's cache, else in a temporary folder."""
    if local_path is not None:
        beside = os.path.join(local_path, "index")
        if os.access(beside if os.path.isdir(beside) else local_path, os.W_OK | os.X_OK) and _is_usable(beside):
            return beside
    cache = cache_folder(store_id)
    try:
        os.makedirs(cache, exist_ok=True)
        if os.access(cache, os.W_OK | os.X_OK):
            return os.path.join(cache, "index")
    except OSError:
        pass
    import tempfile

    return tempfile.mkdtemp(prefix="casstore-index-")


def _is_usable(folder: str) -> bool:
    """Whether no file of it shuts us out: that of another user whose umask left nothing for us."""
    try:
        with open(os.path.join(folder, "current"), encoding="ascii") as file:
            generation = file.read(40)
    except (FileNotFoundError, UnicodeDecodeError):
        generation = ""
    except OSError:
        return False
    if not generation.removeprefix("g-").isalnum():
        generation = ""  # none, or spoilt: it is made anew
    inside = (os.path.join(folder, generation, name) for name in ("data.mdb", "lock.mdb", "mark") if generation)
    paths = (os.path.join(folder, "lock"), *inside)
    return all(os.access(path, os.R_OK | os.W_OK) for path in paths if os.path.exists(path))


def cache_folder(store_id: str) -> str:
    """The user's cache for one store; not made here."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "casstore", store_id)
