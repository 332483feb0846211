"""A part of a report with a heading of its own."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from graphcolumns.analysis.picture import Picture


class Chapter(NamedTuple):
    """A heading, a few sentences and pictures."""

    text: str
    pictures: list[Picture]
    id: str
    title: str

    def of_graph(self, name: str) -> Chapter:
        """The same about one of several graphs: its pictures have files and titles of their own."""
        # Names of graphs may hold any characters.
        known = re.sub(r"[^A-Za-z0-9-]+", "_", name)
        pictures = [
            replace(each, name=f"{each.name}_{known}", title=f"{each.title}: {name}")
            for each in self.pictures
        ]
        return self._replace(
            id=f"{self.id}_{known}", title=f"{self.title}: {name}", pictures=pictures
        )
