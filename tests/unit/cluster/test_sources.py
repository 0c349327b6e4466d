"""In which order a node looks at its lists."""

from switchyard.cluster.claimant.sources import Sources

SOURCES = Sources(("q", "r"), ((0, ("q", "r")), (3, ("q3", "r3")), (9, ("q9", "r9"))), True)


def test_wait_lists_stand_among_the_queues_of_their_priority() -> None:
    """A labelled task would go before every urgent plain one, or after."""
    groups = SOURCES.groups(((0, "w0"), (9, "w9")))
    assert groups == [("w0", "q", "r"), ("q3", "r3"), ("w9", "q9", "r9")]


def test_a_wait_list_beyond_the_last_priority_is_not_forgotten() -> None:
    """With fewer priority steps on this node than on the producer, its tasks would wait for ever."""
    assert SOURCES.groups(((12, "w12"),))[-1] == ("w12", "q9", "r9")


def test_a_wait_list_between_two_priorities_is_not_forgotten() -> None:
    """Broken if tasks of a producer with other priority steps waited for ever."""
    assert SOURCES.groups(((5, "w5"), (1, "w1"))) == [("q", "r"), ("w1", "q3", "r3"), ("w5", "q9", "r9")]
