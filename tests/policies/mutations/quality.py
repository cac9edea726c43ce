"""What the tests and the linters said of the tree."""

from tests.policies.mutations.harness import Mutation

MARK = "TO" + "DO"

MUTATIONS = [
    Mutation(
        "unit-tests-pass",
        "dev",
        "reports/tests.json",
        '"unit": {',
        '"unit-yesterday": {',
        "the_unit_tests_passed",
    ),
    Mutation(
        "integration-tests-pass",
        "prod",
        "reports/tests.json",
        '"service": {',
        '"service-yesterday": {',
        "the_integration_tests_passed",
    ),
    Mutation(
        "e2e-tests-pass",
        "prod",
        "reports/tests.json",
        # The last ring is that of the faults.
        '"passed": true,\n   "seconds": 1.0,\n   "why": ""\n  }\n }',
        '"passed": false,\n   "seconds": 1.0,\n   "why": "it ended with 1"\n  }\n }',
        "no_long_ring_failed",
    ),
    Mutation(
        "lint-and-format",
        "prod",
        "reports/tests.json",
        # The ring that comes before that of the units.
        '"passed": true,\n   "seconds": 1.0,\n   "why": ""\n  },\n  "unit": {',
        '"passed": false,\n   "seconds": 1.0,\n   "why": "it ended with 1"\n  },\n  "unit": {',
        "lint_and_format_are_clean",
    ),
    Mutation(
        "coverage-threshold",
        "prod",
        "reports/coverage.json",
        '"percent": 90.5',
        '"percent": 80.0',
        "the_tests_cover_the_code",
    ),
    Mutation(
        "no-todo-markers",
        "prod",
        "infra/components/service.py",
        "resources=Resources(cpus=1, memory=256),",
        f"resources=Resources(cpus=1, memory=256),  # {MARK}: measure it",
        "shipped_code_has_no_unfinished_work",
    ),
]
