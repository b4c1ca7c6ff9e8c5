"""The HexChat addon, carried by the wheel as `otrcore.scripts.hexchat`.

Only the package is here: the addon itself is not yet in this version.
"""
