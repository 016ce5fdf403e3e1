"""Fixtures of the tests of the charts: `make test-helm` installs Helm, kubeconform and the schemas first."""

import pytest

from support.helm import REQUIRED, Helm, Resources


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The programs that `install.sh helm` built."""
    return Helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def resources(helm: Helm) -> Resources:
    """The chart veleta with the required values alone."""
    return helm.resources("veleta", REQUIRED)
