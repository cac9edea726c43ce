"""The job that makes a cluster's topics, logins and rights what its plan says. Run it as often as you like."""

import sys
from pathlib import Path

from service.kafka_access.changes import Changes, changes_to
from service.kafka_access.cluster import AccessFailedError, Cluster
from service.kafka_access.plan import AccessPlan, InvalidPlanError, load_plan
from service.platform.logging import configure_logging, get_logger

EXIT_FAILED = 1
EXIT_WRONG_PLAN = 2


def run(path: Path) -> int:
    """Carry the plan out; 0 done, 1 the cluster refused or stayed away, 2 the plan cannot be used."""
    try:
        plan = load_plan(path)
        for login in plan.logins:
            login.password()
    except InvalidPlanError as error:
        sys.stderr.write(f"The access plan cannot be used:\n{error}\n")
        return EXIT_WRONG_PLAN
    configure_logging(plan)
    try:
        _tell(_carry_out(plan))
    except AccessFailedError as error:
        get_logger(__name__).error("Topics, logins and rights are not as planned", reason=str(error))
        return EXIT_FAILED
    return 0


def _carry_out(plan: AccessPlan) -> Changes:
    cluster = Cluster(plan)
    cluster.wait_for_brokers(plan.brokers_needed, plan.wait_seconds)
    cluster.check_rights()
    changes = changes_to(plan, cluster.state(plan))
    cluster.apply(changes)
    return changes


def _tell(changes: Changes) -> None:
    log = get_logger(__name__)
    for remark in changes.remarks:
        log.warning("The plan was not carried out in full", reason=remark)
    log.info(
        "Topics, logins and rights are as planned",
        topics_made=[topic.name for topic in changes.new_topics],
        topics_widened=[topic.name for topic in changes.wider_topics],
        topics_set=sorted(changes.topic_settings),
        logins_set=[login.user for login in changes.logins],
        logins_removed=list(changes.old_users),
        rules_added=len(changes.new_rules),
        rules_removed=len(changes.old_rules),
    )
