"""Faults of the entry, each of which turns a check red."""

import ssl

from tests.infra.unit.red.entry import HOST
from tests.infra.unit.red.scene import Scene
from tests.infra.unit.red.stage import Reds
from tests.infra.verify.kubernetes import test_entry as checks

red = Reds()
HEADERS = checks.test_every_answer_carries_the_protective_headers


@red(checks.test_the_api_runs_under_its_name_behind_its_service)
def a_ready_replica_gets_no_requests(scene: Scene) -> None:
    scene.objects("endpointslices")[0]["endpoints"][0]["conditions"]["ready"] = False


@red(checks.test_the_api_runs_under_its_name_behind_its_service)
def somebody_else_gets_requests(scene: Scene) -> None:
    scene.objects("endpointslices")[0]["endpoints"].append(
        {"addresses": ["10.244.0.99"], "conditions": {"ready": True}}
    )


@red(checks.test_the_api_runs_under_its_name_behind_its_service)
def a_replica_that_is_not_ready_gets_requests(scene: Scene) -> None:
    scene.pods("api")[0]["status"]["conditions"] = [{"type": "Ready", "status": "False"}]


@red(checks.test_the_api_runs_under_its_name_behind_its_service)
def there_is_no_replica(scene: Scene) -> None:
    for pod in scene.pods("api"):
        scene.objects("pods").remove(pod)
    scene.objects("endpointslices").clear()


@red(checks.test_the_api_runs_under_its_name_behind_its_service)
def the_api_listens_elsewhere(scene: Scene) -> None:
    scene.tell()["api"]["ports"] = [9000]


@red(checks.test_nothing_but_the_entry_is_published)
def prometheus_is_published(scene: Scene) -> None:
    scene.object("services", "prometheus")["spec"]["type"] = "NodePort"


@red(checks.test_nothing_but_the_entry_is_published)
def the_entry_is_not_published(scene: Scene) -> None:
    scene.object("services", "edge")["spec"]["type"] = "ClusterIP"


@red(checks.test_nothing_but_the_entry_is_published)
def kafka_has_an_address_outside(scene: Scene) -> None:
    scene.object("services", "kafka")["spec"]["externalIPs"] = ["192.0.2.7"]


@red(checks.test_nothing_but_the_entry_is_published)
def there_are_no_services(scene: Scene) -> None:
    scene.objects("services").clear()


@red(checks.test_every_public_address_is_encrypted)
def prometheus_is_public_in_the_clear(scene: Scene) -> None:
    scene.urls["prometheus"] = f"http://{HOST}:9090"


@red(
    checks.test_every_public_address_is_encrypted,
    checks.test_present_versions_of_tls_are_spoken,
    checks.test_the_certificate_is_trusted_named_rightly_and_not_about_to_end,
)
def the_certificate_is_somebody_elses(scene: Scene) -> None:
    scene.entry.issuer = "An authority that nobody trusts"


@red(
    checks.test_every_public_address_is_encrypted,
    checks.test_the_certificate_is_trusted_named_rightly_and_not_about_to_end,
)
def the_certificate_is_for_another_name(scene: Scene) -> None:
    scene.entry.named = "elsewhere.example"


@red(checks.test_the_certificate_is_trusted_named_rightly_and_not_about_to_end)
def the_certificate_is_about_to_end(scene: Scene) -> None:
    scene.entry.days = 6


@red(checks.test_old_versions_of_tls_are_refused)
def old_versions_are_spoken(scene: Scene) -> None:
    scene.entry.least_tls = ssl.TLSVersion.TLSv1


@red(checks.test_old_versions_of_tls_are_refused)
def this_machine_speaks_no_old_version(scene: Scene) -> None:
    scene.constants["_refusal"] = lambda address, context: "[SSL: NO_PROTOCOLS_AVAILABLE] no protocols available"


@red(checks.test_present_versions_of_tls_are_spoken)
def this_version_is_not_spoken(scene: Scene) -> None:
    other = {ssl.TLSVersion.TLSv1_2: ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3: ssl.TLSVersion.TLSv1_2}
    scene.entry.least_tls = scene.entry.most_tls = other[scene.params["version"]]


@red(checks.test_plain_http_is_sent_to_https)
def plain_http_is_answered(scene: Scene) -> None:
    scene.entry.redirect = (200, "https://{address}{path}")


