"""The drift policies and their verdicts, as the pages name them."""

from collections.abc import Mapping

from veleta_monitor.domain.table import Tone

POLICY_TITLES: Mapping[str, str] = {"seed": "15 % rule", "evidence": "evidence", "sequential": "sequential test"}
VERDICT_TONES: Mapping[str, Tone] = {"drift": "warn", "no drift": "good", "not enough data": "neutral"}


def policy_title(policy: str) -> str:
    """The title of a policy; its name if it is unknown."""
    return POLICY_TITLES.get(policy, policy)


def other_verdicts(verdicts: Mapping[str, str], decisive: str) -> str:
    """The verdicts of the policies that did not decide, one a line: `15 % rule: drift`."""
    return "\n".join(f"{policy_title(policy)}: {each}" for policy, each in verdicts.items() if policy != decisive)
