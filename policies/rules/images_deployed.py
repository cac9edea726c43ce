"""What the deployed images are, where they come from, and as whom they run."""

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.parts import Platform
from policies.view.pods import Container
from policies.view.references import OUR_PREFIX, reference_of
from policies.view.resources import Resource
from policies.view.targets import on_kubernetes, place

IMMUTABLE = "image-immutable-tag"
REGISTRY = "image-registry"
USER = "image-non-root-user"


def _told_by_its_image(container: Container) -> bool:
    """Not a Docker container whose image comes out of another resource: that one is judged itself."""
    return container.target == "kubernetes" or not container.image.is_unknown


def _is_named(container: Container) -> bool:
    """Not an image's id, which has no registry."""
    return _told_by_its_image(container) and not (container.image.text() or "").startswith("sha256:")


@rule(IMMUTABLE, on=Container, wanted="name@sha256:...", mend="give the image by digest", where=_told_by_its_image)
def containers_name_their_image_by_digest(container: Container) -> Iterator[Fault]:
    """A tag can be moved: then two replicas run different programs, and a rollback does not bring back what was."""
    if not reference_of(container.image.text() or "").is_pinned:
        yield Fault(container.image, "the image is not named by digest")


@rule(IMMUTABLE, on=Resource, kinds=["RemoteImage"], wanted="name@sha256:...", mend="give the image by digest")
def images_are_pulled_by_digest(image: Resource) -> Iterator[Fault]:
    """What a tag stands for is decided anew each time that it is pulled."""
    if not reference_of(image.inputs["name"].text() or "").is_pinned:
        yield Fault(image.inputs["name"], "the image is not named by digest")


@rule(IMMUTABLE, on=Container, wanted="a version", mend="write the version, or only the digest", where=_is_named)
def no_image_is_the_latest(container: Container) -> Iterator[Fault]:
    """`latest`, also where it is only meant by an empty tag, tells nobody which version runs."""
    found = reference_of(container.image.text() or "")
    if found.tag == "latest" or not (found.tag or found.digest):
        yield Fault(container.image, "the image is the latest one, whichever that is")


@rule(REGISTRY, on=Container, wanted="registry/name", mend="kubernetes.registry, or the registry before the name",
      where=_is_named)  # fmt: skip
def images_name_their_registry(container: Container) -> Iterator[Fault]:
    """Without a registry in its name each machine decides by its own settings where the image comes from."""
    if not reference_of(container.image.text() or "").registry:
        yield Fault(container.image, "the image's registry is not named")


@rule(REGISTRY, on=Container, wanted="imagePullPolicy IfNotPresent or Always", mend="imagePullPolicy",
      where=on_kubernetes)  # fmt: skip
def machines_may_pull_their_images(container: Container) -> Iterator[Fault]:
    """With `Never` only those machines can run the program to which somebody has carried the image."""
    if container.spec["imagePullPolicy"].text() == "Never":
        yield Fault(container.spec["imagePullPolicy"], "machines may not pull the image")


@rule(REGISTRY, on=Platform, wanted="one registry for all images that are built here", mend="kubernetes.registry")
def our_images_come_from_one_registry(platform: Platform) -> Iterator[Fault]:
    """Images of two registries are two releases that nobody has tested together."""
    found = {}
    for part in platform.parts.values():
        if part.pod.target != "kubernetes":
            continue
        image = reference_of(part.container.image.text() or "")
        if image.repository.rpartition("/")[2].startswith(OUR_PREFIX):
            found[part.name] = (image.registry, image.repository.rpartition("/")[0])
    if len(set(found.values())) > 1:
        usual = max(set(found.values()), key=list(found.values()).count)
        for name in sorted(each for each, where in found.items() if where != usual):
            container = platform.parts[name].container
            yield Fault(place(container.resource, container.image), "the image is of another registry")


@rule(USER, on=Container, wanted="a user that is not root", mend="runAsUser, or `user`; not 0")
def containers_run_as_an_unprivileged_user(container: Container) -> Iterator[Fault]:
    """Root inside is root of the machine as soon as one of the walls between has a hole."""
    user = container.user.text()
    if user is None and container.target == "kubernetes" and _refused_as_root(container):
        return
    if user in (None, ""):
        yield Fault(container.user, "no user is set, so that the image's own counts, which may be root")
    elif user == "root" or user.strip("0") == "":
        yield Fault(container.user, "the container runs as root")


def _refused_as_root(container: Container) -> bool:
    own = container.security["runAsNonRoot"]
    return bool((own if own.is_given else container.pod.spec.at("securityContext", "runAsNonRoot")).flag())


@rule(USER, on=Container, wanted="a group that is not root's", mend="runAsGroup, or `user` as number:number")
def containers_run_as_an_unprivileged_group(container: Container) -> Iterator[Fault]:
    """Many files of a machine are root's alone only by their user, and its group may write them."""
    if container.target == "docker":
        _, colon, group = (container.spec["user"].text() or "").partition(":")
        if colon and (group == "root" or group.strip("0") == ""):
            yield Fault(container.spec["user"], "the container runs as the group root")
        return
    own = container.security["runAsGroup"]
    told = own if own.is_given else container.pod.spec.at("securityContext", "runAsGroup")
    if told.number() == 0:
        yield Fault(told, "the container runs as the group root")
