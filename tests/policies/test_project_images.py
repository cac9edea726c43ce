"""The rules about Dockerfiles, on small ones."""

from pathlib import Path

import pytest

from policies.view.dockerfile import read_dockerfile
from policies.view.project import Project
from tests.policies.project_trees import make, said, this_tree

pytestmark = pytest.mark.ring("unit")

BASE = """# The base
FROM debian:bookworm-slim
RUN install-packages ca-certificates
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" \\
      org.opencontainers.image.revision="${REVISION}"
HEALTHCHECK NONE
USER 10001:10001
"""
API = """ARG BASE=workflow-base
FROM ${BASE} AS python
USER 0
RUN install-packages python3
FROM python AS packages
RUN install-packages python3-venv && python3 -m venv /build
RUN A=b /build/bin/pip install --no-cache-dir --require-hashes -r service.lock
FROM python
COPY --from=packages /opt /opt
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="$REVISION"
HEALTHCHECK --interval=30s --timeout=10s --start-period=40s --retries=3 \\
  CMD ["probe"]
USER 10001:10001
"""
STATIC = (
    "no_build_tool_is_in_an_image",
    "the_api_image_is_built_in_stages",
    "no_package_cache_is_left_in_an_image",
    "images_run_without_root",
    "images_name_their_user_by_number",
    "images_stand_on_a_minimal_base",
    "bases_from_outside_have_a_version",
    "images_of_programs_declare_their_health",
    "the_api_image_is_probed_as_agreed",
    "images_say_which_version_and_commit_they_are",
    "images_install_libraries_from_a_lock",
    "images_check_what_they_download",
)


def tree(folder: Path, api: str = API, base: str = BASE, **others: str) -> Project:
    files = {f"images/{name}/Dockerfile": text for name, text in {"api": api, "base": base, **others}.items()}
    return make(folder, files)


def changed(old: str, new: str, text: str = API) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize("check", STATIC)
def test_good_dockerfiles_pass(check: str, tmp_path: Path) -> None:
    assert said(tree(tmp_path), check) == []


@pytest.mark.parametrize("check", STATIC)
def test_the_dockerfiles_of_this_tree_pass(check: str) -> None:
    assert said(this_tree(), check) == []


@pytest.mark.parametrize("check", STATIC)
def test_a_project_without_images_is_not_asked(check: str, tmp_path: Path) -> None:
    assert said(make(tmp_path, {}), check) is None


API_FILE = "images/api/Dockerfile"
LAST_FROM = "FROM python\n"
BAD = [
    ("no_build_tool_is_in_an_image", LAST_FROM, "FROM python\nRUN make all\n", f"{API_FILE}:9: a build tool is run"),
    ("no_build_tool_is_in_an_image", LAST_FROM, "FROM python\nRUN X=1 /a/pip install b\n", "a build tool is run"),
    ("no_build_tool_is_in_an_image", LAST_FROM, 'FROM python\nRUN ["python3", "-m", "pip"]\n', "a build tool is run"),
    (
        "no_build_tool_is_in_an_image",
        LAST_FROM,
        "FROM python\nRUN install-packages python3-venv\n",
        "a package with build tools",
    ),
    ("no_build_tool_is_in_an_image", LAST_FROM, "FROM python\nRUN apk add gcc\n", "a package with build tools"),
    ("no_package_cache_is_left_in_an_image", LAST_FROM, "FROM python\nRUN apt-get install -y x\n", "cache is left"),
    ("no_package_cache_is_left_in_an_image", LAST_FROM, "FROM python\nRUN apk add x\n", "cache is left"),
    ("no_package_cache_is_left_in_an_image", LAST_FROM, "FROM python\nRUN dnf install x\n", "cache is left"),
    ("no_package_cache_is_left_in_an_image", LAST_FROM, "FROM python\nRUN pip install x\n", "cache is left"),
    ("images_run_without_root", "USER 10001:10001", "USER 0:0", "run as root"),
    ("images_run_without_root", "USER 10001:10001", "USER root", "run as root"),
    ("images_run_without_root", "USER 10001:10001", "USER 00", "run as root"),
    ("images_run_without_root", "USER 10001:10001", "ARG UID=0\nUSER ${UID}:1", "run as root"),
    ("images_run_without_root", "USER 10001:10001\n", "", f"{API_FILE}:3: the image's programs run as root"),
    ("images_name_their_user_by_number", "USER 10001:10001", "USER app", "not given by its number"),
    ("images_stand_on_a_minimal_base", "BASE=workflow-base", "BASE=ubuntu:24.04", "not a minimal one"),
    ("bases_from_outside_have_a_version", "BASE=workflow-base", "BASE=debian", "without a version"),
    ("bases_from_outside_have_a_version", "FROM python AS packages", "FROM r:5/a:latest AS packages", "without a ver"),
    ("images_of_programs_declare_their_health", "HEALTHCHECK --interval", "LABEL x", "declares no health check"),
    ("images_of_programs_declare_their_health", "USER 10001", "HEALTHCHECK NONE\nUSER 10001", "switched off"),
    ("the_api_image_is_probed_as_agreed", "HEALTHCHECK --interval", "LABEL x", "declares no health check"),
    ("the_api_image_is_probed_as_agreed", "--interval=30s", "--interval=5s", "--interval is not"),
    ("the_api_image_is_probed_as_agreed", "--timeout=10s", "", "--timeout is not"),
    ("the_api_image_is_probed_as_agreed", "--start-period=40s", "--start-period=4s", "--start-period is not"),
    ("the_api_image_is_probed_as_agreed", "--retries=3", "--retries=30", "--retries is not"),
    ("images_say_which_version_and_commit_they_are", "ARG VERSION=0\n", "", "version label"),
    ("images_say_which_version_and_commit_they_are", '"${VERSION}"', '"1.0.0"', "version label"),
    ("images_say_which_version_and_commit_they_are", 'image.revision="$REVISION"', "", "revision label"),
    ("images_install_libraries_from_a_lock", " --require-hashes", "", f"{API_FILE}:7: libraries are installed"),
    ("images_install_libraries_from_a_lock", LAST_FROM, "FROM a:1 AS b\nRUN npm install\n", "libraries are installed"),
    ("images_install_libraries_from_a_lock", LAST_FROM, "FROM a:1 AS b\nRUN yarn install\n", "libraries are installed"),
    ("images_check_what_they_download", LAST_FROM, "FROM a:1 AS b\nRUN curl -O https://x\n", "checksum"),
    ("images_check_what_they_download", LAST_FROM, "FROM a:1 AS b\nADD https://x/y /y\n", "checksum"),
]


