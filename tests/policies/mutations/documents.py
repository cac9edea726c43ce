"""Whether what is written about the platform is what it does."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "api-docs-current",
        "dev",
        "service/audit/routes.py",
        '@router.get("", dependencies=[requires(Role.ADMIN, Scope.AUDIT_READ)], responses=documented())',
        '@router.get("/entries", dependencies=[requires(Role.ADMIN, Scope.AUDIT_READ)], responses=documented())',
        "the_api_document_is_that_of_the_routes",
    ),
    Mutation(
        "deployment-docs-current",
        "prod",
        "README.md",
        "| `migrate STACK` | runs the migrations job again |\n",
        "",
        "every_verb_is_in_the_readme",
    ),
    Mutation(
        "changelog-and-release-notes",
        "dev",
        "CHANGELOG.md",
        "## 1.0.0",
        "## 0.9.0",
        "the_changelog_describes_the_version",
    ),
]
