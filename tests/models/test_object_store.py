"""Pictures in an object store: whole or not at all, never in another's place, and no worse than in a folder."""

import io
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from s3_server import KEYS

from models.pictures.folder import FolderStore
from models.pictures.mark import KEY, picture_mark
from models.pictures.names import picture_name, standing_name
from models.pictures.objects import ObjectStore
from models.pictures.opening import open_store
from models.pictures.read_cache import ReadCache
from models.types.errors import NameTakenError, SettingsError, StorageError

CACHE = 10**6


@pytest.fixture
def objects(s3, tmp_path, monkeypatch):
    place = s3.place()
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)
    return ObjectStore(place["NIGHTSHIFT_PICTURES_URL"], tmp_path, CACHE)


@pytest.fixture(params=["folder", "objects"])
def store(request, tmp_path):
    """Give a store of each kind in turn."""
    return FolderStore(tmp_path) if request.param == "folder" else request.getfixturevalue("objects")


def png(job=5, colour="red", batch="b" * 32):
    info, written = PngInfo(), io.BytesIO()
    info.add_text(KEY, picture_mark(batch, job))
    Image.new("RGB", (8, 8), colour).save(written, "PNG", pnginfo=info)
    return written.getvalue()


def put(store, content, job=5, attempt=7, *, rejected=False):
    name = picture_name(1, job)
    aside = store.aside(name, attempt)
    aside.write(content)
    with aside.put_in_place(rejected=rejected):
        pass
    aside.remove()
    return standing_name(name, rejected=rejected)


def everything(store):
    return sorted(name for _, name in store.pictures())


def test_a_picture_is_read_back_under_its_name(store):
    name, content = picture_name(1, 5), png()
    assert not store.has(name)
    assert put(store, content) == name
    assert store.has(name)
    assert store.read(name) == store.read(name) == content
    assert store.names(1) == {name}
    assert everything(store) == [name]
    assert store.mark(name) == picture_mark("b" * 32, 5)
    assert store.present_name(name) == name
    assert (use := store.use([name])).files == 1
    assert use.size_bytes == use.freed_bytes == len(content)
    assert store.asides() == {}


def test_a_rejected_one_lies_apart_and_is_moved_when_it_is_accepted_after_all(store):
    name = put(store, png(), rejected=True)
    assert name == picture_name(1, 5, rejected=True)
    assert everything(store) == [name]
    store.move(name, picture_name(1, 5))
    assert everything(store) == [picture_name(1, 5)]
    # Again, since the last try may have been cut short.
    store.move(name, picture_name(1, 5))
    assert store.read(name) == store.read(picture_name(1, 5)) == png()


def test_where_the_block_fails_there_is_no_picture_and_it_lies_aside(store):
    name = picture_name(1, 5)
    aside = store.aside(name, 7)
    aside.write(png())
    aside.prepare()
    with pytest.raises(ZeroDivisionError), aside.put_in_place():
        raise ZeroDivisionError
    assert everything(store) == []
    assert aside.is_there
    assert [attempt for attempt, found in store.asides().items() if found.is_there] == [7]
    with aside.put_in_place():
        pass
    assert store.read(name) == png()


def test_an_attempt_that_comes_to_nothing_leaves_nothing(store):
    aside = store.aside(picture_name(1, 5), 7)
    aside.write(png())
    aside.prepare()
    aside.remove()
    assert everything(store) == []
    assert store.asides() == {}


