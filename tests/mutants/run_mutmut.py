"""Runs mutmut 3.7 so that it also changes the methods of dataclasses. It skips each class that has a decorator.

mutmut 3.8 does not skip them. node_ids.py says why it is not used.
"""

import libcst
from mutmut.__main__ import cli
from mutmut.mutation.file_mutation import MutationVisitor

skips = MutationVisitor._skip_node_and_children


def skips_node(self: MutationVisitor, node: libcst.CSTNode) -> bool:
    """Whether no part of a node is changed. A decorator is: a changed one can make the import of its module fail."""
    return isinstance(node, libcst.Decorator) or (not isinstance(node, libcst.ClassDef) and skips(self, node))


if __name__ == "__main__":
    MutationVisitor._skip_node_and_children = skips_node  # type: ignore[method-assign]  # see above
    cli()