@red(checks.test_plain_http_is_sent_to_https)
def plain_http_is_sent_to_plain_http(scene: Scene) -> None:
    scene.entry.redirect = (308, "http://{address}{path}")


@red(checks.test_plain_http_is_sent_to_https)
def plain_http_is_sent_elsewhere(scene: Scene) -> None:
    scene.entry.redirect = (308, "https://elsewhere.example{path}")


@red(checks.test_the_encrypted_port_serves_nothing_in_the_clear)
def the_encrypted_port_answers_in_the_clear(scene: Scene) -> None:
    scene.entry.clear = 200


@red(HEADERS)
def browsers_may_come_back_in_the_clear(scene: Scene) -> None:
    del scene.entry.headers["Strict-Transport-Security"]


@red(HEADERS)
def browsers_may_come_back_in_the_clear_soon(scene: Scene) -> None:
    scene.entry.headers["Strict-Transport-Security"] = "max-age=300"


@red(HEADERS)
def browsers_may_guess_what_an_answer_is(scene: Scene) -> None:
    del scene.entry.headers["X-Content-Type-Options"]


@red(HEADERS)
def the_server_tells_its_version(scene: Scene) -> None:
    scene.entry.server = "nginx/1.22.1"


@red(HEADERS)
def anybody_may_frame_the_pages(scene: Scene) -> None:
    only_of_pages(scene, "X-Frame-Options")


@red(HEADERS)
def browsers_tell_where_they_come_from(scene: Scene) -> None:
    only_of_pages(scene, "Referrer-Policy")


def only_of_pages(scene: Scene, header: str) -> None:
    """Takes a header away that only pages must have; of another answer, one that it must have too."""
    page = scene.params["path"] != "/no-such-page"
    del scene.entry.headers[header if page else "X-Content-Type-Options"]


@red(checks.test_documentation_and_figures_are_not_public)
def the_page_is_public(scene: Scene) -> None:
    scene.entry.public.add(scene.params["path"])


@red(checks.test_requests_for_an_unknown_host_are_refused)
def any_host_will_do(scene: Scene) -> None:
    scene.entry.hosts = None


@red(checks.test_what_a_visitor_claims_to_have_been_forwarded_is_not_believed)
def visitors_are_believed(scene: Scene) -> None:
    scene.entry.believes_visitors = True


@red(checks.test_what_a_visitor_claims_to_have_been_forwarded_is_not_believed)
def nothing_of_the_visit_is_recorded(scene: Scene) -> None:
    scene.entry.write = lambda pod, record: None


@red(
    checks.test_what_a_visitor_claims_to_have_been_forwarded_is_not_believed,
    checks.test_requests_reach_more_than_one_replica,
)
def agents_are_not_answered(scene: Scene) -> None:
    scene.entry.statuses["/agents"] = 503


@red(checks.test_requests_reach_more_than_one_replica)
def one_replica_gets_all_requests(scene: Scene) -> None:
    del scene.entry.replicas[1:]


@red(checks.test_every_replica_takes_the_same_token)
def one_replica_has_another_secret(scene: Scene) -> None:
    scene.entry.deaf.add(scene.entry.replicas[-1])


@red(checks.test_every_replica_takes_the_same_token)
def there_is_one_replica_only(scene: Scene) -> None:
    for pod in scene.pods("api")[1:]:
        scene.objects("pods").remove(pod)


@red(checks.test_a_visitor_who_sends_too_much_is_throttled_and_recorded)
def nobody_is_throttled(scene: Scene) -> None:
    scene.entry.burst = scene.constants["BURST"] = 2 * checks.BATCH


@red(checks.test_a_visitor_who_sends_too_much_is_throttled_and_recorded)
def nobody_is_told_for_how_long(scene: Scene) -> None:
    scene.entry.throttled_headers.clear()


@red(checks.test_a_visitor_who_sends_too_much_is_throttled_and_recorded)
def the_visitor_is_shut_out_for_good(scene: Scene) -> None:
    scene.entry.recovers = False


@red(checks.test_a_visitor_who_sends_too_much_is_throttled_and_recorded)
def throttling_is_not_recorded(scene: Scene) -> None:
    scene.entry.records_throttling = False
