"""What only a board shows, or libcamera's virtual camera in its place (`make virtual`): `pytest -m hil`."""
