"""The store of pictures in an object store: S3 and what speaks its protocol, Google's, Azure's.

An object is written by one request, whole or not at all, and only where there is none of that name: so no picture is
ever in another's place, whatever attempts of whatever database meet. It is there before its row is written and without
one if that fails, so a row without its object does not exist, and an object without its row is found as a leftover.
Until the row is written the picture lies on the worker's own disk, too, and so do small copies and what is read often.
"""

import io
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import count
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from obstore.exceptions import AlreadyExistsError, BaseError, NotModifiedError, PermissionDeniedError
from obstore.exceptions import UnauthenticatedError as NotLetInError
from obstore.store import from_url

from models.pictures.folder import FolderAside, FolderStore
from models.pictures.mark import read_mark
from models.pictures.names import NAME, PICTURES, batch_folder, picture_name, standing_name
from models.pictures.read_cache import ReadCache
from models.pictures.store import Aside, PictureStore, Use
from models.types.errors import NameTakenError, SettingsError, StorageError
from models.types.printable import printable

if TYPE_CHECKING:
    # Of its type stubs alone.
    from obstore.store import ClientConfig, RetryConfig

#: What an object says of which attempt made it.
_ATTEMPT = "attempt"
#: Of which nobody else's object can be called so.
_PROBE = ".nightshift-{}"
#: What a request may take; who asks tries again. A picture is some 0.5 MB.
_CLIENT: "ClientConfig" = {
    "connect_timeout": "5s",
    "timeout": "30s",
    # Where a person names such an endpoint; the providers' own are of TLS.
    "allow_http": True,
}
_RETRIES: "RetryConfig" = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}
#: From how many names of a batch on a list is asked for, in place of each of them.
_MANY = 5
#: What follows a question mark in a URL may be a key; and what a library says of each request.
_QUERY = re.compile(r"\?\S+")
_REQUEST = re.compile(r"Error performing [A-Z]+ \S+ in [^,\s]+(, after \d+ retries, [^-]*)?(\s*-\s*)?")
_LONGEST_REASON = 200
_NO_BUCKET = "there is no such bucket: make it, or correct NIGHTSHIFT_PICTURES_URL"


