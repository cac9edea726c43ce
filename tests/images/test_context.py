"""The build context: every catalogued file, normalised, and the building machine's extra certificates."""

import tarfile
from pathlib import Path

import pytest

from images.catalog import SourceFile
from images.context import build_context

pytestmark = pytest.mark.ring("unit")

FILES = (
    SourceFile("Dockerfile", b"FROM x\n", executable=False),
    SourceFile("files/bin/run", b"#!/bin/sh\n", executable=True),
)


def entries(certificates: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=build_context(FILES, certificates)) as stream:
        return {entry.name: entry for entry in stream.getmembers()}


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    assert build_context(FILES, tmp_path).read() == build_context(FILES, tmp_path).read()


def test_modes_follow_the_execute_bit_and_owners_are_root(tmp_path: Path) -> None:
    found = entries(tmp_path)
    assert found["Dockerfile"].mode == 0o644
    assert found["files/bin/run"].mode == 0o755
    assert {(entry.uid, entry.gid, entry.mtime) for entry in found.values()} == {(0, 0, 0)}


def test_extra_certificates_are_taken_along_and_nothing_else_of_their_folder(tmp_path: Path) -> None:
    (tmp_path / "company.crt").write_text("-----BEGIN CERTIFICATE-----")
    (tmp_path / "notes.txt").write_text("x")
    assert {name for name in entries(tmp_path) if name.startswith("ca/")} == {"ca/README", "ca/company.crt"}


def test_the_certificate_folder_is_there_even_when_the_machine_has_none(tmp_path: Path) -> None:
    assert "ca/README" in entries(tmp_path / "missing")
