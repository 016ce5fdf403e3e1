"""Training requests: the plan and the states."""

import pytest

from support.batches import TIME
from support.trainer import request
from veleta_trainer.domain.training import ACTIVE_STATES, TRANSITIONS, State, advance, plan_requests, progress

FINAL_STATES: tuple[State, ...] = ("finished", "merged", "skipped", "failed")


class TestPlan:
    def test_waiting_requests_are_merged_into_the_newest(self) -> None:
        """One training, for the newest batch, in any order of arrival."""
        plan = plan_requests([request(2), request(4), request(1)], champion=True)
        assert plan.train == request(4)
        assert plan.merge == [request(1), request(2)]

    def test_the_first_batch_of_an_epoch_is_skipped_if_there_is_a_champion(self) -> None:
        """It causes a request only because it has no predecessor."""
        waiting = [request(0, 2, first=True)]
        assert plan_requests(waiting, champion=True).skip == waiting
        assert plan_requests(waiting, champion=False).train == waiting[0]

    def test_without_requests_there_is_nothing_to_do(self) -> None:
        """Nothing to train, merge or skip."""
        plan = plan_requests([], champion=True)
        assert plan == plan_requests([], champion=False)
        assert (plan.train, plan.merge, plan.skip) == (None, [], [])


class TestStates:
    def test_states_follow_one_another(self) -> None:
        """Each active state leads to the next one, the last one to `finished`."""
        order = [*TRANSITIONS, "finished"]
        assert [following[0] for following in TRANSITIONS.values()] == order[1:]
        assert order[1:-1] == list(ACTIVE_STATES)

    def test_every_training_can_fail(self) -> None:
        """In every state that is not final."""
        assert all("failed" in following for following in TRANSITIONS.values())

    @pytest.mark.parametrize(
        ("before", "after"), [("planned", "registered"), ("finished", "failed"), ("fitted", "planned")]
    )
    def test_other_transitions_are_errors(self, before: State, after: State) -> None:
        """No state is left out, repeated or left after the end."""
        with pytest.raises(ValueError, match=f"{before} cannot become {after}"):
            advance(before, {"state": after}, TIME)

    def test_a_transition_has_its_time(self) -> None:
        """The start and the end of a training."""
        assert advance("waiting", {"state": "planned"}, TIME)["started_at"] == TIME
        assert advance("planned", {"state": "fitted", "run_id": "r"}, TIME).keys() == {"state", "run_id", "attempts"}
        assert advance("aliased", {"state": "finished"}, TIME) == {"state": "finished", "attempts": 0, "ended_at": TIME}

    @pytest.mark.failure("F293")
    def test_attempts_are_counted_for_each_step(self) -> None:
        """A transition resets them."""
        assert [advance(before, {"state": after[0]}, TIME)["attempts"] for before, after in TRANSITIONS.items()] == [
            0
        ] * 6

    def test_progress_grows_with_each_state(self) -> None:
        """All final states are equally far."""
        assert [progress(state) for state in TRANSITIONS] == list(range(6))
        assert {progress(state) for state in FINAL_STATES} == {6}
