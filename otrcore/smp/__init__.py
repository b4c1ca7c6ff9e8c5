"""The Socialist Millionaires' Protocol, written once for every group and version."""
