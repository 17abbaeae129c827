"""The ledger: each entry ends once, in one state, and the counts add up."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aiobatch.engine.ledger import Ledger, Rejection, State


def test_an_entry_ends_once() -> None:
    ledger = Ledger(1, writes=True)
    ledger.ended([0], State.PROCESSED)
    told = r"^entry 0 ended twice: PROCESSED, then MISSING$"
    for entries in (range(1), [0]):
        with pytest.raises(RuntimeError, match=told):
            ledger.ended(entries, State.MISSING)
    with pytest.raises(RuntimeError, match=r"^entry 0 ended twice: PROCESSED, then REJECTED$"):
        ledger.rejected(0, "ValidationException", "no")
    assert not ledger.rejections
    assert ledger.state(0) is State.PROCESSED


def test_a_read_without_an_answer_is_unprocessed() -> None:
    ledger = Ledger(1, writes=False)
    ledger.depart([0])
    ledger.close()
    assert ledger.state(0) is State.UNPROCESSED


def test_a_write_that_is_cut_off_is_unknown() -> None:
    ledger = Ledger(2, writes=True)
    ledger.depart([0])
    ledger.close()
    assert [ledger.state(0), ledger.state(1)] == [State.UNKNOWN, State.UNPROCESSED]


@pytest.mark.parametrize("doubtful", [False, True])
def test_another_entry_takes_the_place_of_one_that_ended(doubtful: bool) -> None:
    ledger = Ledger(1, writes=True)
    ledger.depart([0])
    assert ledger.is_in_flight(0)
    ledger.rejected(0, "ValidationException", "no")
    assert not ledger.is_in_flight(0)
    assert ledger.rejections == {0: Rejection("ValidationException", "no")}
    assert ledger.reopen(0, doubtful=doubtful) == State.REJECTED
    assert ledger.is_pending(0)
    assert not ledger.rejections
    ledger.given_up(0)
    assert ledger.state(0) is (State.UNKNOWN if doubtful else State.UNPROCESSED)


def test_others_take_the_places_of_many_that_ended() -> None:
    ledger = Ledger(3, writes=True)
    ledger.depart([0, 2])
    ledger.rejected(2, "ValidationException", "no")
    ledger.returned([0], doubtful=True)
    ledger.given_up(0)
    assert ledger.reopen_all([2, 0]) == bytes([State.REJECTED, State.UNKNOWN])
    assert not ledger.rejections
    assert all(ledger.is_pending(entry) for entry in range(3))
    ledger.close()
    assert [ledger.state(entry) for entry in range(3)] == [State.UNPROCESSED] * 3


def test_another_entry_is_no_longer_in_flight_nor_rejected() -> None:
    ledger = Ledger(3, writes=True)
    ledger.rejected(0, "ValidationException", "no")
    ledger.rejected(2, "ValidationException", "no")
    ledger.ended([1], State.PROCESSED)
    ledger.depart([1])
    assert ledger.reopen(1, doubtful=False) == State.PROCESSED
    assert not ledger.is_in_flight(1)
    assert list(ledger.rejections) == [0, 2]
    ledger.reopen(2, doubtful=False)
    assert list(ledger.rejections) == [0]


def test_a_part_is_read_as_if_it_were_all() -> None:
    ledger = Ledger(6, writes=True)
    part = ledger.part(2, 3)
    assert len(part) == 3
    assert part.are_all(State.PENDING)
    for entry in (1, 4, 5):
        ledger.rejected(entry, "ValidationException", f"no {entry}")
    ledger.ended([2], State.MISSING)
    assert part.states() == bytes((State.MISSING, State.PENDING, State.REJECTED))
    assert [part.state(entry) for entry in range(3)] == list(part.states())
    assert isinstance(part.state(0), State)
    assert part.rejections == {2: Rejection("ValidationException", "no 4")}
    assert not part.are_all(State.MISSING)
    part.close()
    assert ledger.state(0) is State.UNPROCESSED
    assert part.counts() == {
        State.PENDING: 0,
        State.PROCESSED: 0,
        State.MISSING: 1,
        State.UNPROCESSED: 1,
        State.REJECTED: 1,
        State.UNKNOWN: 0,
    }


def test_doubt_outlives_a_later_refusal() -> None:
    ledger = Ledger(1, writes=True)
    ledger.depart([0])
    ledger.returned([0], doubtful=True)
    assert not ledger.is_in_flight(0)
    ledger.depart([0])
    ledger.returned([0], doubtful=False)
    ledger.given_up(0)
    assert ledger.state(0) is State.UNKNOWN


def test_a_later_success_ends_the_doubt() -> None:
    ledger = Ledger(1, writes=True)
    ledger.depart([0])
    ledger.returned([0], doubtful=True)
    ledger.ended([0], State.PROCESSED)
    assert ledger.state(0) is State.PROCESSED


class LedgerMachine(RuleBasedStateMachine):
    """Against a model: a state, a flight and a doubt for each entry."""

    @initialize(size=st.integers(1, 12), writes=st.booleans())
    def begin(self, size: int, writes: bool) -> None:
        self.ledger = Ledger(size, writes=writes)
        self.writes = writes
        self.pending = set(range(size))
        self.flying: set[int] = set()
        self.doubtful: set[int] = set()
        self.ended: dict[int, State] = {}

    def _end(self, entry: int, state: State) -> None:
        self.pending.discard(entry)
        self.flying.discard(entry)
        self.ended[entry] = state

    @precondition(lambda self: bool(self.pending - self.flying))
    @rule(data=st.data())
    def depart(self, data: st.DataObject) -> None:
        entries = data.draw(
            st.sets(st.sampled_from(sorted(self.pending - self.flying)), min_size=1)
        )
        self.ledger.depart(entries)
        self.flying |= entries

    @precondition(lambda self: bool(self.flying))
    @rule(data=st.data(), doubtful=st.booleans())
    def come_back(self, data: st.DataObject, doubtful: bool) -> None:
        entries = data.draw(st.sets(st.sampled_from(sorted(self.flying)), min_size=1))
        self.ledger.returned(entries, doubtful=doubtful)
        self.flying -= entries
        if doubtful:
            self.doubtful |= entries

    @precondition(lambda self: bool(self.flying))
    @rule(data=st.data())
    def reject(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from(sorted(self.flying)))
        self.ledger.rejected(entry, "ValidationException", "no")
        self._end(entry, State.REJECTED)

    @precondition(lambda self: bool(self.flying))
    @rule(data=st.data(), state=st.sampled_from([State.PROCESSED, State.MISSING]))
    def end(self, data: st.DataObject, state: State) -> None:
        entries = data.draw(st.lists(st.sampled_from(sorted(self.flying)), unique=True))
        self.ledger.ended(entries, state)
        for entry in entries:
            self._end(entry, state)

    @rule(
        start=st.integers(0, 11),
        stop=st.integers(1, 12),
        step=st.integers(1, 4),
        state=st.sampled_from([State.PROCESSED, State.MISSING]),
    )
    def leave_and_end_in_a_range(self, start: int, stop: int, step: int, state: State) -> None:
        entries = range(start, min(stop, len(self.ledger)), step)
        if not self.pending.issuperset(entries) or self.flying.intersection(entries):
            return
        self.ledger.depart(entries)
        assert all(map(self.ledger.is_in_flight, entries))
        self.ledger.ended(entries, state)
        assert not any(map(self.ledger.is_in_flight, entries))
        for entry in entries:
            self._end(entry, state)

    def teardown(self) -> None:
        # Not a rule: nothing can happen to a ledger after it.
        if not hasattr(self, "ledger"):
            return
        self.ledger.close()
        for entry in sorted(self.pending):
            unclear = self.writes and entry in self.flying | self.doubtful
            self._end(entry, State.UNKNOWN if unclear else State.UNPROCESSED)
        self.it_agrees_with_the_model()

    @invariant()
    def it_agrees_with_the_model(self) -> None:
        if not hasattr(self, "ledger"):
            return
        assert sum(self.ledger.counts().values()) == len(self.ledger)
        states = list(self.ledger.states())
        assert states == [self.ledger.state(entry) for entry in range(len(self.ledger))]
        assert all(self.ledger.are_all(state) == ({*states} <= {state}) for state in State)
        for entry in range(len(self.ledger)):
            assert self.ledger.state(entry) is self.ended.get(entry, State.PENDING)
            assert self.ledger.is_pending(entry) == (entry in self.pending)
            assert self.ledger.is_in_flight(entry) == (entry in self.flying)
        assert set(self.ledger.rejections) == {
            entry for entry, state in self.ended.items() if state is State.REJECTED
        }


TestLedgerMachine = LedgerMachine.TestCase