class ObjectStore(PictureStore):
    """The pictures below a URL such as s3://bucket/prefix, and a worker's or a person's own folder beside it."""

    def __init__(self, url: str, data_dir: Path, cache_bytes: int) -> None:
        """Open it; nothing is asked of it yet. Keys come from the variables that each provider's own programs read.

        Raises:
            SettingsError: the URL cannot be read.
        """
        self._url = url.rstrip("/")
        try:
            self._store = from_url(self._url, client_options=_CLIENT, retry_config=_RETRIES)
        except (BaseError, ValueError) as error:
            raise SettingsError(f"NIGHTSHIFT_PICTURES_URL={_QUERY.sub('', url)}: {_reason(error)}") from None
        self._local = FolderStore(data_dir)
        self._cache = ReadCache(data_dir / "cache" / PICTURES, cache_bytes)

    def check(self) -> None:
        """See that a second object of a name is refused, which some stores do not.

        Raises:
            StorageError: the store is away, or does not let us in.
            SettingsError: it takes the place of an object that is there.
        """
        probe = _PROBE.format(uuid.uuid4().hex)
        with self._explained(probe, _NO_BUCKET):
            self._store.put(probe, b"first", mode="create")
            try:
                self._store.put(probe, b"second", mode="create")
            except AlreadyExistsError:
                return
            finally:
                self._store.delete(probe)
        raise SettingsError(
            f"NIGHTSHIFT_PICTURES_URL={self._shown('')}: the store puts one object in another's place though it was "
            "asked not to (If-None-Match), so pictures would not be safe there: use one that does as it is asked"
        )

    def free_name(self, batch_id: int, job_id: int, mark: str) -> str:
        """Return the first name under which there is nothing: an earlier attempt may still take its own away."""
        names = (picture_name(batch_id, job_id, number=number) for number in count(1))
        return next(name for name in names if not any(map(self._head, _both(name))))

    def has(self, piece: str) -> bool:
        """Ask for it, under either name."""
        return any(map(self._head, _both(piece))) if NAME.fullmatch(piece) else self._local.has(piece)

    def read(self, name: str) -> bytes:
        """Return the object, from this disk where it is still the same.

        Raises:
            StorageError: if it is not there, or cannot be read.
        """
        for each in _both(_checked(name)):
            with suppress(FileNotFoundError), self._explained(each):
                return self._read(each)
        raise StorageError(f"{self._shown(name)} is not there: bring it back")

    def _read(self, name: str) -> bytes:
        tag, kept = self._cache.find(name)
        try:
            got = self._store.get(name, options={"if_none_match": tag} if tag else None)
            content = bytes(got.bytes())
        except NotModifiedError:
            return kept
        self._cache.keep(name, got.meta["e_tag"], content)
        return content

    def move(self, name: str, to: str) -> None:
        """Write the picture under its other name, and then take it away under its own.

        Raises:
            StorageError: if it is under neither name, or cannot be written.
        """
        name, to = _checked(name), _checked(to)
        if name == to or (self._head(to) and not self._head(name)):
            return
        with self._explained(name, "it is not there: bring it back"):
            got = self._store.get(name)
            self._create(to, bytes(got.bytes()), str(got.attributes.get(_ATTEMPT, "")))
            self._store.delete(name)

    def names(self, batch_id: int) -> set[str]:
        """Return what a list has, rejected ones as well."""
        return {found["path"] for found in self._list(batch_folder(batch_id))}

    def aside(self, name: str, attempt_id: int) -> "ObjectAside":
        """Return the place on this disk where an attempt keeps the picture until its row is written."""
        return ObjectAside(self, self._local.aside(name, attempt_id), standing_name(name, rejected=False), attempt_id)

    def asides(self) -> dict[int, Aside]:
        """Return those of this disk."""
        return {
            attempt_id: ObjectAside(self, local, local.path.relative_to(local.data_dir).as_posix(), attempt_id)
            for attempt_id, local in self._local.asides().items()
        }

    def pictures(self) -> Iterator[tuple[int, str]]:
        """Yield the objects that have names of pictures."""
        for found in self._list(PICTURES):
            if NAME.fullmatch(name := found["path"]):
                yield int(PurePosixPath(name).stem.split("-")[1]), name

    def present_name(self, name: str) -> str:
        """Return the first of its two names under which there is an object; its own where there is none."""
        return next(filter(self._head, _both(_checked(name))), name)

    def mark(self, name: str) -> str | None:
        """Read it from the object."""
        return read_mark(io.BytesIO(self.read(name)))

    def thumbnail(self, batch_id: int, job_id: int) -> str:
        """Return its path on this disk."""
        return self._local.thumbnail(batch_id, job_id)

    def thumbnails(self) -> list[str]:
        """Return those of this disk."""
        return self._local.thumbnails()

    def is_current(self, thumbnail: str, name: str) -> bool:
        """Compare the time of the file with the object's."""
        made_at = self._local.written_at(thumbnail)
        found = self._head(self.present_name(name)) if made_at is not None else None
        return found is not None and made_at is not None and made_at >= found["last_modified"].timestamp()

    def read_thumbnail(self, thumbnail: str) -> bytes:
        """Return the file."""
        return self._local.read_thumbnail(thumbnail)

    def write_thumbnail(self, thumbnail: str, content: bytes) -> None:
        """Write the file."""
        self._local.write_thumbnail(thumbnail, content)

    def use(self, pieces: Iterable[str]) -> Use:
        """Return what objects and files take; an object is nobody else's."""
        asked = list(pieces)
        names = [piece for piece in asked if NAME.fullmatch(piece)]
        files = self._local.use(piece for piece in asked if not NAME.fullmatch(piece))
        if len(names) > _MANY:
            folders = {str(PurePosixPath(standing_name(name, rejected=False)).parent) for name in names}
            sizes = {found["path"]: found["size"] for folder in folders for found in self._list(folder)}
        else:
            sizes = {each: found["size"] for name in names for each in _both(name) if (found := self._head(each))}
        there = [next((sizes[each] for each in _both(name) if each in sizes), None) for name in names]
        found_sizes = [size for size in there if size is not None]
        total = sum(found_sizes)
        return Use(files.files + len(found_sizes), files.size_bytes + total, files.freed_bytes + total)

    def remove(self, piece: str) -> None:
        """Remove the object, or the file."""
        if NAME.fullmatch(piece):
            self.remove_object(self.present_name(piece))
        else:
            self._local.remove(piece)

    def remove_object(self, name: str) -> None:
        """Remove the object of this very name.

        Raises:
            StorageError: if it cannot be removed.
        """
        with self._explained(name), suppress(FileNotFoundError):
            self._store.delete(name)

    def local_file(self, piece: str) -> Path | None:
        """Return the file of a small copy; an object has none."""
        return None if NAME.fullmatch(piece) else self._local.local_file(piece)

    def shown(self, name: str) -> str:
        """Return the object's URL."""
        return self._shown(self.present_name(name))

    def shown_folder(self, batch_id: int) -> str:
        """Return what the URLs of a batch's pictures begin with."""
        return self._shown(batch_folder(batch_id))

    def create(self, name: str, content: bytes, attempt_id: int) -> None:
        """Write an attempt's picture where there is nothing, or what an earlier try of the attempt has written.

        Raises:
            NameTakenError: another's is there.
            StorageError: it cannot be written.
        """
        # By the mark, too: databases count alike.
        attempt = f"{read_mark(io.BytesIO(content))}, attempt {attempt_id}"
        with self._explained(name, _NO_BUCKET):
            self._create(name, content, attempt)

    def _create(self, name: str, content: bytes, attempt: str) -> None:
        attributes = {"Content-Type": "image/png", _ATTEMPT: attempt}
        try:
            self._store.put(name, content, mode="create", attributes=attributes)
        except AlreadyExistsError:
            # An answer may have been lost.
            if self._store.get(name).attributes.get(_ATTEMPT) != attempt:
                raise NameTakenError(f"{self._shown(name)} is another's picture") from None

    def _head(self, name: str) -> Any:
        """Return what is known of an object, None where there is none."""
        with self._explained(name), suppress(FileNotFoundError):
            return self._store.head(name)
        return None

    def _list(self, folder: str) -> Iterator[Any]:
        with self._explained(folder):
            for found in self._store.list(folder):
                yield from found

    def _shown(self, name: str) -> str:
        return f"{_QUERY.sub('', self._url)}/{name}"

    @contextmanager
    def _explained(self, name: str, missing: str | None = None) -> Iterator[None]:
        """Turn what the library says into one line, and what is not there into `missing`, if that is said."""
        try:
            yield
        except (PermissionDeniedError, NotLetInError) as error:
            raise StorageError(
                f"{self._shown(name)}: the store does not let us in ({_reason(error)}): are its keys right, such as "
                "AWS_ACCESS_KEY_ID, and may they read, write, list and remove?"
            ) from error
        except FileNotFoundError as error:
            if missing is None:
                raise
            raise StorageError(f"{self._shown(name)}: {missing}") from error
        except (BaseError, OSError) as error:
            raise StorageError(
                f"{self._shown(name)} cannot be reached ({_reason(error)}): is the store up, and "
                "NIGHTSHIFT_PICTURES_URL right?"
            ) from error