@pytest.mark.parametrize(("check", "old", "new", "what"), BAD, ids=[f"{each[0]}-{each[2][-12:-1]}" for each in BAD])
def test_a_fault_is_found_where_it_is(check: str, old: str, new: str, what: str, tmp_path: Path) -> None:
    found = said(tree(tmp_path, changed(old, new)), check)
    assert found
    assert what in found[0]
    assert len(found) == 1


def test_an_api_image_of_one_stage_is_found(tmp_path: Path) -> None:
    api = "FROM debian:bookworm-slim\nUSER 1\n"
    assert said(tree(tmp_path, api), "the_api_image_is_built_in_stages") == [
        f"{API_FILE}: the image is built in one stage"
    ]


def test_build_tools_in_the_stages_before_are_right(tmp_path: Path) -> None:
    api = changed("FROM python AS packages", "FROM golang:1.24 AS packages\nRUN go build . && make")
    assert said(tree(tmp_path, api), "no_build_tool_is_in_an_image") == []


def test_a_user_is_inherited_from_the_image_below(tmp_path: Path) -> None:
    own = "FROM workflow-base\n"
    assert said(tree(tmp_path, edge=own), "images_run_without_root") == []
    rooted = said(tree(tmp_path, edge=own, base=changed("USER 10001:10001\n", "", BASE)), "images_run_without_root")
    assert rooted == [f"images/{name}/Dockerfile: the image names no user, so that its programs run as root"
                      for name in ("base", "edge")]  # fmt: skip


def test_a_checksum_in_the_same_instruction_is_right(tmp_path: Path) -> None:
    run = "FROM python AS packages\nRUN curl -O x && sha256sum --check y\nADD --checksum=sha256:0 https://x /x"
    assert said(tree(tmp_path, changed("FROM python AS packages", run)), "images_check_what_they_download") == []


def test_a_script_that_leaves_the_lists_of_packages_is_found(tmp_path: Path) -> None:
    project = tree(tmp_path)
    script = project.root / "images/base/files/usr/local/sbin/install-packages"
    script.parent.mkdir(parents=True)
    script.write_text("apt-get install x\n")
    found = said(project, "no_package_cache_is_left_in_an_image")
    place = "images/base/files/usr/local/sbin/install-packages"
    assert found == [f"{place}: a script of the image installs packages and leaves their lists"]


@pytest.mark.parametrize(
    "base",
    ["alpine:3.20", "debian:bookworm-slim", "python:3.12-slim-bookworm", "scratch",
     "r.invalid/distroless/static:nonroot",
     "r.invalid/ubi9/ubi-minimal:9.4", "node:22-alpine3.20@sha256:" + "0" * 64],
)  # fmt: skip
def test_minimal_bases_are_known(base: str, tmp_path: Path) -> None:
    own = changed("BASE=workflow-base", f"BASE={base}")
    assert said(tree(tmp_path, own), "images_stand_on_a_minimal_base") == []


@pytest.mark.parametrize("base", ["ubuntu:24.04", "debian:bookworm", "python:3.12", "node", "r.invalid/slim/thing:1"])
def test_other_bases_are_not_minimal(base: str, tmp_path: Path) -> None:
    own = changed("BASE=workflow-base", f"BASE={base}")
    assert said(tree(tmp_path, own), "images_stand_on_a_minimal_base") == [
        f"{API_FILE}:2: the image stands on a base that is not a minimal one"
    ]


def test_a_dockerfile_without_from_is_found(tmp_path: Path) -> None:
    assert said(tree(tmp_path, "RUN x\n"), "images_stand_on_a_minimal_base") == [
        f"{API_FILE}: the Dockerfile has no FROM"
    ]


def test_stages_that_stand_on_each_other_end(tmp_path: Path) -> None:
    recipe = read_dockerfile("FROM b AS a\nFROM a AS b\nFROM b\n", "x")
    assert [stage.name for stage in recipe.lineage()] == ["", "b", "a"]


def test_comments_and_continued_lines_are_read_as_docker_reads_them() -> None:
    recipe = read_dockerfile("from x:1 as Y\nRUN a \\\n# no\n\n  && b; c | d\n", "D")
    assert recipe.final is not None
    assert (recipe.final.name, recipe.final.base) == ("Y", "x:1")
    run = recipe.final.of("RUN")[0]
    assert (run.place, run.commands) == ("D:2", [["a"], ["b"], ["c"], ["d"]])
