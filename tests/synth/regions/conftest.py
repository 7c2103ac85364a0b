"""One thread for the tiny networks of these tests: more wait for each other longer than they compute."""

import pytest

from tests.helpers.mask2former import write_tiny_mask2former


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def model(tmp_path_factory):
    """Folder of a tiny Mask2Former with random weights."""
    return write_tiny_mask2former(tmp_path_factory.mktemp("model"))
