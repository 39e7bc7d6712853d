"""The folder of a capture: who may read it, whose it is, and what is not followed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from stackledger.capture import private
from stackledger.errors import UsageError

NAMES = ("dt=2026-01-02", "host=web", "capture=one")
SOMEBODY, ANOTHER = 1234, 1235

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def _owner(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_uid, found.st_gid


@pytest.fixture
def sudo(monkeypatch):
    monkeypatch.setenv("SUDO_UID", str(SOMEBODY))
    monkeypatch.setenv("SUDO_GID", str(SOMEBODY + 7))


def test_only_its_owner_may_look_into_it(tmp_path):
    folder = private.make(tmp_path / "far" / "store", NAMES)
    assert folder == (tmp_path / "far" / "store").joinpath(*NAMES)
    assert _mode(folder) == 0o700
    with open(folder / "file", "w", opener=private.opener) as file:
        file.write("x")
    assert _mode(folder / "file") == 0o600


def test_it_is_made_once(tmp_path):
    private.make(tmp_path, NAMES)
    with pytest.raises(FileExistsError):
        private.make(tmp_path, NAMES)
    private.make(tmp_path, (*NAMES[:2], "capture=two"))


@pytest.mark.parametrize("depth", [1, 2])
def test_a_planted_link_is_not_followed(tmp_path, depth):
    store, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    elsewhere.mkdir()
    above = store.joinpath(*NAMES[: depth - 1])
    above.mkdir(parents=True)
    (above / NAMES[depth - 1]).symlink_to(elsewhere)
    with pytest.raises(UsageError, match="link"):
        private.make(store, NAMES)
    assert not list(elsewhere.iterdir())


def test_a_link_of_ones_own_to_the_store_is_followed(tmp_path):
    (tmp_path / "large").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "large")
    private.make(tmp_path / "store", NAMES)
    assert (tmp_path / "large").joinpath(*NAMES).is_dir()


@needs_root
def test_another_users_link_to_the_store_is_not_followed(tmp_path):
    (tmp_path / "large").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "large")
    os.chown(tmp_path / "store", ANOTHER, ANOTHER, follow_symlinks=False)
    with pytest.raises(UsageError, match="another user made"):
        private.make(tmp_path / "store", NAMES)


@needs_root
def test_a_store_that_another_user_put_where_all_can_write_is_refused(tmp_path):
    tmp_path.chmod(0o1777)
    store = tmp_path / "store"
    store.mkdir()
    os.chown(store, ANOTHER, ANOTHER)
    with pytest.raises(UsageError, match=f"belongs to another user: .*{ANOTHER}"):
        private.make(store, NAMES)
    tmp_path.chmod(0o755)
    folder = private.make(store, NAMES)
    # What lies in somebody's store is theirs, but for the capture itself.
    assert _owner(folder.parent) == (ANOTHER, ANOTHER)
    assert _owner(folder) == (os.geteuid(), os.getegid())


@needs_root
@pytest.mark.usefixtures("sudo")
def test_folders_of_a_third_are_refused_and_those_of_the_asker_are_not(tmp_path):
    day = tmp_path / NAMES[0]
    day.mkdir()
    os.chown(day, ANOTHER, ANOTHER)
    with pytest.raises(UsageError, match="belongs to another user"):
        private.make(tmp_path, NAMES)
    os.chown(day, SOMEBODY, SOMEBODY)
    private.make(tmp_path, NAMES)


def test_a_folder_that_everybody_may_change_is_refused(tmp_path):
    (tmp_path / NAMES[0]).mkdir()
    (tmp_path / NAMES[0]).chmod(0o777)
    with pytest.raises(UsageError, match="every user can replace"):
        private.make(tmp_path, NAMES)


@needs_root
@pytest.mark.usefixtures("sudo")
def test_it_is_the_asker_of_sudo_to_whom_it_belongs(tmp_path):
    folder = private.make(tmp_path, NAMES)
    (folder / "request").mkdir()
    (folder / "request" / "part").write_text("x")
    (tmp_path / "victim").write_text("x")
    (folder / "link").symlink_to(tmp_path / "victim")
    private.hand_over(folder)
    for path in (folder, folder / "request", folder / "request" / "part", folder / "link"):
        assert _owner(path) == (SOMEBODY, SOMEBODY + 7), path
    assert _owner(tmp_path / "victim") == (os.geteuid(), os.getegid())


@pytest.mark.parametrize("uid", ["", "-1", "root", "1 2"])
def test_without_sudo_it_stays(tmp_path, monkeypatch, uid):
    monkeypatch.setenv("SUDO_UID", uid)
    monkeypatch.setenv("SUDO_GID", "5")
    folder = private.make(tmp_path, NAMES)
    private.hand_over(folder)
    assert _owner(folder) == (os.geteuid(), os.getegid())
