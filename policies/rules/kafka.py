"""How many brokers there are, what survives the loss of one, and where clients reach them."""

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.files import properties_of, yaml_of
from policies.view.parts import Platform, PlatformPart
from policies.view.targets import place
from policies.view.values import Value
from stacks.quantities import quantity

BROKERS, LISTENERS, VOLUMES = "kafka-broker-count-prod", "kafka-listener-ports", "persistent-volumes"

LEAST_BROKERS = 3
LEAST_IN_SYNC = 2
NETWORK_PORT, HOST_PORT = 29092, 9092
FILLED_AT_MOST = 0.9
"""A tenth of a disk stays free: below that, an alert calls somebody."""


def settings(part: PlatformPart) -> Value:
    """The broker's own settings."""
    return properties_of(part.file("server.properties"))


def addresses(setting: Value) -> dict[str, tuple[str, int]]:
    """Host and port of every listener of a list, by the listener's name."""
    found = {}
    for each in (setting.text() or "").split(","):
        name, _, address = each.strip().partition("://")
        host, _, port = address.rpartition(":")
        if port.isdigit():
            found[name] = (host, int(port))
    return found


@rule(BROKERS, on=PlatformPart, parts=["kafka"], wanted="3 brokers or more", mend="kafka.nodes")
def three_brokers_run(part: PlatformPart) -> Iterator[Fault]:
    """With three brokers one may be away, for a restart or for good: two still agree and keep every message twice."""
    replicas = part.resource.inputs.at("spec", "replicas")
    count = 1 if part.pod.target == "docker" or replicas.is_absent else replicas.number()
    if count is None or count < LEAST_BROKERS:
        yield Fault(replicas, "fewer than three brokers are deployed")


@rule(
    BROKERS, on=PlatformPart, parts=["api", "relay", "executor"], wanted="3 addresses or more",
    mend="kafka.nodes, or kafka.external.brokers",
)  # fmt: skip
def programs_know_three_brokers(part: PlatformPart) -> Iterator[Fault]:
    """A program finds the cluster through any broker of its list: with only one in it, that one may not be away."""
    brokers = part.setting("KAFKA_BROKERS")
    known = {each.strip() for each in (brokers.text() or "").split(",") if each.strip()}
    if len(known) < LEAST_BROKERS:
        yield Fault(brokers, "it names fewer than three brokers")


@rule(BROKERS, on=PlatformPart, parts=["kafka"], wanted="3 copies or more", mend="kafka.replication")
def new_topics_have_three_copies(part: PlatformPart) -> Iterator[Fault]:
    """A message that lies on one disk is lost with it."""
    copies = settings(part)["default.replication.factor"]
    if (copies.number() or 1) < LEAST_BROKERS:
        yield Fault(copies, "a new topic has fewer than three copies")


@rule(BROKERS, on=PlatformPart, parts=["kafka"], wanted="2 copies or more", mend="kafka.minInSync")
def a_message_counts_when_two_brokers_have_it(part: PlatformPart) -> Iterator[Fault]:
    """A message that was acknowledged by one broker alone is gone when that broker's disk is."""
    in_sync = settings(part)["min.insync.replicas"]
    if (in_sync.number() or 1) < LEAST_IN_SYNC:
        yield Fault(in_sync, "a write is acknowledged when one broker has it")


@rule(BROKERS, on=PlatformPart, parts=["kafka"], wanted="less than the number of copies", mend="kafka.minInSync")
def one_broker_may_be_away(part: PlatformPart) -> Iterator[Fault]:
    """When a write needs every copy, the restart of one broker stops all writes."""
    found = settings(part)
    in_sync, copies = found["min.insync.replicas"], found["default.replication.factor"].number() or 1
    if (in_sync.number() or 1) >= copies:
        yield Fault(in_sync, "a write needs every copy, so that no broker may be away")


@rule(BROKERS, on=PlatformPart, parts=["kafka"], wanted="3 copies or more", mend="kafka.replication")
def kafkas_own_topics_have_three_copies(part: PlatformPart) -> Iterator[Fault]:
    """Kafka's own topics hold how far consumers have read: if they are lost, work is done twice or not at all."""
    found = settings(part)
    for name in ("offsets.topic.replication.factor", "transaction.state.log.replication.factor"):
        if (found[name].number() or LEAST_BROKERS) < LEAST_BROKERS:
            yield Fault(found[name], "a topic of Kafka's own has fewer than three copies")


@rule(BROKERS, on=PlatformPart, parts=["kafka-access"], wanted="3 copies, 2 of them in step", mend="kafka.replication")
def topics_of_the_platform_have_three_copies(part: PlatformPart) -> Iterator[Fault]:
    """What the access job asks for wins over the brokers' defaults."""
    for topic in yaml_of(part.file("plan.json"))["topics"].items():
        copies, in_sync = topic["replication"], topic["min_in_sync"]
        if (copies.number() or 1) < LEAST_BROKERS:
            yield Fault(copies, "a topic has fewer than three copies")
        if (in_sync.number() or 1) < LEAST_IN_SYNC:
            yield Fault(in_sync, "a write to a topic is acknowledged when one broker has it", mend="kafka.minInSync")


