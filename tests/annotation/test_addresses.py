"""Which photo addresses may be read: every one that is refused here would be a hole."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.backend.addresses import AddressBook, AddressError, Origin, Source

STUDIO = "http://studio.example:8080"
BOOK = AddressBook(STUDIO, ("cdn.example", "files.example:9000", "*.bucket.example"))


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("/data/upload/1/abc-photo.png", f"{STUDIO}/data/upload/1/abc-photo.png"),
        ("/data/upload/1/a b.png", f"{STUDIO}/data/upload/1/a%20b.png"),
        ("/data/local-files/?d=photos/a.jpg", f"{STUDIO}/data/local-files/?d=photos/a.jpg"),
        (
            "/storage-data/uploaded/?filepath=upload/1/x.png",
            f"{STUDIO}/storage-data/uploaded/?filepath=upload/1/x.png",
        ),
        ("/tasks/7/resolve/?fileuri=czM6", f"{STUDIO}/tasks/7/resolve/?fileuri=czM6"),
        (f"{STUDIO}/data/upload/1/x.png", f"{STUDIO}/data/upload/1/x.png"),
        ("s3://bucket/key.jpg", f"{STUDIO}/tasks/7/presign/?fileuri=czM6Ly9idWNrZXQva2V5LmpwZw%3D%3D"),
        ("gs://bucket/key.jpg", f"{STUDIO}/tasks/7/presign/?fileuri=Z3M6Ly9idWNrZXQva2V5LmpwZw%3D%3D"),
    ],
)
def test_label_studios_own_photos_are_asked_for_with_its_key(address, place):
    assert BOOK.resolve(address, task_id=7) == Source("url", place, with_key=True)


@pytest.mark.parametrize(
    "address",
    [
        "https://cdn.example/a.jpg",
        "http://cdn.example/a.jpg",
        "https://CDN.example./a.jpg",
        "http://files.example:9000/a.jpg",
        "https://my.bucket.example/a.jpg?X-Amz-Signature=1",
    ],
)
def test_allowed_hosts_are_asked_without_the_key(address):
    assert BOOK.resolve(address) == Source("url", address, with_key=False)


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "   ",
        7,
        ["/data/upload/1/x.png"],
        {"a": 1},
        "photo.png",
        "../photo.png",
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "ftp://cdn.example/a.jpg",
        "gopher://cdn.example/",
        "javascript:alert(1)",
        "//cdn.example/a.jpg",
        "/\\cdn.example/a.jpg",
        "\\\\server\\share\\a.jpg",
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost:6379/",
        "http://127.0.0.1/",
        "http://[::1]:8080/data/upload/1/x.png",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://cdn.example:22/a.jpg",
        "http://files.example/a.jpg",
        "http://evil.example/?http://cdn.example/",
        "http://cdn.example.evil.example/a.jpg",
        "http://evilcdn.example/a.jpg",
        "http://bucket.example/a.jpg",
        "http://evilbucket.example/a.jpg",
        "http://cdn.example@evil.example/a.jpg",
        "http://user:secret@cdn.example/a.jpg",
        "http://cdn.example\\@evil.example/",
        "http://cdn.example\t.evil.example/",
        "http://cdn.example\n/a.jpg",
        "http://evil.example#@cdn.example/",
        "http:///a.jpg",
        "http://",
        "http://cdn.example:99999/",
        "http://cdn.example:abc/",
        "http://[::1/",
        "/etc/passwd",
        "/api/users/",
        "/user/logout",
        "/data/../api/users",
        "/data/upload/../../api/users",
        "/data/upload/%2e%2e/%2e%2e/api/users",
        "/data/upload/%252e%252e/api/users",
        "/data/upload//api/users",
        "/data/uploads/1.png",
        "/data/local-files/",
        "/data/local-files/?d=",
        "/data/local-files/?d=../../etc/passwd",
        "/data/local-files/?d=%2e%2e/%2e%2e/etc/passwd",
        "/data/local-files/?d=a.jpg%00.png",
        "/tasks/x/presign/?fileuri=1",
        f"{STUDIO}/data/upload/../../admin",
        "https://studio.example:8080/data/upload/1/x.png",
        "http://studio.example/data/upload/1/x.png",
        "s3:bucket",
        "x" * 5000,
    ],
)
def test_everything_else_is_refused(address):
    with pytest.raises(AddressError):
        BOOK.resolve(address, task_id=7)


def test_label_studios_other_pages_never_get_the_key():
    assert BOOK.resolve(f"{STUDIO}/api/users/") == Source("url", f"{STUDIO}/api/users/", with_key=False)


def test_cloud_storage_needs_a_task_and_a_server():
    with pytest.raises(AddressError, match="needs the task's id"):
        BOOK.resolve("s3://bucket/key.jpg")
    with pytest.raises(AddressError, match="set LABEL_STUDIO_URL"):
        AddressBook().resolve("/data/upload/1/x.png")


def test_the_names_of_this_machine_are_one():
    book = AddressBook("http://localhost:8080")
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert book.resolve(f"http://{host}:8080/data/upload/1/x.png").with_key
    with pytest.raises(AddressError):
        book.resolve("http://127.0.0.1:8081/data/upload/1/x.png")


def test_redirects_are_checked_like_addresses():
    here = Source("url", f"{STUDIO}/tasks/7/presign/?fileuri=1", with_key=True)
    assert BOOK.follow(here, "https://cdn.example/a.jpg") == Source("url", "https://cdn.example/a.jpg", False)
    assert BOOK.follow(here, "/data/upload/1/x.png").with_key
    for location in (
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "//evil.example/",
        "data:image/png;base64,AAAA",
    ):
        with pytest.raises(AddressError):
            BOOK.follow(here, location)
    with pytest.raises(AddressError, match="from https to http"):
        BOOK.follow(Source("url", "https://cdn.example/a"), "http://cdn.example/a")


def test_local_files_are_read_from_their_folders_only(tmp_path: Path):
    root, photos, secret = tmp_path / "root", tmp_path / "photos", tmp_path / "secret"
    for folder in (root, photos, secret):
        folder.mkdir()
    (photos / "a b.jpg").write_bytes(b"photo")
    (secret / "key").write_bytes(b"secret")
    (root / "mine").symlink_to(photos)
    (photos / "escape").symlink_to(secret)
    (photos / "key.jpg").symlink_to(secret / "key")
    book = AddressBook(STUDIO, roots=(root,))

    def resolve(path: str) -> Source:
        return book.resolve(f"/data/local-files/?d={path}")

    assert resolve("mine/a%20b.jpg") == Source("file", str(photos / "a b.jpg"))
    assert resolve("mine/a b.jpg").kind == "file"
    for path in ("mine/escape/key", "mine/key.jpg", "mine", "mine/missing.jpg"):
        assert resolve(path).kind == "url", path  # left to Label Studio, which has rules of its own
    for path in ("../secret/key", "mine/../../secret/key"):
        with pytest.raises(AddressError):
            resolve(path)
    assert resolve(f"{secret}/key").kind == "url"


@given(st.text(max_size=200))
def test_any_text_is_resolved_to_an_allowed_place_or_refused(address):
    try:
        source = BOOK.resolve(address, task_id=1)
    except AddressError:
        return
    assert_allowed(source)


HOSTS = st.sampled_from(
    [
        "studio.example",
        "cdn.example",
        "evil.example",
        "127.0.0.1",
        "169.254.169.254",
        "localhost",
        "[::1]",
        "a@b",
    ]
)
PARTS = st.sampled_from(
    [
        "",
        "/",
        "//",
        "\\",
        "@",
        ":",
        ":80",
        ":8080",
        "..",
        "%2e%2e",
        "data",
        "upload",
        "?",
        "#",
        " ",
        "\t",
        "cdn.example",
    ]
)


@given(
    st.sampled_from(["http://", "https://", "HTTP://", "//", "/", "s3://", "file://", ""]),
    HOSTS,
    st.lists(PARTS, max_size=8),
)
def test_no_spelling_of_a_url_gets_out(scheme, host, parts):
    try:
        source = BOOK.resolve(scheme + host + "".join(parts), task_id=1)
    except AddressError:
        return
    assert_allowed(source)


def assert_allowed(source: Source) -> None:
    """By what the HTTP library itself makes of the URL, not by what our parser thinks."""
    import httpx

    if source.kind == "inline":
        return
    assert source.kind == "url"
    url = httpx.URL(source.place)
    origin = Origin(url.scheme, url.host.rstrip("."), url.port or {"http": 80, "https": 443}[url.scheme])
    allowed = {
        Origin("http", "studio.example", 8080),
        Origin("http", "cdn.example", 80),
        Origin("https", "cdn.example", 443),
        Origin("http", "files.example", 9000),
        Origin("https", "files.example", 9000),
    }
    assert origin in allowed or origin.host.endswith(".bucket.example")
    if source.with_key:
        assert origin == Origin("http", "studio.example", 8080)
        assert url.path.startswith(("/data/", "/storage-data/", "/tasks/"))
        assert ".." not in url.path.split("/")