class ObjectAside(Aside):
    """A picture on this disk, until its object is there and its row is written."""

    def __init__(self, store: ObjectStore, local: FolderAside, name: str, attempt_id: int) -> None:
        self._store = store
        self._local = local
        self._name = name
        self._attempt_id = attempt_id
        #: Under which name the object is, where it is there.
        self._written: str | None = None
        self._placed = False

    @property
    def pieces(self) -> list[str]:
        """Those of this disk."""
        return self._local.pieces

    @property
    def is_there(self) -> bool:
        """Whether the picture is on this disk."""
        return self._local.is_there

    def write(self, content: bytes) -> None:
        """Write it to this disk."""
        self._local.write(content)

    def prepare(self, *, rejected: bool = False) -> None:
        """Write the object, which takes a while."""
        name = standing_name(self._name, rejected=rejected)
        if self._written == name:
            return
        self._withdraw()
        self._store.create(name, self._local.read(), self._attempt_id)
        self._written = name

    @contextmanager
    def put_in_place(self, *, rejected: bool = False) -> Iterator[None]:
        """Leave the object where it is, unless the block fails."""
        self.prepare(rejected=rejected)
        try:
            yield
        except BaseException:
            self._withdraw()
            raise
        self._placed = True

    def read(self) -> bytes:
        """Return the picture from this disk."""
        return self._local.read()

    def write_note(self, content: bytes) -> None:
        """Write it to this disk."""
        self._local.write_note(content)

    def read_note(self) -> bytes:
        """Read it from this disk."""
        return self._local.read_note()

    def remove(self) -> None:
        """Remove what is on this disk, and an object of which no row was written."""
        if not self._placed:
            self._withdraw()
        self._local.remove()

    def _withdraw(self) -> None:
        """Take the object away: only this attempt can have written it. Else it is found as a leftover."""
        if self._written is not None:
            with suppress(StorageError):
                self._store.remove_object(self._written)
            self._written = None


def _both(name: str) -> tuple[str, str]:
    """Return a picture's name, and the one that it has where a move was cut short."""
    rejected = standing_name(name, rejected=True)
    return (name, standing_name(name, rejected=False)) if name == rejected else (name, rejected)


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise StorageError(f"{printable(name)} is no name of a picture: a row was changed by hand")
    return name


def _reason(error: BaseException) -> str:
    """Return what a library says in its first line, without what may be a key."""
    return _REQUEST.sub("", _QUERY.sub("", (str(error).splitlines() or ["no reason given"])[0]))[:_LONGEST_REASON]
