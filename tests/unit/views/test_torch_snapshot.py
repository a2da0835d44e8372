"""Batches are copied with all that is in them: each object once, however they hold each other."""

import dataclasses

import torch

from onlooker.views.torch_snapshot import copy_data


@dataclasses.dataclass(eq=False)
class Node:
    x: object
    others: list


def linked(count):
    """Nodes of which each holds all the others: there are more ways through them than one could go."""
    nodes = [Node(torch.full((2,), float(number)), []) for number in range(count)]
    for one in nodes:
        one.others = [other for other in nodes if other is not one]
    return nodes


def test_objects_that_hold_each_other_are_copied_once():
    nodes = linked(30)
    copies, size_bytes = copy_data(nodes)
    assert size_bytes == 30 * 8
    for number, (copied, node) in enumerate(zip(copies, nodes, strict=True)):
        assert copied is not node
        assert copied.x is not node.x
        assert torch.equal(copied.x, node.x)
        assert all(
            one is other for one, other in zip(copied.others, copies[:number] + copies[number + 1 :], strict=True)
        )


def test_what_is_there_twice_is_there_twice_in_the_copy():
    node = Node(torch.ones(2), [])
    (first, second), size_bytes = copy_data((node, node))
    assert first is second is not node
    assert size_bytes == 8


def test_an_object_that_only_holds_others():
    inner = Node(torch.ones(2), [])
    (first, outer), _ = copy_data((inner, Node(None, [inner])))
    assert outer.others == [first]


def test_what_holds_no_arrays_is_no_part_of_the_batch():
    node = Node("word", [Node(None, [])])
    assert copy_data([node, torch.ones(1)])[0][0] is node
