"""Shifts that several modules look at, worked once a session."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.support.footage_matrix import FILMS, KINDS, Case, make_case

AT_ONCE = 2

Matrix = Mapping[str, Future[Case]]


@pytest.fixture(scope="session")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """All six, a few at a time; each test waits for its own."""
    folder = tmp_path_factory.mktemp("matrix")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        films = dict(zip(FILMS, pool.map(lambda film: film.make(folder), FILMS), strict=True))
        yield {
            f"{film.name}-{kind}": pool.submit(make_case, folder / f"{film.name}-{kind}", film, path, kind)
            for film, path in films.items()
            for kind in KINDS
        }


@pytest.fixture(params=[f"{film.name}-{kind}" for film in FILMS for kind in KINDS])
def case(request: pytest.FixtureRequest, matrix: Matrix) -> Case:
    name = request.param
    assert isinstance(name, str)
    return matrix[name].result()
