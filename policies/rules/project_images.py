"""What the Dockerfiles of our own images say."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.dockerfile import Dockerfile, Instruction, filled
from policies.view.project import Project

PREFIX = "workflow-"
"""Our own images are called so; one Dockerfile names another's image as what it stands on."""

BUILD_TOOLS = frozenset(
    [
        "bazel",
        "cargo",
        "cc",
        "cmake",
        "composer",
        "dotnet",
        "g++",
        "gcc",
        "git",
        "go",
        "gradle",
        "javac",
        "make",
        "mvn",
        "ninja",
        "npm",
        "npx",
        "pip",
        "pip3",
        "pnpm",
        "poetry",
        "uv",
        "yarn",
    ]
)
BUILD_PACKAGE = re.compile(
    r"^(build-essential|cargo|cmake|clang|g\+\+|gcc|git|golang.*|gradle|make|maven|npm|rustc|python3?-(dev|pip|venv)"
    r"|python3-full|openjdk-\d+-jdk.*|default-jdk.*|.+-dev)$"
)
"""A package that brings a compiler, headers or a package manager."""

MINIMAL = re.compile(
    r"^(scratch|(.*/)?(alpine|busybox|wolfi-base|chiselled[\w-]*|ubi\d*-(minimal|micro))(:.+)?|.*distroless.*"
    r"|.+:[\w.-]*(slim|alpine|minimal|chiseled|distroless)[\w.-]*)(@sha256:[0-9a-f]{64})?$"
)
"""The bases that hold no more than a program needs, by name or by the variant in their tag."""

ROOT = frozenset({"0", "root"})

API_HEALTH = {"interval": "30s", "timeout": "10s", "start-period": "40s", "retries": "3"}


def has_recipes(project: Project) -> bool:
    """Whether the project has images of its own."""
    return bool(project.dockerfiles)


@rule(
    "image-multi-stage", on=Project, where=has_recipes,
    wanted="build tools only in stages that nothing but their results is copied out of", mend="the Dockerfile",
)  # fmt: skip
def no_build_tool_is_in_an_image(project: Project) -> Iterator[Fault]:
    """A compiler or a package manager in the image makes it large, and lets an intruder bring programs of his own."""
    for recipe in project.recipes.values():
        for run in recipe.in_the_image("RUN"):
            for words in run.commands:
                tool = words[2] if words[1:2] == ["-m"] and len(words) > 2 else words[0]
                if tool in BUILD_TOOLS:
                    yield Fault(run.place, "a build tool is run in a stage that becomes part of the image")
                elif {"install", "add", "install-packages"} & set(words) and any(map(BUILD_PACKAGE.match, words[1:])):
                    yield Fault(run.place, "a package with build tools is installed into the image")


@rule(
    "image-multi-stage", on=Project, wanted="at least two stages", mend="images/api/Dockerfile",
    where=lambda project: "api" in project.dockerfiles,
)  # fmt: skip
def the_api_image_is_built_in_stages(project: Project) -> Iterator[Fault]:
    """The service's libraries are installed by tools that have no place beside the service."""
    recipe = project.recipes["api"]
    if len(recipe.stages) < 2:
        yield Fault(recipe.path, "the image is built in one stage")


@rule(
    "image-multi-stage", on=Project, where=has_recipes,
    wanted="caches removed by the instruction that fills them", mend="use install-packages, or remove the lists there",
)  # fmt: skip
def no_package_cache_is_left_in_an_image(project: Project) -> Iterator[Fault]:
    """What a later instruction removes is still in the layer before it."""
    for recipe in project.recipes.values():
        for run in recipe.in_the_image("RUN"):
            if any(_fills_a_cache(words, run.rest) for words in run.commands):
                yield Fault(run.place, "a package manager's cache is left in a layer of the image")
    for path in project.files("images/*/files/**/*bin/*"):
        place = path.relative_to(project.root).as_posix()
        text = project.text(place) or ""
        if re.search(r"\bapt-get\b", text) and "/var/lib/apt/lists" not in text:
            yield Fault(place, "a script of the image installs packages and leaves their lists")


def _fills_a_cache(words: list[str], whole: str) -> bool:
    if words[0] in ("apt-get", "apt") and "install" in words:
        return "/var/lib/apt/lists" not in whole
    if words[0] == "apk" and "add" in words:
        return "--no-cache" not in words
    if words[0] in ("dnf", "yum", "microdnf") and "install" in words:
        return "clean all" not in whole
    return "pip" in " ".join(words[:3]) and "install" in words and "--no-cache-dir" not in words


@rule(
    "image-non-root-user", on=Project, where=has_recipes,
    wanted="USER with the number of an unprivileged user", mend="end the Dockerfile with USER 10001:10001",
)  # fmt: skip
def images_run_without_root(project: Project) -> Iterator[Fault]:
    """Who breaks out of a program of root has the rights of root on whatever it shares with the machine."""
    for recipe in project.recipes.values():
        user = _user(project, recipe)
        if user is None:
            yield Fault(recipe.path, "the image names no user, so that its programs run as root")
        elif _account(user, recipe) in ROOT:
            yield Fault(user.place, "the image's programs run as root")


