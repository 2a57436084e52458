"""Imports form no circle, those under TYPE_CHECKING included."""

from __future__ import annotations

import grimp

ALLOWED = {
    frozenset({"jobs.models.definition", "jobs.models.definition_set"}),  # a model and its own QuerySet name each other's types
}


def circles() -> set[frozenset[str]]:
    """Sets of modules in which each reaches each other one by imports."""
    graph = grimp.build_graph("jobs", "health", "vsadmin", cache_dir=None)
    reaches = {module: graph.find_upstream_modules(module) for module in graph.modules}
    groups = {module: frozenset({module, *(other for other in reaches[module] if module in reaches[other])}) for module in graph.modules}
    return {group for group in groups.values() if len(group) > 1}


def test_imports_form_no_circle_that_is_not_listed() -> None:
    assert circles() <= ALLOWED
