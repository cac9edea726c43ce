"""The packet filter rules that Kubernetes and the network plugins leave in the kernel, found and taken away."""

from __future__ import annotations

import subprocess

from airgap.errors import AirgapError

_OURS = ("KUBE-", "CNI-")
_SECONDS = 30


def clean() -> None:
    """Remove the chains of Kubernetes and of the network plugins, and the rules that lead to them.

    Raises AirgapError when the packet filter refuses.
    """
    for family in ("iptables", "ip6tables"):
        try:
            saved = subprocess.run([f"{family}-save"], capture_output=True, text=True, timeout=_SECONDS, check=False)
        except OSError:
            continue
        script = removal(saved.stdout)
        if not script:
            continue
        command = [f"{family}-restore", "--noflush"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=_SECONDS, check=False)
        if done.returncode != 0:
            raise AirgapError(
                f"{family} refused to give up the node's chains: {done.stderr.strip()[:200]}",
                f"remove the chains KUBE-* and CNI-* with {family}",
            )


def left(saved: str) -> list[str]:
    """The chains of ours in the text that iptables-save gives."""
    chains = [line[1:].split()[0] for line in saved.splitlines() if line.startswith(":")]
    return [chain for chain in chains if chain.startswith(_OURS)]


def removal(saved: str) -> str:
    """What iptables-restore must be fed, without flushing anything else, to undo what is ours; `` when nothing is."""
    script: list[str] = []
    for block in saved.split("\n*"):
        lines = block.lstrip("*").splitlines()
        chains = left(block)
        if not chains:
            continue
        script.append(f"*{next(line for line in lines if not line.startswith('#')).strip()}")
        script += [f"-D{line[2:]}" for line in lines if _leads_to_ours(line)]
        # Chains refer to each other, so all are emptied before the first is deleted.
        script += [f"-F {chain}" for chain in chains] + [f"-X {chain}" for chain in chains]
        script.append("COMMIT")
    return "\n".join(script) + "\n" if script else ""


def _leads_to_ours(rule: str) -> bool:
    words = rule.split()
    if len(words) < 3 or words[0] != "-A" or words[1].startswith(_OURS):
        return False
    targets = [words[at + 1] for at, word in enumerate(words[:-1]) if word in {"-j", "-g"}]
    return any(target.startswith(_OURS) for target in targets)