@rule(
    "image-non-root-user", on=Project, where=has_recipes,
    wanted="a number", mend="write the user's number in place of its name: USER 10001:10001",
)  # fmt: skip
def images_name_their_user_by_number(project: Project) -> Iterator[Fault]:
    """Kubernetes can't tell whether a name is root, and refuses to start such an image with `runAsNonRoot`."""
    for recipe in project.recipes.values():
        user = _user(project, recipe)
        if user is not None and _account(user, recipe) not in ROOT and not _account(user, recipe).isdigit():
            yield Fault(user.place, "the user is not given by its number")


def _user(project: Project, recipe: Dockerfile) -> Instruction | None:
    """The USER that is in force at the end, where need be the one of the image below."""
    seen: list[Dockerfile] = []
    current: Dockerfile | None = recipe
    while current is not None and current not in seen:
        if found := current.last("USER"):
            return found
        seen.append(current)
        current = _below(project, current)
    return None


def _account(user: Instruction, recipe: Dockerfile) -> str:
    own = {name: value for each in recipe.in_the_image("ARG") for name, _, value in [each.rest.partition("=")]}
    account = filled(user.rest, {**recipe.defaults, **own}).partition(":")[0].strip("\"'").lower()
    return account.lstrip("0") or "0" if account.isdigit() else account


@rule(
    "image-minimal-base", on=Project, where=has_recipes,
    wanted="a slim base, such as debian:bookworm-slim", mend="FROM in the Dockerfile",
)  # fmt: skip
def images_stand_on_a_minimal_base(project: Project) -> Iterator[Fault]:
    """Each program that is not needed is one more that can have a weakness, and that must be kept current."""
    for recipe in project.recipes.values():
        if not recipe.stages:
            yield Fault(recipe.path, "the Dockerfile has no FROM")
        elif _below(project, recipe) is None and not MINIMAL.match(recipe.foundation):
            yield Fault(recipe.stages[0].start.place, "the image stands on a base that is not a minimal one")


@rule(
    "dependencies-pinned", on=Project, where=has_recipes,
    wanted="a version in the tag, or a digest", mend="FROM in the Dockerfile",
)  # fmt: skip
def bases_from_outside_have_a_version(project: Project) -> Iterator[Fault]:
    """`latest`, or no tag, is another image tomorrow: a rollback would not bring the same one back."""
    for recipe in project.recipes.values():
        names = {stage.name.lower() for stage in recipe.stages}
        for stage in recipe.stages:
            base = stage.base
            if base.lower() in names or base == "scratch" or _recipe_of(project, base) is not None:
                continue
            tag = base.rpartition("/")[2].partition(":")[2]
            if "@sha256:" not in base and (not tag or tag == "latest"):
                yield Fault(stage.start.place, "an image from outside is used without a version")


@rule(
    "image-healthcheck-present", on=Project, where=has_recipes,
    wanted="HEALTHCHECK with a command", mend="the Dockerfile",
)  # fmt: skip
def images_of_programs_declare_their_health(project: Project) -> Iterator[Fault]:
    """Whoever starts the image without our description still learns whether the program works."""
    bases = [_below(project, recipe) for recipe in project.recipes.values()]
    for recipe in project.recipes.values():
        if recipe in bases:
            continue
        check = recipe.last("HEALTHCHECK")
        if check is None:
            yield Fault(recipe.path, "the image declares no health check")
        elif not check.arguments.upper().startswith("CMD"):
            yield Fault(check.place, "the image's health check is switched off")


@rule(
    "image-healthcheck-present", on=Project, where=lambda project: "api" in project.dockerfiles,
    wanted="interval 30s, timeout 10s, start period 40s, 3 retries", mend="HEALTHCHECK in images/api/Dockerfile",
)  # fmt: skip
def the_api_image_is_probed_as_agreed(project: Project) -> Iterator[Fault]:
    """With other numbers a slow start is taken for a failure, or a failure is seen late."""
    check = project.recipes["api"].last("HEALTHCHECK")
    if check is None:
        yield Fault(project.recipes["api"].path, "the image declares no health check")
        return
    for name, wanted in API_HEALTH.items():
        if check.flags.get(name) != wanted:
            yield Fault(check.place, f"--{name} is not the agreed one")


@rule(
    "image-labels-match-release", on=Project, where=has_recipes,
    wanted='LABEL org.opencontainers.image.version="${VERSION}" and .revision="${REVISION}", each with its ARG',
    mend="the end of the Dockerfile",
)  # fmt: skip
def images_say_which_version_and_commit_they_are(project: Project) -> Iterator[Fault]:
    """The labels lead from a running program to the source it was made of. The build hands both values over as build
    arguments, which a stage only has when it declares them."""
    for recipe in project.recipes.values():
        final = recipe.final
        labels = " ".join(each.rest for each in final.of("LABEL")) if final else ""
        declared = {each.rest.partition("=")[0].strip() for each in final.of("ARG")} if final else set()
        for label, argument in (("version", "VERSION"), ("revision", "REVISION")):
            given = re.search(rf'org\.opencontainers\.image\.{label}=["\']?\$\{{?{argument}\}}?["\']?(\s|$)', labels)
            if not given or argument not in declared:
                yield Fault(recipe.path, f"the image's {label} label does not come from the build")


def _recipe_of(project: Project, image: str) -> Dockerfile | None:
    """The recipe of our own image of that name; None for one from outside."""
    name = image.partition(":")[0]
    return project.recipes.get(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None


def _below(project: Project, recipe: Dockerfile) -> Dockerfile | None:
    return _recipe_of(project, recipe.foundation)
