"""Faults of Kafka, each of which turns a check red."""

from tests.infra.unit.red.scene import Scene
from tests.infra.unit.red.stage import Reds
from tests.infra.verify.kubernetes import test_broker as checks

red = Reds()


@red(checks.test_all_brokers_are_in_the_cluster)
def a_broker_is_lost(scene: Scene) -> None:
    scene.brokers = 2


@red(checks.test_all_brokers_are_in_the_cluster)
def two_brokers_are_described(scene: Scene) -> None:
    scene.tell()["kafka"]["replicas"] = scene.brokers = 2


@red(checks.test_every_partition_has_three_copies_in_sync)
def one_copy_lags_behind(scene: Scene) -> None:
    next(iter(scene.copies.values()))[5] = [5, 3, 2]


@red(checks.test_every_partition_has_three_copies_in_sync)
def one_partition_is_kept_twice_only(scene: Scene) -> None:
    next(iter(scene.copies.values()))[0] = [0, 2, 2]


@red(checks.test_every_partition_has_three_copies_in_sync)
def a_topic_is_not_there(scene: Scene) -> None:
    scene.copies[next(iter(scene.copies))] = []


@red(checks.test_every_program_has_a_login_of_its_own_over_tls)
def the_relay_logs_in_in_the_clear(scene: Scene) -> None:
    scene.set_variable("relay", "KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")


@red(checks.test_every_program_has_a_login_of_its_own_over_tls)
def the_relay_sends_its_password(scene: Scene) -> None:
    scene.set_variable("relay", "KAFKA_SASL_MECHANISM", "PLAIN")


@red(checks.test_every_program_has_a_login_of_its_own_over_tls)
def the_relay_has_the_login_of_the_api(scene: Scene) -> None:
    scene.set_variable("relay", "KAFKA_SASL_USERNAME", "api-1")


@red(checks.test_an_executor_may_read_and_not_write)
def an_executor_may_write(scene: Scene) -> None:
    scene.rights["executor"]["write"] = "allowed"


@red(checks.test_an_executor_may_read_and_not_write, checks.test_nobody_comes_in_without_tls_and_a_login)
def an_executor_may_not_read(scene: Scene) -> None:
    scene.rights["executor"]["read"] = scene.rights["api"]["read"]


@red(checks.test_the_api_may_neither_read_nor_write)
def the_api_may_write(scene: Scene) -> None:
    scene.rights["api"]["write"] = "allowed"


@red(checks.test_the_api_may_neither_read_nor_write)
def the_api_may_read(scene: Scene) -> None:
    scene.rights["api"]["read"] = "allowed"


@red(checks.test_the_api_may_neither_read_nor_write)
def the_api_comes_to_no_broker(scene: Scene) -> None:
    scene.rights["api"] = dict.fromkeys(scene.rights["api"], "KafkaConnectionError")


@red(checks.test_nobody_comes_in_without_tls_and_a_login)
def somebody_comes_in_this_way(scene: Scene) -> None:
    scene.rights["executor"][scene.params["how"]] = "allowed"