@rule(BROKERS, on=PlatformPart, parts=["kafka"], wanted="false", mend="leave it out: false is the default")
def a_stale_copy_never_becomes_the_leader(part: PlatformPart) -> Iterator[Fault]:
    """A leader that missed messages makes them vanish although they had been acknowledged."""
    unclean = settings(part)["unclean.leader.election.enable"]
    if unclean.flag():
        yield Fault(unclean, "a copy that missed messages may become the leader")


@rule(BROKERS, on=PlatformPart, parts=["kafka"], wanted="false", mend="set it: true is the default")
def topics_are_only_made_on_purpose(part: PlatformPart) -> Iterator[Fault]:
    """A misspelt name would silently become a topic that nobody reads, with as few copies as the defaults say."""
    automatic = settings(part)["auto.create.topics.enable"]
    if automatic.flag() is not False:
        yield Fault(automatic, "whoever names a topic makes it")


@rule(
    BROKERS, on=PlatformPart, parts=["kafka"], wanted="an odd number of voters, 3 or more", mend="kafka.nodes",
    where=lambda part: part.pod.target == "kubernetes",
)  # fmt: skip
def controllers_keep_a_majority(part: PlatformPart) -> Iterator[Fault]:
    """More than half of the voters must be there: of two none may be away, and a fourth adds nothing to three."""
    voters = settings(part)["controller.quorum.voters"]
    count = len([each for each in (voters.text() or "").split(",") if each.strip()])
    if count < LEAST_BROKERS or count % 2 == 0:
        yield Fault(voters, "the number of controllers that vote is too small or even")


@rule(VOLUMES, on=Platform, wanted="at most nine tenths of the volume", mend="kafka.storage, or kafka.partitions")
def kafka_keeps_no_more_than_its_disk_holds(platform: Platform) -> Iterator[Fault]:
    """A broker whose disk is full stops. Time alone is no bound: a flood fills in an hour what was meant for a week.

    Each partition takes up to log.retention.bytes and one segment; a broker has its share of all copies of them.
    """
    kafka, access = platform.parts.get("kafka"), platform.parts.get("kafka-access")
    if kafka is None or access is None or kafka.pod.target != "kubernetes":
        return
    found = settings(kafka)
    kept, segment = found["log.retention.bytes"], found["log.segment.bytes"].number() or 2**30
    if (bound := kept.number()) is None or bound < 0:
        yield Fault(place(kafka.resource, kept), "what a topic keeps is not bounded in size")
        return
    copies = 0.0
    for topic in yaml_of(access.file("plan.json"))["topics"].items():
        copies += (topic["partitions"].number() or 1) * (topic["replication"].number() or 1)
    brokers = kafka.resource.inputs.at("spec", "replicas").number() or 1
    for claim in kafka.resource.inputs.at("spec", "volumeClaimTemplates").items():
        size = claim.at("spec", "resources", "requests", "storage")
        if copies / brokers * (bound + segment) > FILLED_AT_MOST * quantity(size.text() or "0"):
            yield Fault(place(kafka.resource, size), "the topics may keep more than the brokers' disks hold")


@rule(LISTENERS, on=PlatformPart, parts=["kafka"], wanted="kafka:29092", mend="the settings of the single broker")
def kafka_is_reached_on_the_network(part: PlatformPart) -> Iterator[Fault]:
    """Programs on the container network are told this address, whatever address they asked first."""
    advertised = settings(part)["advertised.listeners"]
    if (part.name, NETWORK_PORT) not in addresses(advertised).values():
        yield Fault(advertised, f"no listener is advertised as the part's own name with port {NETWORK_PORT}")


@rule(
    LISTENERS, on=PlatformPart, parts=["kafka"], wanted="localhost with the published port", mend="kafka.publishedPort"
)
def kafka_is_reached_from_the_machine(part: PlatformPart) -> Iterator[Fault]:
    """A client on the machine is told this address: unless it is the published one, it can't be reached again."""
    advertised = settings(part)["advertised.listeners"]
    told = {port for host, port in addresses(advertised).values() if host in ("localhost", "127.0.0.1")}
    published = {
        each["external"].number() for each in part.container.spec["ports"].items()
        if each["internal"].number() == HOST_PORT
    }  # fmt: skip
    if not published:
        yield Fault(part.container.spec["ports"], f"port {HOST_PORT} of the broker is not published")
    elif not told & published:
        yield Fault(advertised, "no listener is advertised at the port that is published")


@rule(
    LISTENERS, on=PlatformPart, parts=["kafka"], wanted="a listener with the same name", mend="the broker's `listeners`"
)
def kafka_listens_where_it_says(part: PlatformPart) -> Iterator[Fault]:
    """An advertised listener that nobody opens sends clients to a closed port."""
    found = settings(part)
    if addresses(found["advertised.listeners"]).keys() - addresses(found["listeners"]).keys():
        yield Fault(found["advertised.listeners"], "a listener is advertised that the broker does not have")


@rule(LISTENERS, on=PlatformPart, parts=["kafka"], wanted="127.0.0.1", mend="docker.address")
def kafkas_plain_listener_stays_on_the_machine(part: PlatformPart) -> Iterator[Fault]:
    """The listener for the machine asks nobody who he is, so nobody else may reach it."""
    for each in part.container.spec["ports"].items():
        if each["ip"].text() not in ("127.0.0.1", "::1"):
            yield Fault(each["ip"], "the broker's port is open to other machines")
