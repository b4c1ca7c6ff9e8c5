"""What the tests of this folder share: they all look at the same build."""

from tests.packaging.built import built, wheel

__all__ = ["built", "wheel"]
