"""A fresh, migrated database for each benchmark: SQLite in a temporary folder, PostgreSQL where we may create one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.benchmarks.environment import REPOSITORY, environment

_NUMBERS = count()
"""Two databases of one kind, each migrated by another checkout, need two names."""


class Database(ABC):
    """Makes copies of one database that was migrated by the code in `tree`."""

    name: str

    def __init__(self, tree: Path = REPOSITORY) -> None:
        self.tree = tree

    @abstractmethod
    def prepare(self) -> None:
        """Create and migrate the database that the copies are made from."""

    @abstractmethod
    def fresh(self) -> AbstractContextManager[str]:
        """The `VS_DATABASE_URL` of a copy that is deleted afterwards."""

    @abstractmethod
    def remove(self) -> None: ...

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Make copies possible within this block."""
        self.prepare()
        try:
            yield
        finally:
            self.remove()

    def _migrate(self, url: str) -> None:
        command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(command, check=True, cwd=self.tree, env=environment(url, self.tree), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class SQLite(Database):
    name = "SQLite"

    def __init__(self, folder: Path, tree: Path = REPOSITORY) -> None:
        super().__init__(tree)
        self._folder = folder
        self._template = folder / f"migrated-{next(_NUMBERS)}.sqlite3"

    def prepare(self) -> None:
        self._migrate(f"sqlite:///{self._template}")
        for rest in self._folder.glob(f"{self._template.name}-*"):
            rest.unlink()

    @contextmanager
    def fresh(self) -> Iterator[str]:
        path = self._folder / "copy.sqlite3"
        shutil.copy(self._template, path)
        try:
            yield f"sqlite:///{path}"
        finally:
            for rest in self._folder.glob("copy.sqlite3*"):
                rest.unlink()

    def remove(self) -> None:
        self._template.unlink(missing_ok=True)


class PostgreSQL(Database):
    name = "PostgreSQL"

    def __init__(self, url: str, tree: Path = REPOSITORY) -> None:
        super().__init__(tree)
        self._url = url
        self._template = f"vsadmin_bench_{os.getpid()}_{next(_NUMBERS)}"

    def _named(self, name: str) -> str:
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))

    def _execute(self, *statements: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def prepare(self) -> None:
        self._execute(f"CREATE DATABASE {self._template}")
        self._migrate(self._named(self._template))

    @contextmanager
    def fresh(self) -> Iterator[str]:
        name = f"{self._template}_copy"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        try:
            yield self._named(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def remove(self) -> None:
        self._execute(f"DROP DATABASE IF EXISTS {self._template} WITH (FORCE)")
