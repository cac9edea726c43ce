"""Where data are kept, and what outlives what."""

from collections.abc import Iterator

from policies.engine.rule import PRODUCTION_ITSELF, Fault, rule
from policies.view.files import properties_of, yaml_of
from policies.view.mounts import kept_paths, lies_in
from policies.view.parts import PlatformPart
from policies.view.pods import Pod
from policies.view.references import STORES, WITHOUT_DATA, reference_of
from policies.view.resources import Resource
from policies.view.tokens import DYNAMIC

KEPT = "persistent-volumes"
ENCRYPTED = "data-encrypted-at-rest"

DATA_FOLDERS = {
    "postgres": "/var/lib/postgresql/data",
    "kafka": "/var/lib/kafka/data",
    "prometheus": "/var/lib/prometheus",
    "alertmanager": "/var/lib/alertmanager",
    "grafana": "/var/lib/grafana",
    "backups": "/var/lib/pgbackrest",
}
"""Where the images of our parts keep their data when nothing else is said."""


def _keeps_data(pod: Pod) -> bool:
    """Whether its image is of a program that keeps data; one that only helps it runs to its end."""
    return not pod.runs_to_its_end and any(
        _program(each.image.text()) for each in pod.main if not each.image.is_unknown
    )


def _program(image: str | None) -> bool:
    program = reference_of(image or "").program
    return program in STORES and program not in WITHOUT_DATA


@rule(KEPT, on=Pod, wanted="a named volume or a claim that it may write", mend="a volume at its data folder",
      where=_keeps_data)  # fmt: skip
def stores_keep_their_data_on_volumes(pod: Pod) -> Iterator[Fault]:
    """What is written into the container itself is gone when the container is replaced, so with every update."""
    if not any(kept_paths(container) for container in pod.main):
        yield Fault(pod.spec["volumes"], "its data go with its container")


@rule(KEPT, on=PlatformPart, parts=list(DATA_FOLDERS), wanted="the folder of its data on a volume",
      mend="`volumes` of its workload")  # fmt: skip
def our_data_folders_are_on_volumes(part: PlatformPart) -> Iterator[Fault]:
    """A volume at another path than the one that the program writes to keeps nothing."""
    if not lies_in(_data_folder(part), kept_paths(part.container)):
        yield Fault(part.container.spec["volumeMounts" if part.pod.target == "kubernetes" else "volumes"],
                    "the folder that it writes its data to is on no volume")  # fmt: skip


def _data_folder(part: PlatformPart) -> str:
    told = None
    if part.name == "postgres":
        told = yaml_of(part.file("patroni.yml")).at("postgresql", "data_dir").text() or part.setting("PGDATA").text()
    elif part.name == "kafka":
        told = properties_of(part.file("server.properties"))["log.dirs"].text()
    elif part.name == "grafana":
        told = part.setting("GF_PATHS_DATA").text()
    return told or DATA_FOLDERS[part.name]


@rule(KEPT, on=Resource, kinds=["StatefulSet"], wanted="whenScaled: Retain",
      mend="persistentVolumeClaimRetentionPolicy")  # fmt: skip
def fewer_replicas_do_not_cost_data(carrier: Resource) -> Iterator[Fault]:
    """A wrong number of replicas is mended in a minute; data that went with them are not."""
    policy = carrier.inputs.at("spec", "persistentVolumeClaimRetentionPolicy", "whenScaled")
    if policy.text() == "Delete":
        yield Fault(policy, "volumes are deleted with the replicas that are scaled away")


@rule(KEPT, on=Resource, kinds=["StatefulSet"], wanted="Retain", mend="kubernetes.keepData: true",
      environments=[PRODUCTION_ITSELF])  # fmt: skip
def data_outlive_the_program(carrier: Resource) -> Iterator[Fault]:
    """Some changes replace the object; with `Delete` its replacement begins empty."""
    policy = carrier.inputs.at("spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted")
    if policy.text() == "Delete":
        yield Fault(policy, "volumes are deleted with the object that uses them")


@rule(KEPT, on=Resource, kinds=["StatefulSet"], wanted="storage requested by each claim", mend="size of the part")
def claims_say_how_much_they_need(carrier: Resource) -> Iterator[Fault]:
    """A claim without a size is refused, and the program waits for its volume for ever."""
    for claim in carrier.inputs.at("spec", "volumeClaimTemplates").items():
        size = claim.at("spec", "resources", "requests", "storage")
        if size.is_absent:
            yield Fault(size, "the claim does not say how much it needs")


