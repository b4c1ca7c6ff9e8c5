"""The WeeChat script, carried by the wheel as `otrcore.scripts.weechat`.

Only the package is here: the script itself is not yet in this version.
"""
