"""OTR versions 2 and 3: key exchange, key rotation, data messages.

Version 2 is the same without instance tags in headers and fragments.
"""
