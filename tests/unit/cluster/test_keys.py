"""The names of keys say which queue a list belongs to; everything that gives tasks back relies on it."""

from switchyard.cluster.keys import Keys
from switchyard.models import ListNames, Selector


def test_queue_of_a_shared_list_survives_prefix_and_priority() -> None:
    """A returned task would land in the wrong queue if the queue could not be read off its home."""
    keys = Keys(global_prefix="shop-")
    assert keys.queue_of(keys.shared("reports")) == "reports"
    assert keys.queue_of(keys.shared("reports\x06\x163")) == "reports"


def test_queue_and_selector_of_a_wait_list_can_be_read_back() -> None:
    """A node could not tell which wait lists are for it."""
    keys = Keys()
    selector = Selector("gpu-1", (("zone", "a|b"),))
    key = keys.wait("reports\x06\x166", selector.dumps())
    assert keys.queue_of(key) == "reports"
    assert Selector.loads(keys.selector_of(key)) == selector


def test_all_keys_share_one_hash_tag() -> None:
    """A script that touches two keys would fail on a clustered server."""
    keys = Keys("blue")
    names = [keys.nodes, keys.inbox("a"), keys.claims("a"), keys.idle("q"), keys.wait("q", "{}")]
    assert all(name.startswith("{blue}:") for name in names)


def test_lists_are_named_as_kombus_options_say() -> None:
    """Broken if tasks with a priority are looked for where kombu does not put them."""
    names = ListNames(":", (0, 3, 10))
    assert names.of("q") == ["q", "q:3", "q:10"]
    assert [names.split(name) for name in names.of("a:b")] == [("a:b", 0), ("a:b", 3), ("a:b", 10)]
    assert names.split("q:4") == ("q:4", 0)
    assert ListNames.loads(names.dumps()) == names
    keys = Keys(global_prefix="shop:", lists=names)
    for home in (keys.shared("q:10"), keys.wait("q:10", "{}")):
        assert (keys.queue_of(home), keys.priority_of(home)) == ("q", 10)
