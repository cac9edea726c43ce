"""How our images are made, and what their builds left behind."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "image-multi-stage",
        "prod",
        "images/api/Dockerfile",
        "RUN install-packages python3\n",
        "RUN install-packages python3 python3-venv\n",
        "no_build_tool_is_in_an_image",
    ),
    Mutation(
        "image-minimal-base",
        "dev",
        "images/base/Dockerfile",
        "FROM debian:bookworm-slim",
        "FROM debian:bookworm",
        "images_stand_on_a_minimal_base",
    ),
    Mutation(
        "dependencies-pinned",
        "dev",
        "images/api/Dockerfile",
        "--no-compile --require-hashes -r",
        "--no-compile -r",
        "images_install_libraries_from_a_lock",
    ),
    Mutation(
        "image-healthcheck-present",
        "dev",
        "images/edge/Dockerfile",
        """HEALTHCHECK --interval=5s --timeout=5s --start-period=20s --retries=12 \\
  CMD ["http-probe", "http://127.0.0.1:8081/edge/health"]
""",
        "",
        "images_of_programs_declare_their_health",
    ),
    Mutation(
        "image-labels-match-release",
        "prod",
        "Pulumi.prod.yaml",
        "version: 1.0.0",
        "version: 1.1.0",
        "stacks_deploy_the_version_of_the_tree",
    ),
    Mutation(
        "image-builds",
        "prod",
        "reports/images.json",
        '"edge": {',
        '"edge-old": {',
        "every_image_was_built",
        # What was not built has neither a size nor an output.
        consequences=frozenset({"image-size-limit", "image-build-without-warnings"}),
    ),
    Mutation(
        "image-build-without-warnings",
        "dev",
        "reports/images.json",
        """"warnings": [],
   "time": "2026-01-02T03:04:05+00:00"
  },
  "edge": {""",
        """"warnings": ["debconf: falling back to frontend: Noninteractive"],
   "time": "2026-01-02T03:04:05+00:00"
  },
  "edge": {""",
        "builds_print_no_warning",
    ),
    Mutation(
        "image-size-limit",
        "prod",
        "reports/images.json",
        """"kafka": {
   "imageId": "sha256:0",
   "sizeBytes": 100000000,""",
        """"kafka": {
   "imageId": "sha256:0",
   "sizeBytes": 1000000000,""",
        "images_are_small",
    ),
]