@rule(KEPT, on=Resource, kinds=["Volume", "PersistentVolumeClaim"], wanted="protect, or retainOnDelete",
      mend="ResourceOptions(protect=True)", environments=[PRODUCTION_ITSELF],
      where=lambda volume: not volume.retain and not _is_config(volume))  # fmt: skip
def volumes_are_protected(volume: Resource) -> Iterator[Fault]:
    """A slip in the program, or a `destroy` of the wrong stack, must not take the data along."""
    name = volume.object_name
    # Asked so that a volume that can't be known is not taken for a safe one.
    if name.text() is None or not volume.protect:
        yield Fault(name, "the volume is deleted with the stack")


def _is_config(volume: Resource) -> bool:
    """Our own volumes of files are filled anew at every deployment."""
    return volume.part is not None and volume.name.endswith("-config")


BACKUP_CONFIG = "pgbackrest.conf"


def _holds_backups(part: PlatformPart) -> bool:
    file = part.config_files.get(BACKUP_CONFIG)
    return file is not None and properties_of(file)["repo1-path"].is_given


@rule(ENCRYPTED, on=PlatformPart, wanted="repo1-cipher-type=aes-256-cbc", mend="infra/postgres/pgbackrest.py",
      where=_holds_backups)  # fmt: skip
def stored_backups_are_unreadable_without_a_key(part: PlatformPart) -> Iterator[Fault]:
    """Backups are copied to places that nobody watches as closely as the database."""
    if properties_of(part.file(BACKUP_CONFIG))["repo1-cipher-type"].text() != "aes-256-cbc":
        yield Fault(part.file(BACKUP_CONFIG), "backups are written unencrypted")


@rule(ENCRYPTED, on=PlatformPart, wanted="repo1-cipher-pass of 32 characters or more, in a secret file",
      mend="leave it to be generated", where=_holds_backups)  # fmt: skip
def backups_have_a_long_passphrase(part: PlatformPart) -> Iterator[Fault]:
    """A backup can be tried at leisure by whoever has stolen it."""
    file = part.secret_files.get("repository.conf", part.file("secrets/repository.conf"))
    generated = [each for each in part.secret_sources.get("repository.conf", ()) if each.type == DYNAMIC]
    if file.is_unknown and any(each.inputs["generation"].is_given for each in generated):
        return
    passphrase = properties_of(file)["repo1-cipher-pass"]
    if len(passphrase.text() or "") < 32:
        yield Fault(file, "the passphrase of the backups is missing or short")


ENCRYPTING = ("encrypted", "disk-encryption-kms-key", "diskencryptionsetid", "kmskeyid", "encryptionkey", "kms-key-id")
"""Parameters of storage classes that switch encryption on or name its key: of AWS, Google, Azure and Ceph."""

ALWAYS_ENCRYPTED = ("disk.csi.azure.com", "file.csi.azure.com", "pd.csi.storage.gke.io")
"""These clouds encrypt every disk, with a key of their own where none is named."""


@rule(
    ENCRYPTED, on=Resource, kinds=["StorageClass"], wanted="encryption switched on", mend="parameters.encrypted: true"
)
def storage_classes_encrypt(storage: Resource) -> Iterator[Fault]:
    """A disk that is given back or stolen still holds what was on it."""
    if storage.inputs["provisioner"].text() in ALWAYS_ENCRYPTED:
        return
    given = {name.lower().rpartition("/")[2]: value for name, value in storage.inputs["parameters"].entries().items()}
    if not any(given[name].text() not in (None, "", "false") for name in ENCRYPTING if name in given):
        yield Fault(storage.inputs["parameters"], "its volumes are not encrypted")


CLOUD_DISKS = {
    "aws:ebs/volume:Volume": "encrypted",
    "aws:rds/instance:Instance": "storageEncrypted",
    "aws:rds/cluster:Cluster": "storageEncrypted",
    "aws:efs/fileSystem:FileSystem": "encrypted",
}


@rule(ENCRYPTED, on=Resource, kinds=list(CLOUD_DISKS), wanted="encryption switched on", mend="encrypted: true")
def cloud_disks_are_encrypted(disk: Resource) -> Iterator[Fault]:
    """Clouds that do not encrypt by themselves have a switch for it."""
    switch = disk.inputs[CLOUD_DISKS[disk.kind]]
    if not switch.flag():
        yield Fault(switch, "it is not encrypted")
