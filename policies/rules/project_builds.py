"""What the builds of our own images left behind: whether they succeeded, what they said, how large the images are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.rules.project_images import has_recipes
from policies.rules.project_tests import is_released
from policies.view.parts import PlatformPart
from policies.view.project import Project
from policies.view.reports import ImageBuild, images

MEND = "./deploy-api.sh setup"

LARGEST_BYTES = 10**9
"""1 GB; the limit is the checklist's for the API, and none of the others needs more."""

HARMLESS = (
    re.compile(r"update-alternatives: warning: skip(ping)? creation of .*/man/", re.IGNORECASE),
    # Slim bases leave manual pages out, and packages that would link to them say so.
)
"""Warnings of a build that mean nothing; whoever adds one says why."""

COMMIT = re.compile(r"^[0-9a-f]{40}$")


def _built(project: Project) -> Iterator[tuple[str, ImageBuild]]:
    """The images that were built from this tree, by name."""
    known = images(project)
    for name, reference in project.image_references.items():
        if name in known and known[name].reference == reference:
            yield name, known[name]


def _is_built(project: Project) -> bool:
    return any(True for _ in _built(project))


@rule("image-builds", on=Project, where=has_recipes, wanted="every image built from this tree", mend=MEND)
def every_image_was_built(project: Project) -> Iterator[Fault]:
    """A Dockerfile that does not build is found before the deployment, not by a machine that misses the image. Images
    are known by their content: one that was built at an earlier commit from the same files counts."""
    done = dict(_built(project))
    for name, reference in project.image_references.items():
        if reference is None:
            yield Fault(f"images/{name}", "no command builds this image", mend="add it to images/catalog.py")
        elif name not in done:
            yield Fault(f"images/{name}", "no build of the image from these files is recorded")


@rule(
    "image-build-without-warnings", on=Project, where=has_recipes,
    wanted="a build without warnings", mend="the Dockerfile; then remove the image and run ./deploy-api.sh setup",
)  # fmt: skip
def builds_print_no_warning(project: Project) -> Iterator[Fault]:
    """What a build warns of today is what breaks it, or the program, tomorrow."""
    done = dict(_built(project))
    for name in project.image_references:
        said = done[name].warnings if name in done else None
        if said is None:
            yield Fault(f"images/{name}", "what the build printed is not recorded")
        elif any(not any(harmless.search(line) for harmless in HARMLESS) for line in said):
            yield Fault(f"images/{name}", "the build printed warnings", mend="images.json in the reports has them")


@rule("image-size-limit", on=Project, where=has_recipes, wanted="less than 1 GB", mend="the Dockerfile")
def images_are_small(project: Project) -> Iterator[Fault]:
    """A large image is slow to pull just when a replacement is urgent, and it holds what nobody asked for."""
    done = dict(_built(project))
    for name in project.image_references:
        if name not in done:
            yield Fault(f"images/{name}", "the image's size is not recorded", mend=MEND)
        elif done[name].size_bytes >= LARGEST_BYTES:
            yield Fault(f"images/{name}", "the image is too large")


@rule(
    "image-labels-match-release", on=Project, where=lambda project: is_released(project) and _is_built(project),
    environments=["prod"],
    wanted="the label of a commit", mend="commit, remove the image and run ./deploy-api.sh setup",
)  # fmt: skip
def images_are_built_from_a_commit(project: Project) -> Iterator[Fault]:
    """An image that was built from a tree with changes leads back to no source."""
    for name, build in _built(project):
        if not COMMIT.match(build.revision):
            yield Fault(f"images/{name}", "the image's revision label is not that of a commit")


@rule("image-labels-match-release", on=Project, where=_is_built, wanted="the version of pyproject.toml", mend=MEND)
def images_have_the_version_of_the_tree(project: Project) -> Iterator[Fault]:
    """Who reads an image's version looks into that version's notes and documents."""
    for name, build in _built(project):
        if build.version != project.version:
            yield Fault(f"images/{name}", "the image's version label is not the version of the tree")


def _image_has_our_tag(part: PlatformPart) -> bool:
    image = part.container.image
    return image.is_unknown or _tagged_version(image.text() or "") is not None


@rule(
    "image-labels-match-release", on=PlatformPart, parts=["api"], where=_image_has_our_tag,
    wanted="the version in the image's tag", mend="api.version",
)  # fmt: skip
def the_api_tells_the_version_of_its_image(part: PlatformPart) -> Iterator[Fault]:
    """The API shows its version in its documentation; who reports a fault names that one."""
    version = _tagged_version(part.container.image.text() or "")
    setting = part.setting("API_VERSION")
    if setting.text() != version:
        yield Fault(setting, "the API is told another version than that of its image")


def _tagged_version(reference: str) -> str | None:
    """The version in a tag of ours, `<version>-<12 digits of the content's hash>`; None for a digest or another tag."""
    found = re.search(r":([0-9][\w.+-]*)-[0-9a-f]{12}$", reference)
    return found[1] if found else None
