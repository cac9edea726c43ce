"""What must have happened to a commit before it is released: a tag, reviews, scans, an assessment."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "git-tag-verified",
        "prod",
        "",
        "",
        "",
        "what_is_deployed_has_the_tag_of_its_version",
        command=("tag", "-d", "v1.0.0"),
    ),
    Mutation(
        "code-review-approved",
        "prod",
        "reports/approvals.json",
        '"kind": "code-review"',
        '"kind": "comment"',
        "every_commit_was_reviewed",
    ),
    Mutation(
        "code-vulnerability-scan",
        "prod",
        "reports/scan.json",
        """"dependencies": {
  "critical": 0,
  "high": 0""",
        """"dependencies": {
  "critical": 0,
  "high": 1""",
        "code_and_dependencies_have_no_known_weakness",
    ),
    Mutation(
        "image-vulnerability-scan",
        "prod",
        "reports/scan.json",
        # The last image.
        """"critical": 0,
   "high": 0
  }
 }
}""",
        """"critical": 1,
   "high": 0
  }
 }
}""",
        "images_have_no_known_weakness",
    ),
    Mutation(
        "signoff-vulnerability-assessment",
        "prod",
        "reports/approvals.json",
        '"kind": "vulnerability-assessment"',
        '"kind": "comment"',
        "a_person_judged_the_weaknesses",
    ),
]
