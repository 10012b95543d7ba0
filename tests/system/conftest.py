"""Shifts that several modules look at, worked once a session."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.support.footage_matrix import FILMS, KINDS, Case, Film, make_case

AT_ONCE = 2

Matrix = Mapping[str, Future[Case]]


@pytest.fixture(scope="session")
def matrix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """The shifts that the chosen tests look at, a few at a time; each test waits for its own."""
    folder = tmp_path_factory.mktemp("matrix")
    chosen = [item for item in request.session.items if isinstance(item, pytest.Function)]
    wanted = {item.callspec.params.get("case") for item in chosen if hasattr(item, "callspec")}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        films = [film for film in FILMS if wanted & {name(film, kind) for kind in KINDS}]
        made = dict(zip(films, pool.map(lambda film: film.make(folder), films), strict=True))
        yield {
            name(film, kind): pool.submit(make_case, folder / name(film, kind), film, path, kind)
            for film, path in made.items()
            for kind in KINDS
            if name(film, kind) in wanted
        }


def name(film: Film, kind: str) -> str:
    return f"{film.name}-{kind}"


@pytest.fixture(params=[name(film, kind) for film in FILMS for kind in KINDS])
def case(request: pytest.FixtureRequest, matrix: Matrix) -> Case:
    chosen = request.param
    assert isinstance(chosen, str)
    return matrix[chosen].result()
