"""The parts of the check of a deployment folder, each on a minimal folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.bench.deployment.checking.check import HARMLESS_NAME, _content, _excerpt, check_paths, check_sums
from assay.bench.deployment.folder import write_checksums
from assay.errors import ArtifactError
from assay.records.deployment import CHECKSUMS_FILE

SUM = "a" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a file").write_text("content")
    (tmp_path / "other").write_text("more")
    write_checksums(tmp_path)
    return tmp_path


def listed(folder: Path, *lines: str) -> None:
    (folder / CHECKSUMS_FILE).write_text("".join(f"{line}\n" for line in lines))


def test_a_folder_as_it_was_written_passes(folder: Path) -> None:
    check_paths(folder)
    check_sums(folder)


@pytest.mark.parametrize(
    "line",
    [
        f"{SUM} one blank",
        f"{SUM[1:]}  of 63 digits",
        f"{SUM}0  of 65 digits",
        f"{SUM.upper()}  of capitals",
        f"{SUM[1:]}g  of no digits",
        f"{SUM}  ",
        f"{SUM}  /absolute",
        f"{SUM}  ../outside",
        f"{SUM}  deep/../other",
        f"{SUM}  other",
        "",
    ],
)
def test_a_line_that_names_no_file_of_the_folder_once_is_refused_with_its_beginning(line: str, folder: Path) -> None:
    listed(folder, *(folder / CHECKSUMS_FILE).read_text().splitlines(), line)
    with pytest.raises(ArtifactError, match="has a line that does not name a file of the folder") as refused:
        check_sums(folder)
    assert line[:100] in str(refused.value)


def test_names_with_dots_are_names(folder: Path) -> None:
    (folder / "..more").write_text("x")
    write_checksums(folder)
    check_sums(folder)


def test_unlisted_files_do_not_belong_and_listed_files_have_to_exist(folder: Path) -> None:
    lines = (folder / CHECKSUMS_FILE).read_text().splitlines()
    listed(folder, *lines[1:])
    with pytest.raises(ArtifactError, match=r"a file does not belong to the deployment"):
        check_sums(folder)
    listed(folder, *lines, f"{SUM}  gone")
    with pytest.raises(
        ArtifactError, match=rf"gone differs from the deployed file: expected {SUM}, found " rf"no such file"
    ):
        check_sums(folder)
    listed(folder, f"{SUM}  deep/a file", lines[1])
    with pytest.raises(ArtifactError, match="a file differs from the deployed file"):
        check_sums(folder)


def test_checksums_that_are_not_text_are_one_message(folder: Path) -> None:
    (folder / CHECKSUMS_FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(ArtifactError, match=r"Cannot read .*expected checksums"):
        check_sums(folder)
    (folder / CHECKSUMS_FILE).unlink()
    with pytest.raises(ArtifactError, match=r"Cannot read .*expected checksums"):
        check_sums(folder)


@pytest.mark.parametrize("mode", [0o744, 0o654, 0o645, 0o4644, 0o2644, 0o1644])
def test_an_executable_file_is_refused(mode: int, folder: Path) -> None:
    (folder / "other").chmod(mode)
    with pytest.raises(ArtifactError, match="other is executable"):
        check_paths(folder)


@pytest.mark.parametrize("mode", [0o666, 0o600, 0o444])
def test_what_may_be_read_and_written_alone_passes(mode: int, folder: Path) -> None:
    (folder / "other").chmod(mode)
    check_paths(folder)


@pytest.mark.parametrize("target", ["other", "/etc/hostname", "nowhere"])
def test_a_link_is_refused_wherever_it_leads(target: str, folder: Path) -> None:
    (folder / "deep" / "link").symlink_to(target)
    with pytest.raises(ArtifactError, match=f"link leaves the deployment folder.*found a link to {target}"):
        check_paths(folder)


@pytest.mark.parametrize(
    ("content", "other", "said"),
    [
        (b"same\nmine\nmore\n", b"same\n", "mine"),
        (b"same\n", b"same\nmore\n", "5 bytes"),
        (b"", b"x", "0 bytes"),
        (b"x" * 150, b"", "x" * 100),
        (b"\x1b[31m\xff", b"", "\\x1b[31m\\ufffd"),
    ],
)
def test_a_difference_is_shown_by_the_first_differing_line(content: bytes, other: bytes, said: str) -> None:
    assert _excerpt(content, other) == said


def test_a_file_that_is_far_too_large_is_not_read_whole(folder: Path) -> None:
    (folder / "other").write_bytes(b"x" * 10_000)
    assert len(_content(folder / "other", 1000)) == 2 * 1000 + 4096
    assert len(_content(folder / "other", 9000)) == 10_000
    assert _content(folder / "none", 10) == b""


@pytest.mark.parametrize(
    ("name", "harmless"),
    [
        ("scores", True),
        ("a b.c:0/d@e-f_1", True),
        ("é", True),
        ('"', False),
        ("a'b", False),
        ("a\nb", False),
        ("(", False),
    ],
)
def test_names_that_an_older_assay_put_into_a_program_are_of_letters_digits_and_a_few_signs(
    name: str, harmless: bool
) -> None:
    assert bool(HARMLESS_NAME.fullmatch(name)) == harmless
