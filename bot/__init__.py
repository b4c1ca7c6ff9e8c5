"""An OTR echo peer for people who test their chat clients."""