def test_what_is_gone_is_one_line(store):
    name = put(store, png())
    store.remove(name)
    with pytest.raises(StorageError, match=r"job-00000005\.png"):
        store.move(name, picture_name(1, 5, rejected=True))
    store.remove(name)
    assert not store.has(name)
    assert store.use([name]).files == 0
    with pytest.raises(StorageError, match=r"job-00000005\.png.*bring it back") as caught:
        store.read(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../secret", "pictures/../../secret.png", "pictures/batch-0001/other.png"])
def test_no_row_reaches_another_object(store, name):
    for call in (store.read, store.present_name, store.remove):
        with pytest.raises(StorageError, match="is no name of a picture: a row was changed by hand"):
            call(name)


def test_a_name_that_is_taken_is_not_given_again(store):
    first = put(store, png(batch="a" * 32))
    assert store.free_name(1, 5, picture_mark("b" * 32, 5)) == picture_name(1, 5, number=2)
    put(store, png(6, batch="a" * 32), job=6, rejected=True)
    assert store.free_name(1, 6, picture_mark("b" * 32, 6)) == picture_name(1, 6, number=2)
    assert store.read(first) == png(batch="a" * 32)


def test_an_object_never_takes_anothers_place(objects):
    """Of a job of another database, and of an attempt that was thought to be gone, with the same pixels or others."""
    name = put(objects, png(), attempt=7)
    for content, attempt in ((png(batch="a" * 32), 7), (png(), 8), (png(colour="blue"), 8)):
        aside = objects.aside(name, attempt)
        aside.write(content)
        with pytest.raises(NameTakenError, match=r"job-00000005\.png is another's picture"):
            aside.prepare()
        aside.remove()
        assert objects.read(name) == png()


def test_an_answer_that_was_lost_is_no_other_picture(objects):
    for _ in range(2):
        put(objects, png(), attempt=7)
    assert objects.read(picture_name(1, 5)) == png()


def test_one_that_fails_late_leaves_another_attempts_object_alone(objects):
    late = objects.aside(picture_name(1, 5), 7)
    late.write(png())
    late.prepare()
    name = objects.free_name(1, 5, "")
    other = objects.aside(name, 8)
    other.write(png(colour="blue"))
    with other.put_in_place():
        pass
    with pytest.raises(ZeroDivisionError), late.put_in_place():
        raise ZeroDivisionError
    late.remove()
    assert everything(objects) == [picture_name(1, 5, number=2)]


def test_what_is_rejected_after_it_was_written_is_under_one_name(objects):
    aside = objects.aside(picture_name(1, 5), 7)
    aside.write(png())
    aside.prepare()
    with aside.put_in_place(rejected=True):
        pass
    aside.remove()
    assert everything(objects) == [picture_name(1, 5, rejected=True)]


def test_a_move_that_was_cut_short_is_found_under_either_name(objects):
    name, other = put(objects, png()), picture_name(1, 5, rejected=True)
    objects.create(other, png(), 7)
    assert objects.read(name) == objects.read(other) == png()
    objects.move(name, other)
    assert everything(objects) == [other]
    assert objects.present_name(name) == other
    assert objects.shown(name).endswith(f"/{other}")


def test_many_are_listed_and_few_are_asked_for(objects):
    names = [put(objects, png(job), job=job, attempt=job, rejected=job % 2 == 0) for job in range(1, 9)]
    assert everything(objects) == sorted(names)
    for asked in (names[:2], names):
        use = objects.use([*asked, picture_name(1, 99)])
        assert use.files == len(asked)
        assert use.size_bytes == sum(len(objects.read(name)) for name in asked)


def test_small_copies_are_files_of_this_machine_and_follow_the_object(objects):
    name, thumbnail = put(objects, png()), objects.thumbnail(1, 5)
    assert not objects.is_current(thumbnail, name)
    objects.write_thumbnail(thumbnail, b"small")
    assert objects.local_file(thumbnail).read_bytes() == objects.read_thumbnail(thumbnail) == b"small"
    assert objects.local_file(name) is None
    assert objects.is_current(thumbnail, name)
    objects.remove(name)
    assert not objects.is_current(thumbnail, name)


def test_what_was_read_is_not_fetched_again_unless_it_changed(objects, s3, monkeypatch):
    name = put(objects, png())
    objects.read(name)
    kept = []
    monkeypatch.setattr(ReadCache, "keep", lambda *what: kept.append(what))
    assert objects.read(name) == png()
    assert kept == []
    bucket, _, key = objects.shown(name).removeprefix("s3://").partition("/")
    s3.client.put_object(Bucket=bucket, Key=key, Body=b"other")
    assert objects.read(name) == b"other"
    assert len(kept) == 1


def test_what_is_kept_is_bounded_and_the_oldest_goes_first(tmp_path):
    cache = ReadCache(tmp_path, 250)
    for number in range(3):
        cache.keep(f"name-{number}", f'"tag {number}"', bytes(100))
    assert [cache.find(f"name-{number}") for number in range(3)] == [
        (None, b""),
        ('"tag 1"', bytes(100)),
        ('"tag 2"', bytes(100)),
    ]
    cache.keep("name-1", '"new"', b"n")
    assert cache.find("name-1") == ('"new"', b"n")
    cache.keep("large", '"tag"', bytes(300))
    cache.keep("without a tag", None, b"x")
    assert (cache.find("large"), cache.find("without a tag")) == ((None, b""), (None, b""))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 250


def one_line(call):
    with pytest.raises(StorageError) as caught:
        call()
    said = str(caught.value)
    assert "\n" not in said
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in said
    return said


def test_a_store_that_is_away_is_one_line_and_nothing_is_lost(objects, s3):
    name = picture_name(1, 5)
    aside = objects.aside(name, 7)
    aside.write(png())
    with s3.away():
        for call in (aside.prepare, objects.check, lambda: objects.free_name(1, 5, ""), lambda: objects.names(1)):
            said = one_line(call)
            assert "cannot be reached (Generic S3 error: " in said
            assert ": error sending request): is the store up" in said
            assert " - " not in said
        assert aside.is_there
    with aside.put_in_place():
        pass
    assert objects.read(name) == png()


def test_a_store_that_does_not_let_us_in_says_so(tmp_path, monkeypatch):
    class Refusing(BaseHTTPRequestHandler):
        def do_PUT(self):
            self.send_response(403)
            self.end_headers()
            self.wfile.write(b"<Error><Code>AccessDenied</Code></Error>")

        def log_message(self, *what):
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
        for name, value in (KEYS | there).items():
            monkeypatch.setenv(name, value)
        store = ObjectStore("s3://bucket", tmp_path, CACHE)
        assert "the store does not let us in" in one_line(store.check)
        server.shutdown()


def test_a_bucket_that_is_not_there_is_named(objects, tmp_path):
    said = one_line(ObjectStore("s3://absent/night", tmp_path, CACHE).check)
    assert re.fullmatch(r"s3://absent/night/\S+: there is no such bucket: make it, or correct .*", said)


def test_a_store_is_seen_to_refuse_a_second_object_of_a_name(objects):
    objects.check()
    assert list(objects._list("")) == []

    class Careless:
        """A store that leaves conditions aside, as some do that speak S3's protocol."""

        def __init__(self, store):
            self._store = store

        def put(self, name, content, **_):
            return self._store.put(name, content)

        def __getattr__(self, name):
            return getattr(self._store, name)

    objects._store = Careless(objects._store)
    with pytest.raises(SettingsError, match="puts one object in another's place though it was asked not to"):
        objects.check()
    assert list(objects._list("")) == []


@pytest.mark.parametrize(
    ("url", "folder"),
    [("", ""), ("/mnt/pictures", "/mnt/pictures"), ("file:///mnt/my%20pictures", "/mnt/my pictures")],
)
def test_a_folder_may_be_anywhere(settings, tmp_path, url, folder):
    store = open_store(settings(data_dir=tmp_path, pictures_url=url))
    assert isinstance(store, FolderStore)
    assert store.data_dir == (Path(folder) if folder else tmp_path)


@pytest.mark.parametrize("url", ["ftp://host/x", "s3://", "nonsense://bucket"])
def test_a_url_that_cannot_be_used_is_named(settings, tmp_path, url):
    with pytest.raises(SettingsError, match=rf"NIGHTSHIFT_PICTURES_URL={re.escape(url)}: ") as caught:
        open_store(settings(data_dir=tmp_path, pictures_url=url))
    assert "\n" not in str(caught.value)


def test_without_the_library_it_says_what_to_install(settings, tmp_path, monkeypatch):
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == "obstore" or name == ObjectStore.__module__]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(SettingsError, match=r"pip install 'nightshift\[objects\]'"):
        open_store(settings(data_dir=tmp_path, pictures_url="s3://bucket/night"))
