"""What the acceptance tests share: civicsync's wheel in an environment of its own, made once."""

import pytest

from tests.support.wheels import Environment, make_environment


@pytest.fixture(scope="session")
def civicsync_environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return make_environment(tmp_path_factory.mktemp("wheel"))
